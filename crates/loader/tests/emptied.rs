//! A Kafka that was emptied under a loader: it ends, and its next start begins another run on topics that it makes.
//!
//! Needs the servers of `ci/servers up`: see the crate `test-servers`.

mod support;

use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use support::{Kafka, LIMIT, Loader};

#[tokio::test(flavor = "multi_thread")]
async fn a_loader_ends_when_kafka_was_emptied_and_the_next_start_begins_another_run() {
    let kafka = Kafka::new();
    let variables = [("LOADER_RATE", "300"), ("LOADER_DAYS", "30")];
    let mut first = Loader::start(&kafka, &variables);
    first.reports("500 sales", |counters| counters["accepted"] >= 500).await;
    let run = kafka.blocks()[0].id.run;

    let names = kafka.config.names();
    let (sales, blocks) = (names.sales(), names.blocks());
    let admin: AdminClient<DefaultClientContext> = kafka.config.client().create().unwrap();
    admin.delete_topics(&[&sales, &blocks], &AdminOptions::new()).await.unwrap();
    let begun = Instant::now();
    let is_there = || {
        let metadata = admin.inner().fetch_metadata(Some(&blocks), LIMIT).unwrap();
        metadata.topics().iter().any(|topic| !topic.partitions().is_empty())
    };
    while is_there() {
        assert!(begun.elapsed() < LIMIT, "the topic is still there");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let (status, log) = first.ended().await;
    assert!(!status.success() && log.contains("kafka was emptied or replaced"), "{log}");

    let mut second = Loader::start(&kafka, &variables);
    second.reports("500 sales", |counters| counters["accepted"] >= 500).await;
    second.stop().await;
    let runs: Vec<u32> = kafka.blocks().iter().map(|block| block.id.run).collect();
    assert!(runs.iter().all(|other| *other != run), "{runs:?} have {run}");
}
