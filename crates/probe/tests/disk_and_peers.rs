//! The program beside a process that only has a server's name: what it writes, whom it asks, and what it leaves behind.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use service::{Report, http};

const LIMIT: Duration = Duration::from_secs(20);

/// Killed at the end.
struct Process(Child);

impl Process {
    fn signal(&mut self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.0.id().to_string()]).status().unwrap();
        assert!(sent.success());
        self.0.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A neighbour that does nothing, and its disk; removed at the end.
struct Neighbour {
    directory: PathBuf,
    _process: Process,
}

impl Neighbour {
    fn start() -> Self {
        let directory = std::env::temp_dir().join(format!("kapture-probe-disk-{}", std::process::id()));
        fs::create_dir_all(directory.join("data")).unwrap();
        let program = directory.join("valkey-server");
        fs::copy("/bin/sleep", &program).unwrap();
        let process = Process(Command::new(program).arg("600").spawn().unwrap());
        Self { directory, _process: process }
    }

    fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    fn files(&self) -> usize {
        fs::read_dir(self.data()).unwrap().count()
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

struct Probe {
    process: Process,
    address: String,
}

impl Probe {
    fn start(fsync_dir: &Path, peers: &str) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let process = Command::new(env!("CARGO_BIN_EXE_kapture-probe"))
            .env("SERVICE_ADMIN_ADDR", &address)
            .env("PROBE_TARGET", "redis")
            .env("PROBE_DATA_DIR", fsync_dir)
            .env("PROBE_FSYNC_DIR", fsync_dir)
            .env("PROBE_PEERS", peers)
            .spawn();
        Self { process: Process(process.unwrap()), address }
    }

    /// Waits for a report that is right.
    async fn until(&self, is_right: impl Fn(&Report) -> bool) -> Report {
        let begun = Instant::now();
        let mut last = None;
        while begun.elapsed() < LIMIT {
            if let Ok((_, body)) = http::fetch(&self.address, "/report", LIMIT).await {
                let report: Report = serde_json::from_slice(&body).unwrap();
                if is_right(&report) {
                    return report;
                }
                last = Some(report);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{last:?}");
    }
}

fn count(report: &Report, latency: &str) -> u64 {
    report.latencies[latency].decode().unwrap().len()
}

#[tokio::test]
async fn a_server_that_is_not_a_broker_is_measured_with_its_disk_and_its_peers() {
    let neighbour = Neighbour::start();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let here = listener.local_addr().unwrap();
    let away = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut probe = Probe::start(&neighbour.data(), &format!("{here},{away}"));
    let (here, away) = (format!("round_trip/{here}"), format!("round_trip/{away}"));
    let report = probe
        .until(|report| count(report, "fsync") >= 2 && count(report, &here) >= 2 && report.unknown.contains_key(&away))
        .await;
    assert_eq!(report.unknown.keys().collect::<Vec<_>>(), [&away]);
    assert!(count(&report, &away) == 0 && report.counters[&format!("{away}_failures")] >= 1);
    assert!(!report.gauges.contains_key("in_sync"));
    let found = report.neighbour.unwrap();
    assert_eq!(found.name, "redis");
    assert!(found.incarnation.is_some() && found.resources.processes.is_some() && found.resources.node.is_none());
    assert!(report.resources.unwrap().node.unwrap().cpu_total_us > Some(0));
    let (status, _) = http::fetch(&probe.address, "/readyz", LIMIT).await.unwrap();
    assert_eq!(status, http::StatusCode::OK);

    // A second at most, whatever the interval of the rest.
    assert_eq!(neighbour.files(), 1);
    probe.process.signal("-KILL");
    assert_eq!(neighbour.files(), 1, "nobody can clean up after that");
    let mut next = Probe::start(&neighbour.data(), "");
    next.until(|report| count(report, "fsync") >= 1).await;
    assert_eq!(neighbour.files(), 1);
    next.process.signal("-TERM");
    assert_eq!(neighbour.files(), 0);

    let gone = Probe::start(&neighbour.data().join("gone"), "");
    let report = gone.until(|report| report.unknown.contains_key("fsync")).await;
    assert!(report.unknown["fsync"].starts_with("writing to /"), "{:?}", report.unknown);
    assert_eq!(count(&report, "fsync"), 0);
}
