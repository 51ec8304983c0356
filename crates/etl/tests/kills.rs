//! Servers are killed under a sink's hands. In a file of its own, since these servers are everybody's.

mod servers;

use std::time::Duration;

use etl::Role;
use servers::{Part, block_id, eventually, receipts, sales};
use test_servers::Servers;
use tokio::sync::Mutex;

/// One kill at a time.
static SERVERS: Mutex<()> = Mutex::const_new(());

/// Two instances write while the store is killed three times.
async fn a_killed_store_loses_and_doubles_nothing(role: Role, server: &'static str) {
    let _alone = SERVERS.lock().await;
    let part = Part::new(role).await;
    let instances = [part.start(), part.start()];
    let sales = sales();
    let sending = {
        let (part, sales) = (part.clone(), sales.clone());
        tokio::task::spawn_blocking(move || part.send_slowly(&sales, 20, Duration::from_millis(50)))
    };
    let metric = |read: fn(&etl::Metrics) -> u64| instances.iter().map(|one| read(&one.metrics)).sum::<u64>();
    for _ in 0..3 {
        let (stored, errors) = (metric(|one| one.sink.sales.get()), metric(|one| one.sink.store_errors.get()));
        eventually("something is stored", async || metric(|one| one.sink.sales.get()) > stored).await;
        let killed = Servers::running().kill(server);
        eventually("a write fails", async || metric(|one| one.sink.store_errors.get()) > errors).await;
        drop(killed);
    }
    assert!(!sending.is_finished(), "the last kill came after the last sale");
    sending.await.unwrap();
    part.expect(block_id(), sales.len()).await;
    for instance in instances {
        assert_eq!((instance.health.live(), instance.health.serving()), (Ok(()), Ok(())));
        instance.stop().await;
    }
    part.expect(block_id(), sales.len()).await;
    part.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_postgres_loses_and_doubles_nothing() {
    a_killed_store_loses_and_doubles_nothing(Role::Postgres, "postgres").await;
}

/// What it had not yet on disk comes again, position and all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_redis_loses_and_doubles_nothing() {
    a_killed_store_loses_and_doubles_nothing(Role::Redis, "redis").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_kafka_is_waited_for_and_the_sink_goes_on() {
    let _alone = SERVERS.lock().await;
    let part = Part::new(Role::Postgres).await;
    let sales = sales();
    let half = sales.len() / 2;
    let instance = part.start();
    part.send(&sales[..half], 100);
    eventually("something is stored", async || instance.metrics.sink.sales.get() > 0).await;
    let killed = Servers::running().kill("kafka");
    eventually("it is noticed", async || instance.health.serving().is_err()).await;
    drop(killed);
    part.send(&sales[half..], 100);
    part.expect(block_id(), sales.len()).await;
    eventually("all is well", async || instance.health.serving().is_ok()).await;
    instance.stop().await;
    part.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_kafka_is_waited_for_and_the_spout_goes_on() {
    let _alone = SERVERS.lock().await;
    let (part, mut filler) = receipts::part().await;
    let sales = &sales()[..600];
    let instance = part.start();
    filler.fill(&sales[..300]).await;
    eventually("something is back", async || !receipts::receipts(&part).is_empty()).await;
    let killed = Servers::running().kill("kafka");
    eventually("it is noticed", async || instance.health.serving().is_err()).await;
    drop(killed);
    filler.fill(&sales[300..]).await;
    eventually("all is back", async || receipts::receipts(&part).len() >= sales.len()).await;
    receipts::assert_exact(&receipts::receipts(&part), sales);
    eventually("all is well", async || instance.health.serving().is_ok()).await;
    instance.stop().await;
    part.remove().await;
}
