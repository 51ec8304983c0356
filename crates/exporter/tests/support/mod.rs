//! An exporter that runs inside the test, and what it answers.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::time::Duration;

use service::http;
use service::state::State;
use test_servers::Servers;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

const LIMIT: Duration = Duration::from_secs(10);

/// Stops when dropped.
pub(crate) struct Exporter {
    address: String,
    pub(crate) task: JoinHandle<anyhow::Result<()>>,
    _stop: DropGuard,
}

impl Exporter {
    pub(crate) async fn start(targets: &str, kafka: kafka::Config) -> Self {
        let config = serde_json::from_value(serde_json::json!({
            "targets": targets, "poll_interval": "200ms", "kafka_interval": "100ms",
        }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shutdown = CancellationToken::new();
        let run = exporter::run(config.unwrap(), kafka, service::Config::default(), listener, shutdown.clone());
        Self { address, task: tokio::spawn(run), _stop: shutdown.drop_guard() }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) async fn get(&self, path: &str) -> String {
        let body = http::get(&self.address, path, LIMIT).await.unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    }

    pub(crate) async fn state(&self) -> State {
        serde_json::from_str(&self.get("/api/v1/state").await).unwrap()
    }

    /// The values of a metric, whatever its labels.
    pub(crate) async fn metric(&self, name: &str) -> Vec<f64> {
        let metrics = self.get("/metrics").await;
        let series = metrics.lines().filter(|line| line.split(['{', ' ']).next() == Some(name));
        series.map(|line| line.rsplit(' ').next().unwrap().parse().unwrap()).collect()
    }

    /// Waits until the metrics, all together, are as expected.
    pub(crate) async fn until(&self, what: &str, limit: Duration, holds: impl Fn(&State) -> bool) -> State {
        let waiting = async {
            loop {
                let state = self.state().await;
                if holds(&state) {
                    return state;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        match tokio::time::timeout(limit, waiting).await {
            Ok(state) => state,
            Err(late) => panic!("{late}: {what}; the state is {:#?}", self.state().await),
        }
    }
}

/// A part of the shared Kafka of this test's own.
pub(crate) fn kafka() -> kafka::Config {
    Servers::running().kafka(&format!("test-exporter-{}-", service::unix_us()))
}

/// A Kafka that nobody answers for.
pub(crate) fn no_kafka() -> kafka::Config {
    serde_json::from_value(serde_json::json!({ "bootstrap_servers": "127.0.0.1:1" })).unwrap()
}
