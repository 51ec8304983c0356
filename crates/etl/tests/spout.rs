//! What the spout promises, against a real Kafka and a real Postgres.
//!
//! Needs the servers of `ci/servers up`: see the crate `test-servers`.

mod servers;

use std::process::{Child, Command};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use petstore::Sale;
use servers::proxy::Proxy;
use servers::receipts::{assert_exact, multiply, part, receipts};
use servers::{Part, eventually, sales};
use test_servers::Servers;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_stored_sale_comes_back_once_unaltered_and_in_order() {
    let (part, mut filler) = part().await;
    let sales = sales();
    let (early, late) = sales.split_at(sales.len() - 100);
    let (one, two) = (part.start(), part.start());
    for sales in early.chunks(500) {
        filler.fill(sales).await;
    }
    eventually("all is back", async || receipts(&part).len() >= early.len()).await;
    assert_exact(&receipts(&part), early);
    let (one, two) = (one.stop().await, two.stop().await);
    assert_eq!(one.spout.sales.get() + two.spout.sales.get(), early.len() as u64);

    // Whoever comes next brings back what is new, and nothing else.
    let third = part.start();
    filler.fill(late).await;
    eventually("the rest is back", async || receipts(&part).len() >= sales.len()).await;
    assert_exact(&receipts(&part), &sales);
    assert_eq!(third.stop().await.spout.sales.get(), late.len() as u64);
    part.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_somebody_spoilt_is_left_out_and_nothing_stops() {
    let (part, mut filler) = part().await;
    let sales = &sales()[..50];
    filler.fill(sales).await;
    part.sql(
        "UPDATE sale_events SET items = '{\"no\": \"items\"}' WHERE index = 7; \
         UPDATE sale_events SET cents = -1 WHERE index = 8; UPDATE sale_events SET state = 'x' WHERE index = 9",
    )
    .await;
    let spout = part.start();
    eventually("the others are back", async || receipts(&part).len() >= sales.len() - 3).await;
    let others: Vec<Sale> = sales.iter().filter(|sale| !(7..10).contains(&sale.id.index)).cloned().collect();
    assert_exact(&receipts(&part), &others);
    assert_eq!(spout.stop().await.spout.malformed.get(), 3);
    part.remove().await;
}

/// What is read at once takes Postgres longer than it may, until it is asked for less.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backlog_that_postgres_cannot_read_in_time_drains_and_the_spout_stays_in_its_group() {
    let (part, mut filler) = part().await;
    let block = sales();
    filler.fill(&block).await;
    let sales = multiply(&part, &block, 60).await;
    part.sql(
        "ALTER TABLE sale_events RENAME TO kept; \
         CREATE VIEW sale_events AS SELECT run, loader, block, index, topic, partition, kafka_offset, epoch, due, state, store, \
         customer, time, cents, digest, \
         CASE WHEN index % 100 > 0 OR pg_sleep(0.005) IS NOT NULL THEN items END AS items FROM kept",
    )
    .await;
    let part = part.hurried("500ms").await;
    let spout = part.start();
    let returned = || spout.metrics.spout.sales.get();
    eventually("all is back", async || returned() >= sales.len() as u64).await;
    assert_eq!(spout.metrics.transactions.rebalances.load(Ordering::Relaxed), 1, "it stayed in its group");
    assert!(spout.metrics.spout.store_errors.get() > 0, "nothing took too long");
    assert_exact(&receipts(&part), &sales);
    assert_eq!(spout.stop().await.spout.sales.get(), sales.len() as u64);
    part.remove().await;
}

/// Longer than a member may be silent, which is half a minute.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_does_not_answer_costs_no_membership_and_holds_up_no_stop() {
    let (part, mut filler) = part().await;
    let proxy = Proxy::new(part.store_port()).await;
    let part = part.by_way_of(proxy.port);
    let sales = &sales()[..200];
    let spout = part.start();
    filler.fill(&sales[..100]).await;
    eventually("something is back", async || spout.metrics.spout.sales.get() == 100).await;
    proxy.hold(true);
    tokio::time::sleep(Duration::from_secs(36)).await;
    proxy.hold(false);
    filler.fill(&sales[100..]).await;
    eventually("the rest is back", async || spout.metrics.spout.sales.get() == 200).await;
    assert_eq!(spout.metrics.transactions.rebalances.load(Ordering::Relaxed), 1, "it stayed in its group");

    proxy.hold(true);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let begun = Instant::now();
    spout.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(8), "stopped after {} ms", begun.elapsed().as_millis());
    assert_exact(&receipts(&part), sales);
    part.remove().await;
}

/// The program itself; killed when dropped.
struct Spout(Child);

impl Drop for Spout {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn spawn(part: &Part, instance: &str) -> Spout {
    let (servers, postgres) = (Servers::running(), part.postgres());
    let mut command = Command::new(env!("CARGO_BIN_EXE_kapture-etl"));
    command
        .env_clear()
        .envs(servers.environment("kafka"))
        .envs(servers.environment("postgres"))
        .env("POSTGRES_SCHEMA", postgres.schema.to_string().trim_matches('"'))
        .env("KAFKA_PREFIX", part.kafka.prefix.as_str())
        .env("KAFKA_SALES_PARTITIONS", "1")
        .env("SERVICE_ADMIN_ADDR", "127.0.0.1:0")
        .env("ETL_ROLE", "spout")
        .env("ETL_INSTANCE", instance)
        .env("ETL_TRANSACTION_INTERVAL", "20ms");
    Spout(command.spawn().unwrap())
}

/// Two instances, each killed at random moments while sales are stored. A new pod has another name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_spouts_lose_and_double_nothing() {
    let (part, mut filler) = part().await;
    let sales = sales();
    let mut instances = [spawn(&part, "a"), spawn(&part, "b")];
    let filling = {
        let sales = sales.clone();
        tokio::spawn(async move {
            for sales in sales.chunks(20) {
                filler.fill(sales).await;
            }
        })
    };
    for kill in 0..6 {
        let (before, begun) = (receipts(&part).len(), Instant::now());
        eventually("receipts come", async || receipts(&part).len() > before || filling.is_finished()).await;
        tokio::time::sleep(Duration::from_millis(rand::random::<u64>() % 100)).await;
        let name = if kill < 3 { ["a", "b"][kill % 2].to_owned() } else { format!("new-{kill}") };
        instances[kill % 2].0.kill().unwrap();
        instances[kill % 2] = spawn(&part, &name);
        eprintln!("kill {kill} after {} ms, at {before} receipts", begun.elapsed().as_millis());
    }
    filling.await.unwrap();
    eventually("all is back", async || receipts(&part).len() >= sales.len()).await;
    assert_exact(&receipts(&part), &sales);
    drop(instances);
    part.remove().await;
}
