//! `/rate`, asked over a real connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use kafka::blocks::{LoadRecord, Via};
use loader::account::{Account, Owner};
use loader::in_force::ENDED;
use loader::opening::Span;
use loader::rate::{CatchUp, Rate};
use loader::{Load, Metrics, api};
use petstore::Parameters;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use service::http::{HeaderValue, Request, StatusCode, send};
use service::{Admin, Health, Secret};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

const LIMIT: Duration = Duration::from_secs(20);
const TOKEN: &str = "a token with 32 characters in it";

struct Served {
    load: Arc<Load>,
    addr: SocketAddr,
    /// What is sent as a token.
    token: Option<String>,
}

impl Served {
    /// A load of 100/s that has begun.
    async fn with(token: Option<&str>, left: Duration) -> Self {
        let load = Arc::new(Load::new("100".parse::<Rate>().unwrap(), Metrics::default()));
        let record = LoadRecord { began_at_us: 0, micro_rate: 1, length_us: 1, shape: 0, via: Via::Kafka };
        let owner = Owner { run: 1, loader: 0, incarnation: 1, parameters: Parameters::default(), load: record };
        load.open(Account::new(owner, 0), Span { left, ..Span::default() });
        load.begin();
        let secret = token.map(Secret::new);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (reported, asked) = (Arc::clone(&load), Arc::clone(&load));
        let figures = move || reported.figures();
        let config = service::Config::default();
        let admin = Admin::new(&config, "loader", Registry::default(), Health::default(), figures)
            .routes(move |request| std::future::ready(api::answer(&request, &asked, secret.as_ref())));
        tokio::spawn(admin.serve_on(listener, CancellationToken::new()));
        Self { load, addr, token: Some(TOKEN.to_owned()) }
    }

    async fn start() -> Self {
        Self::with(Some(TOKEN), Duration::MAX).await
    }

    async fn ask(&self, method: &str, body: impl Into<Vec<u8>>) -> (StatusCode, Value) {
        let mut request = Request::new(body.into().into());
        *request.method_mut() = method.parse().unwrap();
        *request.uri_mut() = "/rate".parse().unwrap();
        if let Some(token) = &self.token {
            let value = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
            request.headers_mut().insert("authorization", value);
        }
        let (status, body) = send(&self.addr.to_string(), request, LIMIT).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or_else(|_| panic!("not JSON: {body:?}")))
    }

    async fn set(&self, rate: f64, lease: f64, step: &str) -> (StatusCode, Value) {
        self.ask("PUT", json!({"rate": rate, "lease": lease, "step": step}).to_string()).await
    }

    /// A request is refused with a sentence that has these words in it, and the load goes on as before.
    async fn refuses(&self, method: &str, body: impl Into<Vec<u8>>, expected: StatusCode, words: &[&str]) {
        let before = self.load.in_force();
        let (status, answer) = self.ask(method, body).await;
        assert_eq!(status, expected, "{answer}");
        let sentence = answer["error"].as_str().unwrap();
        assert!(words.iter().all(|word| sentence.contains(word)), "{words:?} are not all in: {sentence}");
        let after = self.load.in_force();
        assert_eq!((after.rate, after.segment.unwrap().t0_us), (before.rate, before.segment.unwrap().t0_us));
    }
}

#[tokio::test]
async fn the_configured_rate_is_in_force_until_another_is_set_and_after_it_is_deleted() {
    let served = Served::start().await;
    let (status, answer) = served.ask("GET", "").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        (&answer["rate"], &answer["source"], &answer["step"]),
        (&json!(100.0), &json!("configured"), &json!(null))
    );
    let first = answer["t0_us"].as_i64().unwrap();

    let (status, answer) = served.set(1_200.0, 10.0, "ramp-3").await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(
        (&answer["rate"], &answer["source"], &answer["step"]),
        (&json!(1_200.0), &json!("set"), &json!("ramp-3"))
    );
    let (second, lease) = (answer["t0_us"].as_i64().unwrap(), answer["lease_seconds"].as_f64().unwrap());
    assert!(second >= first && (9.0..=10.0).contains(&lease), "{answer}");
    assert_eq!((&answer["not_offered"], &answer["ended"]), (&json!(0), &json!(null)));

    let (_, renewed) = served.set(1_200.0, 60.0, "ramp-3").await;
    assert_eq!(renewed["t0_us"], second, "no new segment");
    assert!(renewed["lease_seconds"].as_f64().unwrap() > 50.0);
    let (_, other) = served.set(1_200.0, 60.0, "ramp-4").await;
    assert!(other["t0_us"].as_i64().unwrap() > second, "another step");

    let (status, answer) = served.ask("DELETE", "").await;
    assert_eq!((status, &answer["source"], &answer["rate"]), (StatusCode::OK, &json!("configured"), &json!(100.0)));
    assert_eq!(served.ask("DELETE", "").await.0, StatusCode::OK, "nothing is left to be deleted");
}

