//! An exporter to be asked.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::registry::Registry;
use service::state::{Kafka, Percentiles, Stage, State};
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
        let looks = AtomicU64::new(0);
        let admin = service::Admin::new(&config, "exporter", Registry::default(), Health::default(), Figures::default)
            .routes(move |request: service::http::Request| {
                let asked = request.uri().path() == "/api/v1/state";
                let state = asked.then(|| service::http::json(&state(looks.fetch_add(1, Ordering::Relaxed))));
                async move { state }
            });
        let stopping = shutdown.clone();
        tokio::spawn(async move { admin.serve(stopping).await });
        Self { address, shutdown }
    }

    pub fn address(&self) -> service::HostPort {
        self.address.to_string().try_into().unwrap()
    }
}

fn state(sales: u64) -> State {
    let stage = |name: &str| Stage {
        name: name.to_owned(),
        sales: Some(sales),
        latency: Some(Percentiles::default()),
        ..Stage::default()
    };
    let stages = ["accepted", "routed", "cached", "stored", "returned"].map(stage).into();
    State { stages, kafka: Some(Kafka::default()), ..State::default() }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}
