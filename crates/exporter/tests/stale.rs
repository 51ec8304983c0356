//! What the exporter shows of programs that come, stop and hang. Needs no server.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::registry::Registry;
use service::state::{BenchmarkRun, Instance};
use service::{Admin, Figures, Health, Latency};
use support::Exporter;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const LIMIT: Duration = Duration::from_secs(20);

/// A program that counts on while it is asked.
struct Program {
    address: String,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Program {
    async fn start(program: &'static str, stage: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (count, latency) = (Arc::new(AtomicU64::new(0)), Latency::default());
        let figures = move || {
            let count = count.fetch_add(100, Ordering::Relaxed) + 100;
            latency.record_n(0, 20_000, 100);
            Figures::default().counter(stage, count).latency(stage, &latency).gauge("rate", 500.0)
        };
        let config = service::Config { pod: stage.to_owned(), ..service::Config::default() };
        let admin = Admin::new(&config, program, Registry::default(), Health::default(), figures);
        Self { address, task: tokio::spawn(admin.serve_on(listener, CancellationToken::new())) }
    }
}

#[tokio::test]
async fn who_falls_silent_is_shown_stale_and_not_as_zero() {
    let loader = Program::start("loader", "accepted").await;
    let fan_out = Program::start("etl-fan-out", "routed").await;
    let targets = format!("loader={},etl-fan-out={}", loader.address, fan_out.address);
    let exporter = Exporter::start(&targets, support::no_kafka()).await;
    let before = exporter
        .until("both report, and with a rate", LIMIT, |state| state.stages.iter().all(|stage| stage.rate.is_some()))
        .await;
    assert!(before.stages.iter().all(|stage| stage.stale == 0 && stage.sales >= Some(100)), "{before:#?}");
    assert_eq!(before.stages[1].latency.unwrap().p99_us.unwrap() / 1_000, 20);

    fan_out.task.abort();
    let state = exporter.until("the one that stopped is stale", LIMIT, |state| state.stages[1].stale == 1).await;
    let (accepted, routed) = (&state.stages[0], &state.stages[1]);
    assert!(routed.sales >= before.stages[1].sales, "the total stays: {routed:?}");
    assert_eq!(routed.rate, None, "no rate is known, which is not 0");
    assert!(routed.age_seconds > Some(5.0), "{routed:?}");
    assert!(routed.latency.is_some(), "{routed:?}");
    assert_eq!(routed.lag, None, "no Kafka says what the counters leave open");
    assert!(accepted.rate > Some(0.0) && accepted.stale == 0, "the other goes on: {accepted:?}");
    let instance = instance(&state.instances, "routed");
    assert!(instance.stale && instance.error.is_some() && instance.counters["routed"] > 0, "{instance:?}");

    let now = service::unix_us() as f64 / 1e6;
    let ages: Vec<_> =
        exporter.metric("kapture_last_report_timestamp_seconds").await.into_iter().map(|came| now - came).collect();
    assert!(ages.iter().any(|age| *age > 5.0) && ages.iter().any(|age| *age < 5.0), "{ages:?}");
    assert_eq!(exporter.metric("kapture_stage_sales_total").await.len(), 2);
    assert_eq!(exporter.metric("kapture_stage_sales_per_second").await.len(), 1);
    assert_eq!(exporter.metric("kapture_stage_lag_sales").await, [0.0], "that of accepted only");
    assert_eq!(exporter.metric("kapture_loader_asked_sales_per_second").await, [500.0]);
    assert_eq!(exporter.metric("kapture_latency_seconds_count").await.len(), 2);
}

#[tokio::test]
async fn every_program_tells_how_its_clock_differs() {
    let loader = Program::start("loader", "accepted").await;
    let exporter = Exporter::start(&format!("loader={}", loader.address), support::no_kafka()).await;
    let state = exporter.until("it reports", LIMIT, |state| state.instances.iter().any(|it| it.clock.is_some())).await;
    let clock = state.instances[0].clock.unwrap();
    assert!(clock.offset_us.unsigned_abs() <= clock.error_us && clock.error_us < 900_000, "it is the same: {clock:?}");
    assert_eq!(exporter.metric("kapture_clock_offset_seconds").await.len(), 1);
    assert_eq!(exporter.metric("kapture_clock_offset_error_seconds").await.len(), 1);
}

#[tokio::test]
async fn an_address_that_another_component_has_taken_over_tells_nothing_of_the_first() {
    let loader = Program::start("loader", "accepted").await;
    let targets = format!("etl-fan-out={0},loader={0}", loader.address);
    let exporter = Exporter::start(&targets, support::no_kafka()).await;
    let state = exporter.until("the loader reports", LIMIT, |state| state.stages[0].rate.is_some()).await;
    let fan_out = state.instances.iter().find(|it| it.component == "etl-fan-out").unwrap();
    assert_eq!(fan_out.error.as_deref(), Some("the address is one of loader now"));
    assert_eq!((fan_out.stale, fan_out.pod.as_ref(), state.stages[1].sales), (true, None, None));
}

#[tokio::test]
async fn findings_are_shown_by_stage_and_kind_while_the_auditor_answers() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let account = serde_json::json!({
        "stages": { "routed": { "found": 7, "late": 2, "lost": 1 } }, "auditable": true,
        "counts": [{ "stage": "routed", "kind": "lost", "findings": 1 }],
    });
    let (config, registry) = (service::Config::default(), Registry::default());
    let auditor =
        Admin::new(&config, "auditor", registry, Health::default(), Figures::default).routes(move |request| {
            std::future::ready((request.uri().path() == "/api/v1/account").then(|| service::http::json(&account)))
        });
    let auditor = tokio::spawn(auditor.serve_on(listener, CancellationToken::new()));
    let exporter = Exporter::start(&format!("auditor={address}"), support::no_kafka()).await;
    let state = exporter.until("they are shown", LIMIT, |state| state.findings.is_some()).await;
    assert_eq!(state.findings.unwrap().total, 1);
    let findings = exporter.metric("kapture_findings").await;
    assert_eq!(findings.len(), 8, "each kind has a series from the start");
    assert_eq!(findings.iter().filter(|count| **count > 0.0).collect::<Vec<_>>(), [&1.0]);
    auditor.abort();
    exporter.until("nobody knows any more", LIMIT, |state| state.findings.is_none()).await;
    assert!(exporter.metric("kapture_findings").await.is_empty());
}