#[tokio::test]
async fn the_report_tells_the_segment_in_force() {
    let served = Served::start().await;
    served.set(50.0, 10.0, "a").await;
    let body = service::http::get(&served.addr.to_string(), "/report", LIMIT).await.unwrap();
    let report: service::Report = serde_json::from_slice(&body).unwrap();
    let segment = report.segment.unwrap();
    assert_eq!((report.gauges["rate"], segment.rate, segment.step.as_deref()), (50.0, 50.0, Some("a")));
}

#[tokio::test]
async fn a_lease_that_runs_out_brings_the_configured_rate_back() {
    let served = Served::start().await;
    assert_eq!(served.set(0.0, 1.0, "pause").await.1["rate"], 0.0);
    let load = Arc::clone(&served.load);
    tokio::task::spawn_blocking(move || {
        let clock = load.begin();
        let mut schedule = load.schedule(CatchUp::default());
        // The first is the pause, which is followed at once.
        while !load.follow(&mut schedule, clock, clock.elapsed_us()) {}
        while !load.follow(&mut schedule, clock, clock.elapsed_us()) {
            load.wait(Duration::from_millis(10));
        }
    })
    .await
    .unwrap();
    let (_, answer) = served.ask("GET", "").await;
    assert_eq!((&answer["source"], &answer["rate"]), (&json!("configured"), &json!(100.0)));
    let (t0, pause) = (answer["t0_us"].as_i64().unwrap(), answer["previous"]["t0_us"].as_i64().unwrap());
    assert!((1_000_000..3_000_000).contains(&(t0 - pause)), "{answer}");
    assert_eq!((&answer["previous"]["step"], &answer["previous"]["due"]), (&json!("pause"), &json!(0)));
}

#[tokio::test]
async fn only_the_token_opens() {
    let mut served = Served::start().await;
    let body = r#"{"rate": 1, "lease": 10, "step": "a"}"#;
    for token in ["", "x", "a token with 32 characters in i", "a token with 32 characters in itt", "A TOKEN"] {
        served.token = Some(token.to_owned());
        served.refuses("PUT", body, StatusCode::UNAUTHORIZED, &["LOADER_TOKEN"]).await;
        served.refuses("DELETE", "", StatusCode::UNAUTHORIZED, &["LOADER_TOKEN"]).await;
    }
    served.token = None;
    served.refuses("PUT", body, StatusCode::UNAUTHORIZED, &["is missing"]).await;
    assert_eq!(served.ask("GET", "").await.0, StatusCode::OK, "reading needs none");
}

