//! Misbehaviour has its effect, and changes nothing of what arrives.

mod servers;

use std::time::Duration;

use etl::Role;
use serde_json::json;
use servers::{Part, block_id, eventually, sales};

fn habits(variables: serde_json::Value) -> misbehaviour::Config {
    serde_json::from_value(variables).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_redis_sink_with_every_habit_is_late_and_loses_nothing() {
    late_and_complete(Role::Redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_postgres_sink_with_every_habit_is_late_and_loses_nothing() {
    late_and_complete(Role::Postgres).await;
}

async fn late_and_complete(role: Role) {
    let part = Part::new(role).await;
    let sales = &sales()[..600];
    part.send(sales, 100);
    let instance = part.start_misbehaving(
        50,
        habits(json!({
            "sale_delay": "2ms", "layers": 2, "memory_bytes": 16 << 20, "pause": "100ms", "pause_every": "300ms",
        })),
    );
    part.expect(block_id(), sales.len()).await;
    eventually("all are counted", async || instance.metrics.sink.sales.get() == sales.len() as u64).await;
    let metrics = instance.stop().await;
    let latest_us = metrics.sink.latency.snapshot().max();
    let least = Duration::from_millis(2) * u32::try_from(sales.len()).unwrap();
    // A histogram keeps three digits.
    assert!(latest_us as f64 >= least.as_micros() as f64 * 0.99, "{latest_us} us");
    assert_eq!(metrics.sink.malformed.get() + metrics.sink.gap.get() + metrics.sink.store_errors.get(), 0);
    part.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_sink_goes_on_writing_and_stops_soon() {
    let part = Part::new(Role::Redis).await;
    let sales = &sales()[..1_000];
    part.send(sales, 500);
    let instance = part.start_misbehaving(5_000, habits(json!({"sale_delay": "20ms"})));
    eventually("some are there", async || instance.metrics.sink.sales.get() > 0).await;
    // All of them take 20 s.
    let some = instance.metrics.sink.sales.get();
    assert!(some < 500, "{some}");
    let stopping = std::time::Instant::now();
    let metrics = instance.stop().await;
    assert!(stopping.elapsed() < Duration::from_secs(10), "{:?}", stopping.elapsed());
    assert!(metrics.sink.sales.get() < 900);
    part.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unbatched_each_sale_is_a_commit() {
    let part = Part::new(Role::Postgres).await;
    let sales = &sales()[..200];
    let instance = part.start_with(1);
    part.send(sales, 100);
    part.expect(block_id(), sales.len()).await;
    eventually("all are counted", async || instance.metrics.sink.sales.get() == sales.len() as u64).await;
    assert_eq!(instance.stop().await.sink.batches.get(), sales.len() as u64);
    part.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_is_not_ready_while_it_is_busy_with_its_start() {
    let part = Part::new(Role::Redis).await;
    let instance = part.start_misbehaving(5_000, habits(json!({"start_up": "3s"})));
    eventually("it has begun", async || instance.health.serving().is_err()).await;
    assert!(instance.health.serving().unwrap_err().contains("start-up: not yet"));
    assert_eq!(instance.health.live(), Ok(()));
    eventually("it is ready", async || instance.health.serving().is_ok()).await;
    instance.stop().await;
    part.remove().await;
}
