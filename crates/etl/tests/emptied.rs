//! A Kafka that was emptied while the roles run: each ends, and says so.
//!
//! Needs the servers of `ci/servers up`: see the crate `test-servers`.

mod servers;

use etl::Role;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use servers::receipts::part;
use servers::{Instance, Part, block_id, eventually, sales};

/// Deletes what tells this Kafka from one that was emptied.
async fn empty(part: &Part) {
    let admin: AdminClient<DefaultClientContext> = part.kafka.client().create().unwrap();
    admin.delete_topics(&[&part.kafka.names().blocks()], &AdminOptions::new()).await.unwrap();
}

async fn ends(part: Part, instance: Instance) {
    empty(&part).await;
    let words = instance.last_words().await;
    assert!(words.contains("kafka was emptied or replaced"), "{words}");
}

async fn a_sink_ends_when_kafka_was_emptied(role: Role) {
    let part = Part::new(role).await;
    let instance = part.start();
    part.send(&sales()[..10], 10);
    part.expect(block_id(), 10).await;
    ends(part, instance).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_ends_when_kafka_was_emptied() {
    a_sink_ends_when_kafka_was_emptied(Role::Redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_ends_when_kafka_was_emptied() {
    a_sink_ends_when_kafka_was_emptied(Role::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_spout_ends_when_kafka_was_emptied() {
    let (part, mut filler) = part().await;
    let instance = part.start();
    filler.fill(&sales()[..10]).await;
    eventually("they are back", async || instance.metrics.spout.sales.get() == 10).await;
    ends(part, instance).await;
}
