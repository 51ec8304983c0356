//! What the exporter shows of programs that come, stop and hang. Needs no server.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::registry::Registry;
use service::state::Instance;
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
    async fn start(stage: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (count, latency) = (Arc::new(AtomicU64::new(0)), Latency::default());
        let figures = move || {
            let count = count.fetch_add(100, Ordering::Relaxed) + 100;
            latency.record_n(0, 20_000, 100);
            Figures::default().counter(stage, count).latency(stage, &latency).gauge("rate", 500.0)
        };
        let config = service::Config { pod: stage.to_owned(), ..service::Config::default() };
        let admin = Admin::new(&config, "program", Registry::default(), Health::default(), figures);
        Self { address, task: tokio::spawn(admin.serve_on(listener, CancellationToken::new())) }
    }
}

#[tokio::test]
async fn who_falls_silent_is_shown_stale_and_not_as_zero() {
    let (loader, fan_out) = (Program::start("accepted").await, Program::start("routed").await);
    let targets = format!("loader={},etl-fan-out={}", loader.address, fan_out.address);
    let exporter = Exporter::start(&targets, support::no_kafka()).await;
    let before = exporter
        .until("both report, and with a rate", LIMIT, |state| state.stages.iter().all(|stage| stage.rate.is_some()))
        .await;
    assert!(before.stages.iter().all(|stage| stage.stale == 0 && stage.sales >= Some(100)), "{before:#?}");
    assert_eq!(before.stages[1].latency.unwrap().p99_us / 1_000, 20);

    fan_out.task.abort();
    let state = exporter.until("the one that stopped is stale", LIMIT, |state| state.stages[1].stale == 1).await;
    let (accepted, routed) = (&state.stages[0], &state.stages[1]);
    assert!(routed.sales >= before.stages[1].sales, "the total stays: {routed:?}");
    assert_eq!(routed.rate, None, "no rate is known, which is not 0");
    assert!(routed.age_seconds > Some(5.0), "{routed:?}");
    assert!(routed.latency.is_some() && routed.lag.is_some(), "{routed:?}");
    assert!(accepted.rate > Some(0.0) && accepted.stale == 0, "the other goes on: {accepted:?}");
    let instance = instance(&state.instances, "routed");
    assert!(instance.stale && instance.error.is_some() && instance.counters["routed"] > 0, "{instance:?}");

    let ages = exporter.metric("kapture_report_age_seconds").await;
    assert!(ages.iter().any(|age| *age > 5.0) && ages.iter().any(|age| *age < 5.0), "{ages:?}");
    assert_eq!(exporter.metric("kapture_stage_sales_total").await.len(), 2);
    assert_eq!(exporter.metric("kapture_stage_rate").await.len(), 1);
    assert!(exporter.metric("kapture_lag_sales").await.iter().all(|lag| *lag >= 0.0));
    assert_eq!(exporter.metric("kapture_loader_asked_rate").await, [500.0]);
    assert_eq!(exporter.metric("kapture_latency_seconds_count").await.len(), 2);
}

#[tokio::test]
async fn one_that_hangs_holds_up_nobody() {
    let loader = Program::start("accepted").await;
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
    let loader = Program::start("accepted").await;
    let exporter = Exporter::start(&format!("loader={}", loader.address), support::no_kafka()).await;
    let state = exporter.until("the loader reports", LIMIT, |state| state.stages[0].sales.is_some()).await;
    assert!(state.kafka.is_none());
    assert!(exporter.metric("kafka_brokers").await.is_empty());
    assert_eq!(exporter.get("/livez").await, "ok\n");
    assert!(exporter.get("/").await.contains("<!doctype html>"));
    let reports: Vec<service::state::Received> = serde_json::from_str(&exporter.get("/api/v1/reports").await).unwrap();
    assert_eq!((reports[0].component.as_str(), reports[0].report.pod.as_str()), ("loader", "accepted"));
}

fn instance<'a>(instances: &'a [Instance], pod: &str) -> &'a Instance {
    instances.iter().find(|it| it.pod.as_deref() == Some(pod)).unwrap()
}
