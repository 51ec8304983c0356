//! An exporter to be asked.

use std::net::SocketAddr;

use prometheus_client::registry::Registry;
use service::{Figures, Health};
use tokio_util::sync::CancellationToken;

use super::free_address;

/// An exporter that says what it should: sales of every stage that grow with each look.
pub struct Exporter {
    address: SocketAddr,
    shutdown: CancellationToken,
}

impl Exporter {
    pub fn start() -> Self {
        let (address, shutdown) = (free_address(), CancellationToken::new());
        let config = service::Config { admin_addr: address, ..service::Config::default() };
        let looks = std::sync::atomic::AtomicU64::new(0);
        let admin = service::Admin::new(&config, "exporter", Registry::default(), Health::default(), Figures::default)
            .routes(move |request: service::http::Request| {
                let metrics = (request.uri().path() == "/metrics").then(|| {
                    let looks = looks.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    let stage = |stage| {
                        format!(
                            "kapture_stage_sales_total{{stage=\"{stage}\"}} {looks}\n\
                             kapture_latency_seconds_count{{stage=\"{stage}\"}} {looks}\n"
                        )
                    };
                    let stages = ["accepted", "routed", "cached", "stored", "returned"].map(stage).concat();
                    stages + "kafka_consumergroup_lag{consumergroup=\"fan-out\"} 0\n"
                });
                async move { metrics.map(service::http::html) }
            });
        let stopping = shutdown.clone();
        tokio::spawn(async move { admin.serve(stopping).await });
        Self { address, shutdown }
    }

    pub fn address(&self) -> service::HostPort {
        self.address.to_string().try_into().unwrap()
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}