#[tokio::test]
async fn without_a_token_nobody_may_set_the_rate() {
    let mut served = Served::with(None, Duration::MAX).await;
    let sentence = "this loader has no token, so its rate can't be set";
    for token in [None, Some(String::new()), Some(TOKEN.to_owned())] {
        served.token = token;
        served.refuses("PUT", r#"{"rate": 1, "lease": 10, "step": "a"}"#, StatusCode::FORBIDDEN, &[sentence]).await;
        served.refuses("DELETE", "", StatusCode::FORBIDDEN, &[sentence]).await;
    }
}

#[tokio::test]
async fn what_is_wrong_is_named_with_the_fix_and_the_load_goes_on() {
    let served = Served::start().await;
    let rate = ["0.000001 to 1000000", "0 for a pause"];
    let step = ["1 to 64 letters, digits"];
    for (body, words) in [
        (r#"{"rate": -1, "lease": 10, "step": "a"}"#, [&["-1"], &rate[..]].concat()),
        (r#"{"rate": 1000001, "lease": 10, "step": "a"}"#, [&["1000001"], &rate[..]].concat()),
        (r#"{"rate": 1e300, "lease": 10, "step": "a"}"#, [&["1e+300"], &rate[..]].concat()),
        (r#"{"rate": 0.0000001, "lease": 10, "step": "a"}"#, [&["1e-7"], &rate[..]].concat()),
        (r#"{"rate": "1200", "lease": 10, "step": "a"}"#, [&["\"1200\" is not a number"], &rate[..]].concat()),
        (r#"{"rate": null, "lease": 10, "step": "a"}"#, [&["null is not a number"], &rate[..]].concat()),
        (r#"{"rate": [1], "lease": 10, "step": "a"}"#, [&["[1] is not a number"], &rate[..]].concat()),
        (r#"{"rate": NaN, "lease": 10, "step": "a"}"#, vec!["can't be read", "send JSON such as"]),
        (r#"{"rate": 1e999, "lease": 10, "step": "a"}"#, vec!["number out of range", "send JSON such as"]),
        (r#"{"rate": 1, "lease": 0.9, "step": "a"}"#, vec!["0.9", "seconds from 1 to 60"]),
        (r#"{"rate": 1, "lease": 61, "step": "a"}"#, vec!["61", "seconds from 1 to 60"]),
        (r#"{"rate": 1, "lease": "10s", "step": "a"}"#, vec!["\"10s\" is not a number", "seconds from 1 to 60"]),
        (r#"{"rate": 1, "lease": 10, "step": ""}"#, [&["\"\""], &step[..]].concat()),
        (r#"{"rate": 1, "lease": 10, "step": "a b"}"#, [&["\"a b\""], &step[..]].concat()),
        (r#"{"rate": 1, "lease": 10, "step": 7}"#, [&["7"], &step[..]].concat()),
        (r#"{"rate": 1, "step": "a"}"#, vec!["missing field `lease`", "send JSON such as"]),
        (r#"{"rate": 1, "rate": 2, "lease": 10, "step": "a"}"#, vec!["duplicate field `rate`"]),
        (
            r#"{"rate": 1, "lease": 10, "step": "a", "burst": 9}"#,
            vec!["unknown field `burst`", "`rate`, `lease`, `step`"],
        ),
        ("[1, 10, \"a\", 4]", vec!["can't be read"]),
        ("rate=1", vec!["can't be read"]),
        ("", vec!["can't be read"]),
    ] {
        served.refuses("PUT", body, StatusCode::BAD_REQUEST, &words).await;
    }
    served.refuses("PUT", vec![0xff; 40], StatusCode::BAD_REQUEST, &["can't be read"]).await;
    let long = format!(r#"{{"rate": 1, "lease": 10, "step": "{}"}}"#, "a".repeat(65));
    served.refuses("PUT", long, StatusCode::BAD_REQUEST, &step).await;
    for (bytes, words) in [(4_097, ["4097", "4096"]), (100_000, ["64 KiB", ""])] {
        served.refuses("PUT", vec![b' '; bytes], StatusCode::PAYLOAD_TOO_LARGE, &words).await;
    }
    for method in ["POST", "PATCH", "OPTIONS", "X"] {
        served.refuses(method, "{}", StatusCode::METHOD_NOT_ALLOWED, &[method, "use GET, PUT or DELETE"]).await;
    }
    assert_eq!(served.set(0.0, 1.0, &"a".repeat(64)).await.0, StatusCode::OK);
    assert_eq!(served.set(1_000_000.0, 60.0, "0.9_x-").await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_load_that_has_ended_refuses_with_the_reason() {
    let served = Served::with(Some(TOKEN), Duration::ZERO).await;
    for (method, body) in [("PUT", r#"{"rate": 1, "lease": 10, "step": "a"}"#), ("DELETE", "")] {
        let (status, answer) = served.ask(method, body).await;
        assert_eq!(status, StatusCode::CONFLICT);
        assert!(answer["error"].as_str().unwrap().starts_with(ENDED), "{answer}");
    }
    served.load.end(ENDED, &served.load.schedule(CatchUp::default()));
    let (status, answer) = served.ask("GET", "").await;
    assert_eq!((status, &answer["rate"], &answer["ended"]), (StatusCode::OK, &json!(0.0), &json!(ENDED)));
}
