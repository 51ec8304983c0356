//! While Kafka hangs the schedule goes on, and everything that was due is sent in the end.
//!
//! Needs the servers of `ci/servers up`: see the crate `test-servers`.
//!
//! A binary of its own: these tests stop the broker that the others use.

mod support;

use std::time::Duration;

use kafka::blocks::Phase;
use support::{Kafka, Loader};
use tokio::sync::Mutex;

/// One test at a time stops the broker.
static BROKER: Mutex<()> = Mutex::const_new(());

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_is_kafkas_fault_and_delays_but_loses_nothing() {
    let _alone = BROKER.lock().await;
    let kafka = Kafka::new();
    // The client's queue holds less than seven seconds of it, and a debug build can make more.
    let mut loader = Loader::start(&kafka, &[("LOADER_RATE", "6000"), ("LOADER_STOP_AFTER", "14s")]);
    loader.reports("1 s of sales", |counters| counters["accepted"] >= 6_000).await;
    kafka.pause(Duration::from_secs(9)).await;
    let planned = 6_000 * 14;
    let report = loader.reports("all sales", |counters| counters["accepted"] == planned).await;
    let counters = &report.counters;
    assert_eq!(["due", "sent", "unknown"].map(|name| counters[name]), [planned, planned, 0]);
    assert!(counters["blocked_us"] > 100_000, "{counters:?}");
    assert!(counters["queue_full"] > 0, "{counters:?}");
    assert!(counters["late_blocked"] > 0, "{counters:?}");
    assert!(!report.latencies["blocked"].decode().unwrap().is_empty());
    // The load has ended as planned; the process stays, and its account is closed.
    loader.reports("closed", |counters| counters["blocks_closed"] == counters["blocks_reserved"]).await;
    assert!(loader.is_ready().await);
    loader.stop().await;
    let audit = kafka.audit();
    assert_eq!((audit.acknowledged, audit.unknown), (usize::try_from(planned).unwrap(), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_longer_than_a_transaction_may_last_is_survived() {
    let _alone = BROKER.lock().await;
    let kafka = Kafka::new();
    let mut loader = Loader::start(&kafka, &[("LOADER_RATE", "400"), ("LOADER_DAYS", "30")]);
    loader.reports("1 s of sales", |counters| counters["accepted"] >= 400).await;
    kafka.pause(Duration::from_secs(14)).await;
    let due = loader.report().await.expect("the admin port answers whatever Kafka does").counters["due"];
    assert!(due >= 400 * 14, "the schedule went on: {due}");
    let report = loader.reports("all that was due", |counters| counters["accepted"] >= due).await;
    assert!(report.counters["blocked_us"] > 0, "no block could be reserved: {:?}", report.counters);
    assert_eq!(report.counters["unknown"], 0);
    loader.stop().await;
    let audit = kafka.audit();
    assert_eq!(audit.unknown, 0);
    assert_eq!(audit.ids(Phase::Closed).len(), audit.blocks.len(), "it went on as itself: nothing is cut");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kafka_that_is_not_there_yet_is_waited_for() {
    let kafka = Kafka::new();
    // Nobody listens on port 1.
    let mut loader = Loader::start(&kafka, &[("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")]);
    let report = loader.reports("anything", |_| true).await;
    assert_eq!(report.counters["due"], 0, "the load begins with the first block");
    assert!(loader.is_live().await && !loader.is_ready().await);
    loader.stop().await;
}
