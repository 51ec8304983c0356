//! What the spout promises, against a real Kafka and a real Postgres.
//!
//! Needs the servers of `ci/servers up`: see the crate `test-servers`.

mod servers;

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use petstore::Sale;
use servers::receipts::{assert_exact, part, receipts};
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
