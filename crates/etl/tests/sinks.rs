//! What both sinks promise, against real servers.

mod servers;

use etl::Role;
use rdkafka::TopicPartitionList;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::topic_partition_list::Offset;
use servers::{Part, block_id, eventually, sales};
use stores::Store;

/// Runs a test for each sink.
macro_rules! for_both {
    ($($test:ident)*) => {
        mod redis {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                let part = super::Part::new(super::Role::Redis).await;
                super::$test(part.clone()).await;
                part.remove().await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                let part = super::Part::new(super::Role::Postgres).await;
                super::$test(part.clone()).await;
                part.remove().await;
            })*
        }
    };
}

for_both! {
    instances_share_all_topics_and_every_sale_lands_once
    a_stop_leaves_the_rest_to_the_next_start
    what_is_no_sale_is_counted_and_left_out
    what_kafka_deleted_is_counted_and_gone_over
    a_store_that_was_put_back_is_filled_again
    another_kafka_ends_the_sink_with_the_command_that_resets
    a_store_ahead_of_kafka_ends_the_sink_with_the_command_that_resets
}

async fn instances_share_all_topics_and_every_sale_lands_once(part: Part) {
    let sales = sales();
    let quarter = sales.len() / 4;
    let first = part.start();
    part.send(&sales[..quarter], 100);
    part.expect(block_id(), quarter).await;

    // More arrive while a second instance takes its share, when it has it, and while the first one leaves.
    let second = part.start();
    part.send(&sales[quarter..2 * quarter], 20);
    eventually("the second has a share", async || second.metrics.sink.rebalances.get() > 0).await;
    part.send(&sales[2 * quarter..3 * quarter], 20);
    part.expect(block_id(), 3 * quarter).await;
    let leaving = tokio::spawn(first.stop());
    part.send(&sales[3 * quarter..], 20);
    part.expect(block_id(), sales.len()).await;

    let first = leaving.await.unwrap();
    assert!(first.sink.rebalances.get() >= 2, "the first had all and then a share");
    eventually("all are counted", async || {
        first.sink.sales.get() + second.metrics.sink.sales.get() == sales.len() as u64
    })
    .await;
    let second = second.stop().await;
    assert!(second.sink.sales.get() >= quarter as u64, "{} of {}", second.sink.sales.get(), sales.len());
    assert_eq!(first.sink.latency.snapshot().len() + second.sink.latency.snapshot().len(), sales.len() as u64);
    assert_eq!(second.sink.malformed.get() + second.sink.gap.get() + second.sink.store_errors.get(), 0);
}

async fn a_stop_leaves_the_rest_to_the_next_start(part: Part) {
    let sales = sales();
    let half = sales.len() / 2;
    for (from, to) in [(0, half), (half, sales.len())] {
        let instance = part.start();
        part.send(&sales[from..to], 500);
        eventually("some are there", async || instance.metrics.sink.sales.get() > 0).await;
        assert_eq!(instance.health.serving(), Ok(()));
        instance.stop().await;
    }
    let last = part.start();
    part.expect(block_id(), sales.len()).await;
    last.stop().await;
}

async fn what_is_no_sale_is_counted_and_left_out(part: Part) {
    let sales = sales();
    part.send(&sales[..100], 100);
    part.send_malformed(&sales[100]);
    part.send(&sales[101..200], 100);
    let instance = part.start();
    part.expect(block_id(), 199).await;
    let metrics = instance.stop().await;
    assert_eq!(metrics.sink.malformed.get(), 1);
}

async fn what_kafka_deleted_is_counted_and_gone_over(part: Part) {
    let sales = sales();
    let state = sales[0].state();
    let of_state: Vec<_> = sales.iter().filter(|sale| sale.state() == state).take(10).cloned().collect();
    part.send(&of_state[..6], 100);
    let mut before = TopicPartitionList::new();
    before.add_partition_offset(&part.kafka.names().state(state), 0, Offset::Offset(4)).unwrap();
    let admin: AdminClient<DefaultClientContext> = part.kafka.client().create().unwrap();
    admin.delete_records(&before, &AdminOptions::new()).await.unwrap();

    let instance = part.start();
    part.send(&of_state[6..], 100);
    part.expect(block_id(), 6).await;
    assert_eq!(instance.stop().await.sink.gap.get(), 4);
}

/// Redis may lose its last second, Postgres be restored from a copy: data and position go back together. Of topics to
/// which nothing more comes as well, and though no write fails.
async fn a_store_that_was_put_back_is_filled_again(part: Part) {
    let sales = sales();
    let instance = part.start();
    part.send(&sales[..500], 100);
    part.expect(block_id(), 500).await;
    empty(&part).await;
    part.expect(block_id(), 500).await;
    empty(&part).await;
    part.send(&sales[500..], 100);
    part.expect(block_id(), sales.len()).await;
    assert!(instance.stop().await.sink.moved.get() > 0);
}

/// Deletes positions and sales, behind the sink's back.
async fn empty(part: &Part) {
    if part.role == Role::Redis {
        let config = part.redis();
        let password = config.password.as_ref().unwrap().expose();
        let client = ::redis::Client::open(format!("redis://:{password}@{}:{}", config.host, config.port)).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let pattern = format!("{}*", config.prefix);
        let keys: Vec<String> = ::redis::cmd("KEYS").arg(pattern).query_async(&mut connection).await.unwrap();
        let _: u64 = ::redis::cmd("DEL").arg(keys).query_async(&mut connection).await.unwrap();
        return;
    }
    part.sql("TRUNCATE positions, sale_events").await;
}

async fn another_kafka_ends_the_sink_with_the_command_that_resets(part: Part) {
    let sales = sales();
    let instance = part.start();
    part.send(&sales[..10], 10);
    part.expect(block_id(), 10).await;
    instance.stop().await;

    let other = part.with_another_kafka().await;
    let words = other.start().last_words().await;
    other.remove().await;
    assert!(words.contains("belong to another Kafka, or to this one before it was emptied"), "{words}");
    assert!(words.contains("drop schema") || words.contains("unlink"), "{words}");
}

async fn a_store_ahead_of_kafka_ends_the_sink_with_the_command_that_resets(part: Part) {
    let installation = part.kafka.installation(&tokio_util::sync::CancellationToken::new()).await.unwrap().to_string();
    let ahead = stores::Part {
        partition: (part.kafka.names().state(sales()[0].state()), 0),
        expected: 0,
        next: 1_000,
        records: Vec::new(),
    };
    let partitions = [ahead.partition.clone()];
    match part.role {
        Role::Redis => put_ahead(stores::redis::Writer::new(part.redis(), installation), &partitions, ahead).await,
        _ => put_ahead(stores::postgres::Writer::new(part.postgres(), installation), &partitions, ahead).await,
    }
    let words = part.start().last_words().await;
    assert!(words.contains("the store is at offset 1000") && words.contains("log ends at 0"), "{words}");
    assert!(words.contains("drop schema") || words.contains("unlink"), "{words}");
}

async fn put_ahead(mut store: impl Store, partitions: &[stores::Partition], ahead: stores::Part) {
    store.positions(partitions).await.unwrap();
    store.write(&[ahead]).await.unwrap();
}
