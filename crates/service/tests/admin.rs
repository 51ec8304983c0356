//! The admin port, asked over a real connection.

use std::net::SocketAddr;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use service::http::{self, StatusCode};
use service::{Admin, Config, Figures, Health, Latency, Report};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

const LIMIT: Duration = Duration::from_secs(10);

struct Served {
    addr: SocketAddr,
    health: Health,
    shutdown: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Served {
    async fn start() -> Self {
        let mut registry = Registry::with_prefix("kapture_loader");
        let accepted = Counter::<u64>::default();
        accepted.inc_by(3);
        registry.register("accepted", "Sales accepted", accepted);
        let latency = Latency::default();
        latency.record(0, 5_000);
        let figures =
            move || Figures::default().counter("accepted", 3).gauge("rate", 0.5).latency("accepted", &latency);

        let health = Health::default();
        let shutdown = CancellationToken::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let config = Config { pod: "kapture-loader-0".to_owned(), ..Config::default() };
        let admin = Admin::new(&config, "loader", registry, health.clone(), figures).routes(async |request| {
            (request.uri().path() == "/echo").then(|| http::text(StatusCode::OK, request.into_body()))
        });
        let task = tokio::spawn(admin.serve_on(listener, shutdown.clone()));
        Self { addr, health, shutdown, task }
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        let (status, body) = http::fetch(&self.addr.to_string(), path, LIMIT).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    /// Sends bytes as they are, and returns all that is answered until the connection is closed.
    async fn send(&self, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.addr).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        let _ = timeout(LIMIT, stream.read_to_end(&mut answer)).await.expect("the connection is closed");
        String::from_utf8(answer).unwrap()
    }
}

#[tokio::test]
async fn metrics_are_served_with_those_of_every_program() {
    let (status, body) = Served::start().await.get("/metrics").await;
    assert_eq!(status, StatusCode::OK);
    assert!(body.contains("\nkapture_loader_accepted_total 3\n"), "{body}");
    assert!(body.contains("\nkapture_build_info{program=\"loader\",version=\""), "{body}");
    assert!(body.ends_with("# EOF\n"), "{body}");
}

#[tokio::test]
async fn a_report_says_who_speaks_and_counts_itself() {
    let served = Served::start().await;
    let mut sequences = Vec::new();
    for _ in 0..2 {
        let report: Report = serde_json::from_str(&served.get("/report").await.1).unwrap();
        assert_eq!((report.program.as_str(), report.pod.as_str()), ("loader", "kapture-loader-0"));
        assert_eq!(report.incarnation, service::incarnation());
        assert_eq!(report.counters["accepted"], 3);
        assert_eq!(report.latencies["accepted"].decode().unwrap().len(), 1);
        sequences.push(report.sequence);
    }
    assert_eq!(sequences, [0, 1]);
}

#[tokio::test]
async fn liveness_and_readiness_say_why_not() {
    let served = Served::start().await;
    assert_eq!(served.get("/livez").await, (StatusCode::OK, "ok\n".to_owned()));
    assert_eq!(served.get("/readyz").await, (StatusCode::OK, "ok\n".to_owned()));
    let ready = served.health.ready("kafka");
    let _beat = served.health.loop_("consume", Duration::ZERO);
    let (status, why) = served.get("/livez").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(why.contains("loop consume has not turned"), "{why}");
    assert_eq!(served.get("/readyz").await, (StatusCode::SERVICE_UNAVAILABLE, "kafka: not yet\n".to_owned()));
    ready.set(true);
    assert_eq!(served.get("/readyz").await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_program_may_have_pages_of_its_own() {
    let served = Served::start().await;
    let answer = served.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello").await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\nhello"), "{answer}");
    assert_eq!(served.get("/nothing").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let served = Served::start().await;
    let request = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\n".to_owned();
    let answer = served.send((request + &"x".repeat(99_999)).as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test]
async fn who_never_ends_its_head_is_dropped() {
    let served = Served::start().await;
    let answer = served.send(b"GET /metrics HTTP/1.1\r\nHost: ").await;
    assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn clients_that_say_nothing_or_break_off_do_not_hold_up_a_probe() {
    let served = Served::start().await;
    let mut held = Vec::new();
    for n in 0..160 {
        let mut stream = TcpStream::connect(served.addr).await.unwrap();
        if n % 2 == 0 {
            stream.write_all(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhe").await.unwrap();
        }
        held.push(stream);
    }
    let since = Instant::now();
    let (status, _) = http::fetch(&served.addr.to_string(), "/livez", LIMIT).await.unwrap();
    assert_eq!(status, StatusCode::OK);
    // The kubelet waits 3 s, and a head may take 5 s.
    assert!(since.elapsed() < Duration::from_secs(3), "{:?}", since.elapsed());
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let served = Served::start().await;
    let head = format!("GET /livez HTTP/1.1\r\nHost: x\r\nX-Much: {}\r\n\r\n", "x".repeat(32 << 10));
    let mut stream = TcpStream::connect(served.addr).await.unwrap();
    let _ = stream.write_all(head.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = timeout(LIMIT, stream.read_to_end(&mut answer)).await.expect("the connection is closed");
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn the_port_stays_open_until_the_work_is_done_and_its_last_report_fetched() {
    let served = Served::start().await;
    let beat = served.health.loop_("consume", LIMIT);
    served.shutdown.cancel();
    let report: Report = serde_json::from_str(&served.get("/report").await.1).unwrap();
    assert!(!report.ended, "the loop has not ended");
    drop(beat);
    let fetched = tokio::spawn({
        let addr = served.addr.to_string();
        async move {
            // Until the port closes: the server may not have seen the end of the loop at the first.
            let mut last = None;
            while let Ok(report) = http::get(&addr, "/report", LIMIT).await {
                last = Some(serde_json::from_slice::<Report>(&report).unwrap());
            }
            last
        }
    });
    let since = Instant::now();
    timeout(LIMIT, served.task).await.expect("it ends").unwrap().unwrap();
    assert!(since.elapsed() < Duration::from_millis(1_400), "it waits no longer than for the last report");
    assert!(fetched.await.unwrap().unwrap().ended, "the last report says that it is the last");
}

#[tokio::test]
async fn a_server_that_does_not_answer_costs_no_more_than_the_limit() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = silent.local_addr().unwrap().to_string();
    let err = http::get(&addr, "/report", Duration::from_millis(50)).await.unwrap_err();
    assert!(format!("{err:#}").contains("no answer in 50ms"), "{err:#}");
}
