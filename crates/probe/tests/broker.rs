//! The probe beside a real broker. Needs the servers of `ci/servers up`: see the crate `test-servers`.

use std::path::Path;
use std::time::Duration;

use service::http::{self, StatusCode};
use service::{Config, Report};
use test_servers::Servers;
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

const LIMIT: Duration = Duration::from_secs(20);

/// A probe that stops when dropped.
struct Probe {
    address: String,
    _stop: DropGuard,
}

impl Probe {
    async fn start(kafka: kafka::Config, broker_id: i32) -> Self {
        let config = serde_json::from_value(serde_json::json!({
            "target": "kafka", "broker_id": broker_id, "data_dir": "/", "interval": "100ms",
        }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shutdown = CancellationToken::new();
        tokio::spawn(probe::run(config.unwrap(), Some(kafka), Config::default(), listener, shutdown.clone()));
        Self { address, _stop: shutdown.drop_guard() }
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        let (status, body) = http::fetch(&self.address, path, LIMIT).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    /// Waits until the broker's process, found by its command line, has been measured: readiness may come first.
    async fn report_with_neighbour(&self) -> Report {
        let waiting = async {
            loop {
                let report: Report = serde_json::from_str(&self.get("/report").await.1).unwrap();
                if report.neighbour.is_some() {
                    return report;
                }
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(LIMIT, waiting).await.expect("the broker is measured")
    }

    /// Waits until `/readyz` answers with a text that contains `what`.
    async fn until_readyz(&self, what: &str) -> StatusCode {
        let mut last = String::new();
        let waiting = async {
            loop {
                let (status, body) = self.get("/readyz").await;
                if body.contains(what) {
                    return status;
                }
                last = body;
                sleep(Duration::from_millis(50)).await;
            }
        };
        let outcome = timeout(LIMIT, waiting).await;
        outcome.unwrap_or_else(|_| panic!("readyz never said {what:?}, but {last:?}"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_in_sync_is_ready_and_its_neighbour_reported() {
    let servers = Servers::running();
    assert!(Path::new("/proc").join(servers.get("KAFKA_PID")).exists(), "the broker runs on this machine");
    let probe = Probe::start(servers.kafka(""), 0).await;
    assert_eq!(probe.until_readyz("ok").await, StatusCode::OK);
    let report = probe.report_with_neighbour().await;
    let neighbour = report.neighbour.expect("waited for");
    assert_eq!((report.program.as_str(), neighbour.name.as_str()), ("probe", "kafka"));
    let resources = &neighbour.resources;
    assert!(resources.cpu_usage_us > Some(0) && resources.memory_bytes > Some(0), "{neighbour:?}");
    let processes = resources.processes.as_ref().expect("its threads can be read");
    assert!(processes.run_queue_us > Some(0) && processes.disk_written_bytes.is_some(), "{neighbour:?}");
    assert!(neighbour.incarnation > Some(0));
    assert!(neighbour.disk.as_ref().is_some_and(|disk| disk.size_bytes > 0), "{neighbour:?}");
    let metrics = probe.get("/metrics").await.1;
    for series in ["in_sync 1", "cpu_usage_seconds_total ", "memory_working_set_bytes ", "disk_free_bytes "] {
        assert!(metrics.contains(&format!("\nkapture_probe_{series}")), "{series}: {metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_not_alive_is_not_ready() {
    let probe = Probe::start(Servers::running().kafka(""), 7).await;
    let status = probe.until_readyz("kafka: broker 7 is not among those alive: [0]").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(probe.get("/livez").await.0, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_kafka_is_away_it_is_alive_but_not_ready() {
    let away = serde_json::from_value(serde_json::json!({ "bootstrap_servers": "127.0.0.1:1" })).unwrap();
    let probe = Probe::start(away, 0).await;
    assert_eq!(probe.until_readyz("kafka does not answer").await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(probe.get("/livez").await, (StatusCode::OK, "ok\n".to_owned()));
}
