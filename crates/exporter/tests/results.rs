//! The results of benchmarks, through a real Kafka.
//!
//! Needs the servers of `ci/servers up`: see the crate `test-servers`.

mod support;

use std::time::Duration;

use kafka::results::{self, Content, Fit, KEPT, Packed, RECORD_BYTES, RunName, RunResult, VERSION};
use kafka::{Config, Topic};
use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use service::http;
use service::state::{BenchmarkResult, State};
use support::Exporter;
use tokio_util::sync::CancellationToken;

const LIMIT: Duration = Duration::from_mins(1);
const PAGE: &str = "<!doctype html><title>a report</title>";

fn result(page: &str) -> RunResult {
    RunResult {
        version: VERSION,
        verdict: "PASS".to_owned(),
        headline: "3,000 sales/s".to_owned(),
        reason: "3,000 sales/s hold; no target was set".to_owned(),
        line: "verdict=PASS capacity=3000".to_owned(),
        kapture: "0.1.0".to_owned(),
        began_us: 1_700_000_000_000_000,
        ended_us: 1_700_000_060_000_000,
        capsule: Some(Packed::pack(r#"{"format":"kapture-capsule"}"#).unwrap()),
        html: Some(Packed::pack(page).unwrap()),
    }
}

fn name(name: &str) -> RunName {
    RunName::try_from(name.to_owned()).unwrap()
}

/// A result whose record has so many bytes.
fn sized(name: &RunName, bytes: usize) -> RunResult {
    let mut result = result(PAGE);
    let short = name.as_str().len() + serde_json::to_vec(&result).unwrap().len();
    result.reason.push_str(&"x".repeat(bytes - short));
    result
}

/// Writes records as anybody could who may write to the topic.
async fn write(kafka: &Config, records: Vec<(Vec<u8>, String)>) {
    kafka.ensure_topics(&[Topic::Results], &CancellationToken::new()).await.unwrap();
    let kafka = kafka.clone();
    let written = move || {
        let producer: BaseProducer = kafka.idempotent_producer().create().unwrap();
        let topic = kafka.names().results();
        for (key, value) in &records {
            producer.send(BaseRecord::to(&topic).key(key).payload(value)).map_err(|(err, _)| err).unwrap();
        }
        producer.flush(LIMIT).unwrap();
    };
    tokio::task::spawn_blocking(written).await.unwrap();
}

async fn read(kafka: &Config) -> Vec<results::Kept> {
    let kafka = kafka.clone();
    tokio::task::spawn_blocking(move || results::read(&kafka, LIMIT).unwrap()).await.unwrap()
}

fn has(state: &State, results: usize) -> bool {
    state.results.as_ref().is_some_and(|kept| kept.len() == results)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_outlives_the_exporter() {
    let kafka = support::kafka();
    let exporter = Exporter::start("loader=localhost:1", kafka.clone()).await;
    exporter.until("no result yet", LIMIT, |state| has(state, 0)).await;
    assert_eq!(results::publish(&kafka, &name("run-1"), result(PAGE), LIMIT).await.unwrap(), Fit::Whole);
    let state = exporter.until("it is read", LIMIT, |state| has(state, 1)).await;
    assert_eq!(exporter.get("/results/run-1.html").await, PAGE);
    drop(exporter);

    let exporter = Exporter::start("loader=localhost:1", kafka.clone()).await;
    let after = exporter.until("another exporter has it", LIMIT, |state| has(state, 1)).await;
    assert_eq!(after.results, state.results);
    let listed: Vec<BenchmarkResult> = serde_json::from_str(&exporter.get("/results").await).unwrap();
    assert_eq!(listed[0].line.as_deref(), Some("verdict=PASS capacity=3000"));
    assert_eq!(listed[0].html.as_deref(), Some("results/run-1.html"));
    assert_eq!(exporter.get("/results/run-1.json").await, r#"{"format":"kapture-capsule"}"#);

    results::publish(&kafka, &name("run-1"), result("<!doctype html>again"), LIMIT).await.unwrap();
    let again = async {
        while exporter.get("/results/run-1.html").await != "<!doctype html>again" {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(LIMIT, again).await.expect("the second run of a name replaces the first");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_wrote_is_shown_by_its_verdict_or_not_at_all() {
    let kafka = support::kafka();
    let mut newer = serde_json::to_value(result(PAGE)).unwrap();
    newer["energy"] = serde_json::json!(7);
    let hostile = ["../api/v1/state", "<img src=x onerror=alert(1)>", "", "a%2fb"];
    let mut records: Vec<_> = hostile.map(|key| (key.as_bytes().to_vec(), newer.to_string())).into();
    records.push((vec![0xff, 0xfe], "{}".to_owned()));
    records.push((b"newer".to_vec(), newer.to_string()));
    records.push((b"broken".to_vec(), "<script>alert(1)</script>".to_owned()));
    write(&kafka, records).await;

    let exporter = Exporter::start("loader=localhost:1", kafka).await;
    let state = exporter.until("they are read", LIMIT, |state| has(state, 2)).await;
    let kept = state.results.unwrap();
    let [broken, newer] = &kept[..] else { panic!() };
    assert_eq!((newer.name.as_str(), newer.verdict.as_deref()), ("newer", Some("PASS")));
    assert!(newer.remark.as_deref().unwrap().starts_with("it was written by Kapture 0.1.0"), "{newer:?}");
    assert!(newer.headline.is_none() && newer.html.is_none() && newer.json.is_none());
    assert_eq!((broken.name.as_str(), broken.verdict.as_deref()), ("broken", None));
    assert!(broken.remark.as_deref().unwrap().starts_with("its record is not a result"), "{broken:?}");
    for path in
        ["newer.html", "broken.json", "..%2fapi%2fv1%2fstate.html", "a%2fb.html", "%3Cimg%3E.html", "..html", ".html"]
    {
        let (status, body) = http::fetch(exporter.address(), &format!("/results/{path}"), LIMIT).await.unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        assert_eq!(status, http::StatusCode::NOT_FOUND, "{path}: {body}");
        assert!(body.starts_with("{\"error\":\"the") && !body.contains('<'), "{path}: {body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_result_fits_and_a_larger_one_loses_its_page() {
    let kafka = support::kafka();
    let (largest, larger) = (name("largest"), name("larger"));
    let whole = results::publish(&kafka, &largest, sized(&largest, RECORD_BYTES), LIMIT).await;
    assert_eq!(whole.unwrap(), Fit::Whole);
    let without = results::publish(&kafka, &larger, sized(&larger, RECORD_BYTES + 1), LIMIT).await;
    assert_eq!(without.unwrap(), Fit::WithoutPage);

    let exporter = Exporter::start("loader=localhost:1", kafka.clone()).await;
    let state = exporter.until("both are read", LIMIT, |state| has(state, 2)).await;
    let kept = state.results.unwrap();
    let [larger, largest] = &kept[..] else { panic!() };
    assert!(larger.html.is_none() && larger.json.is_some() && larger.remark.is_some(), "{larger:?}");
    assert!(largest.html.is_some() && largest.remark.is_none(), "{largest:?}");
    assert_eq!(exporter.get("/results/largest.html").await, PAGE);

    let admin: AdminClient<DefaultClientContext> = kafka.client().create().unwrap();
    let topic = kafka.names().results();
    let asked = admin.describe_configs(&[ResourceSpecifier::Topic(&topic)], &AdminOptions::new()).await.unwrap();
    let settings = asked.into_iter().next().unwrap().unwrap();
    let setting = |name: &str| settings.get(name).unwrap().value.clone().unwrap();
    assert_eq!((setting("cleanup.policy").as_str(), setting("max.message.bytes").as_str()), ("compact", "2097152"));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_newest_results_stay_on_the_topic() {
    let kafka = support::kafka();
    let value = serde_json::to_string(&result(PAGE)).unwrap();
    let keys = (0..KEPT + 2).map(|n| (format!("run-{n}").into_bytes(), value.clone()));
    write(&kafka, keys.collect()).await;
    results::publish(&kafka, &name("last"), result(PAGE), LIMIT).await.unwrap();

    let mut deleted = Vec::new();
    let (config, topic) = (kafka.clone(), kafka.names().results());
    let deleted = tokio::task::spawn_blocking(move || {
        kafka::read_committed(&config, &topic, LIMIT, |record| {
            if record.payload().is_none() {
                deleted.push(String::from_utf8(record.key().unwrap().to_vec()).unwrap());
            }
        })
        .unwrap();
        deleted
    });
    assert_eq!(deleted.await.unwrap(), ["run-0", "run-1", "run-2"]);
    let kept = read(&kafka).await;
    assert_eq!((kept.len(), kept[0].name.as_str(), kept[KEPT - 1].name.as_str()), (KEPT, "last", "run-3"));
    assert!(matches!(kept[0].content, Content::Result(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kafka_that_is_away_is_an_error_in_time() {
    let began = std::time::Instant::now();
    let why =
        results::publish(&support::no_kafka(), &name("run-1"), result(PAGE), Duration::from_secs(3)).await.unwrap_err();
    assert_eq!(format!("{why:#}"), "kafka did not have the topic within 3 s");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}