#[tokio::test]
async fn a_benchmark_is_shown_while_it_runs() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let run = BenchmarkRun { name: "run-1".to_owned(), step: Some(3), rate: Some(800.0), ..BenchmarkRun::default() };
    let (config, registry, served) = (service::Config::default(), Registry::default(), run.clone());
    let benchmark =
        Admin::new(&config, "benchmark", registry, Health::default(), Figures::default).routes(move |request| {
            std::future::ready((request.uri().path() == "/api/v1/run").then(|| service::http::json(&served)))
        });
    let shutdown = CancellationToken::new();
    let benchmark = tokio::spawn(benchmark.serve_on(listener, shutdown.clone()));
    let exporter = Exporter::start(&format!("benchmark={address}"), support::no_kafka()).await;
    let state = exporter.until("it is shown", LIMIT, |state| state.benchmark.is_some()).await;
    assert_eq!(state.benchmark, Some(run));
    assert_eq!(state.results, None, "what Kafka has is not known");
    shutdown.cancel();
    benchmark.await.unwrap().unwrap();
    let over = |state: &service::state::State| state.benchmark.is_none() && state.instances.is_empty();
    exporter.until("it is over, and nobody is missed", LIMIT, over).await;
}

#[tokio::test]
async fn one_that_hangs_holds_up_nobody() {
    let loader = Program::start("loader", "accepted").await;
    let hanging = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let targets = format!("loader={},etl-fan-out={}", loader.address, hanging.local_addr().unwrap());
    let exporter = Exporter::start(&targets, support::no_kafka()).await;
    let heard = exporter.until("the other reports", LIMIT, |state| state.stages[0].sales > Some(500)).await;
    assert!(heard.stages[0].age_seconds < Some(1.5), "{heard:#?}");
    let state = exporter
        .until("the one that hangs is named", LIMIT, |state| state.instances.iter().any(|it| it.error.is_some()))
        .await;
    let silent = state.instances.iter().find(|it| it.component == "etl-fan-out").unwrap();
    assert!(silent.error.as_ref().unwrap().contains("no answer in 900ms"), "{silent:?}");
    assert!(silent.stale && silent.pod.is_none() && silent.age_seconds.is_none(), "{silent:?}");
    assert_eq!(state.stages[1].sales, None, "what was never heard is not 0");
}

#[tokio::test]
async fn a_kafka_that_never_answered_is_absent_and_harms_nothing() {
    let loader = Program::start("loader", "accepted").await;
    let exporter = Exporter::start(&format!("loader={}", loader.address), support::no_kafka()).await;
    let state = exporter.until("the loader reports", LIMIT, |state| state.stages[0].sales.is_some()).await;
    assert!(state.kafka.is_none());
    assert!(exporter.metric("kafka_brokers").await.is_empty());
    let since = std::time::Instant::now();
    while exporter.metric("kapture_exporter_kafka_up").await != [0.0] {
        assert!(since.elapsed() < LIMIT, "that it doesn't answer is a figure of its own");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(exporter.metric("kapture_exporter_last_poll_timestamp_seconds").await.len(), 1, "of the reports only");
    assert_eq!(exporter.get("/livez").await, "ok\n");
    assert!(exporter.get("/").await.contains("<!doctype html>"));
    let reports: Vec<service::state::Received> = serde_json::from_str(&exporter.get("/api/v1/reports").await).unwrap();
    assert_eq!((reports[0].component.as_str(), reports[0].report.pod.as_str()), ("loader", "accepted"));
}

#[tokio::test]
async fn a_poll_that_nobody_answered_is_no_success() {
    let exporter = Exporter::start("loader=127.0.0.1:1", support::no_kafka()).await;
    let refused = |state: &service::state::State| state.instances.iter().any(|it| it.error.is_some());
    exporter.until("it was asked", LIMIT, refused).await;
    assert!(exporter.metric("kapture_exporter_last_poll_timestamp_seconds").await.is_empty());
}

fn instance<'a>(instances: &'a [Instance], pod: &str) -> &'a Instance {
    instances.iter().find(|it| it.pod.as_deref() == Some(pod)).unwrap()
}
