//! A Kafka that was emptied. Roles that run end; those that start stop, unless they are told to go on with the new one.
//!
//! Needs the servers of `ci/servers up`: see the crate `test-servers`.

mod servers;

use etl::Role;
use petstore::{BlockId, Sale, SaleId};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use servers::receipts::{Filler, assert_exact, part, receipts};
use servers::{Instance, Part, block_id, eventually, sales};
use stores::Counts;

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

/// The block of another run, as a loader begins one on an emptied Kafka.
fn next_run(run: u32) -> BlockId {
    BlockId { run: block_id().run + run, ..block_id() }
}

/// The same sales in another run.
fn sales_of(run: u32) -> Vec<Sale> {
    let again = |sale: Sale| Sale { id: SaleId { run: next_run(run).run, ..sale.id }, ..sale };
    sales().into_iter().map(again).collect()
}

/// With more sales than the new Kafka gets, so that the old positions are beyond the ends of its logs.
async fn fill_and_empty(part: &Part) {
    let instance = part.start();
    part.send(&sales()[..500], 100);
    part.expect(block_id(), 500).await;
    instance.stop().await;
    part.empty_kafka().await;
}

async fn a_sink_that_is_told_to_goes_on_with_an_emptied_kafka(role: Role) {
    let part = Part::new(role).await.adopting();
    fill_and_empty(&part).await;
    let before = part.positions().await.installation;

    let instance = part.start();
    part.send(&sales_of(1)[..100], 100);
    part.expect(next_run(1), 100).await;
    assert_eq!(part.counts(block_id()).await.unwrap(), Counts { found: 500, conflicts: 0 }, "what is there stays");
    assert_ne!(part.positions().await.installation, before);
    assert_eq!(instance.stop().await.sink.adopted.get(), 1);

    // Its own positions are kept.
    let instance = part.start();
    part.send(&sales_of(1)[100..200], 100);
    part.expect(next_run(1), 200).await;
    assert_eq!(instance.stop().await.sink.adopted.get(), 0);
    part.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_that_is_told_to_goes_on_with_an_emptied_kafka() {
    a_sink_that_is_told_to_goes_on_with_an_emptied_kafka(Role::Redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_that_is_told_to_goes_on_with_an_emptied_kafka() {
    a_sink_that_is_told_to_goes_on_with_an_emptied_kafka(Role::Postgres).await;
}

async fn a_sink_that_is_not_told_to_stops_and_leaves_the_positions(role: Role) {
    let part = Part::new(role).await;
    fill_and_empty(&part).await;
    let before = part.positions().await;
    let words = part.start().last_words().await;
    assert!(words.contains("belong to another Kafka, or to this one before it was emptied"), "{words}");
    assert_eq!(part.positions().await, before);
    part.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_that_is_not_told_to_stops_and_leaves_the_positions() {
    a_sink_that_is_not_told_to_stops_and_leaves_the_positions(Role::Redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_that_is_not_told_to_stops_and_leaves_the_positions() {
    a_sink_that_is_not_told_to_stops_and_leaves_the_positions(Role::Postgres).await;
}

/// Three start at once, one of them is gone at once, and all of that twice. Sales of the new Kafka that were written before
/// somebody dropped its positions would be written again, and show as conflicts in Redis.
async fn of_sinks_that_race_one_drops_the_positions(role: Role) {
    let part = Part::new(role).await.adopting();
    fill_and_empty(&part).await;
    for run in 1..=2 {
        part.send(&sales_of(run)[..200], 20);
        let killed = part.start();
        let instances = [part.start(), part.start()];
        drop(killed);
        part.send(&sales_of(run)[200..400], 20);
        part.expect(next_run(run), 400).await;
        let mut adopted = 0;
        for instance in instances {
            adopted += instance.stop().await.sink.adopted.get();
        }
        // The one that was dropped may have been first.
        assert!(adopted <= 1, "{adopted}");
        part.expect(next_run(run), 400).await;
        part.empty_kafka().await;
    }
    part.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_redis_sinks_that_race_one_drops_the_positions() {
    of_sinks_that_race_one_drops_the_positions(Role::Redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_postgres_sinks_that_race_one_drops_the_positions() {
    of_sinks_that_race_one_drops_the_positions(Role::Postgres).await;
}

/// Postgres has rows of both Kafkas at the same offsets.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_spout_waits_for_the_sink_and_then_returns_only_sales_of_the_new_kafka() {
    let (part, mut filler) = part().await;
    filler.fill(&sales()[..200]).await;
    part.empty_kafka().await;
    let words = part.start().last_words().await;
    assert!(words.contains("belong to another Kafka, or to this one before it was emptied"), "{words}");

    let adopting = part.adopting();
    let instance = adopting.start();
    eventually("it waits", async || {
        instance.health.serving().is_err_and(|why| why.contains("waiting for the role postgres to adopt"))
    })
    .await;
    let mut filler = Filler::new(&part).await;
    filler.adopt().await;
    let sales = sales_of(1);
    filler.fill(&sales[..100]).await;
    eventually("they are back", async || instance.metrics.spout.sales.get() == 100).await;
    filler.fill(&sales[100..300]).await;
    eventually("more are back", async || instance.metrics.spout.sales.get() == 300).await;
    instance.stop().await;
    assert_exact(&receipts(&part), &sales[..300]);
    part.remove().await;
}
