//! A store that is slow, silent or half gone: back-pressure in bounded memory, and nothing lost or doubled.
//!
//! The fault is a proxy's between the sink and its store, so that nobody else's store suffers.

mod servers;

use std::time::{Duration, Instant};

use etl::Role;
use rdkafka::consumer::{BaseConsumer, Consumer};
use servers::proxy::Proxy;
use servers::{Instance, LIMIT, Part, block_id, eventually, sales};

/// Small, so that the few thousand sales of a block are many batches.
const BATCH: usize = 200;

/// A sink that reaches its store through a proxy.
async fn behind_a_proxy(role: Role) -> (Part, Proxy, Instance) {
    let part = Part::new(role).await;
    let proxy = Proxy::new(part.store_port()).await;
    let instance = part.by_way_of(proxy.port).start_with(BATCH);
    (part, proxy, instance)
}

/// All sales are there, and all is well.
async fn end(part: Part, instance: Instance) {
    part.expect(block_id(), sales().len()).await;
    eventually("all is well", async || instance.health.serving().is_ok()).await;
    assert_eq!(instance.health.live(), Ok(()));
    instance.stop().await;
    part.expect(block_id(), sales().len()).await;
    part.remove().await;
}

/// The peer vanished: the connection stands, and no answer will ever come.
async fn a_half_open_connection_is_given_up_and_nothing_is_lost(role: Role) {
    let (part, proxy, instance) = behind_a_proxy(role).await;
    let sales = sales();
    let half = sales.len() / 2;
    part.send(&sales[..half], 100);
    eventually("something is stored", async || instance.metrics.sink.sales.get() > 0).await;
    proxy.half_open();
    part.send(&sales[half..], 100);
    eventually("it is noticed", async || instance.metrics.sink.store_errors.get() > 0).await;
    end(part, instance).await;
}

/// For three seconds nothing passes, and then all of it does: what was given up meanwhile and what was not.
async fn a_store_that_is_away_is_waited_for_in_bounded_memory(role: Role) {
    let (part, proxy, instance) = behind_a_proxy(role).await;
    let sales = sales();
    let tenth = sales.len() / 10;
    part.send(&sales[..tenth], 100);
    part.expect(block_id(), tenth).await;
    proxy.hold(true);
    part.send(&sales[tenth..], 100);
    let in_hand = || usize::try_from(instance.metrics.sink.in_hand.get()).unwrap();
    // A whole batch waits behind one that was as large as it was when nothing passed any more.
    eventually("there is back-pressure", async || in_hand() > BATCH).await;
    let (held, rebalances) = (in_hand(), instance.metrics.sink.rebalances.get());
    assert!(held <= 2 * BATCH, "{held} in hand");
    let until = Instant::now() + Duration::from_secs(3);
    while Instant::now() < until {
        assert_eq!(in_hand(), held, "nothing more is taken");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    proxy.hold(false);
    part.expect(block_id(), sales.len()).await;
    assert_eq!(instance.metrics.sink.rebalances.get(), rebalances, "it stayed in its group");
    end(part, instance).await;
}

/// Each round trip takes longer than a batch takes to gather.
async fn a_slow_store_is_filled_in_bounded_memory(role: Role) {
    let (part, proxy, instance) = behind_a_proxy(role).await;
    let sales = sales();
    proxy.slow(Duration::from_millis(50));
    let sending = {
        let (part, sales) = (part.clone(), sales.clone());
        tokio::task::spawn_blocking(move || part.send(&sales, 500))
    };
    let mut most = 0;
    let deadline = Instant::now() + LIMIT;
    while instance.metrics.sink.sales.get() < sales.len() as u64 {
        most = most.max(instance.metrics.sink.in_hand.get());
        assert!(Instant::now() < deadline, "{} of {} stored", instance.metrics.sink.sales.get(), sales.len());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    sending.await.unwrap();
    assert!(most <= 2 * i64::try_from(BATCH).unwrap(), "{most} in hand");
    assert_eq!(instance.metrics.sink.store_errors.get(), 0, "slow is not away");
    proxy.slow(Duration::ZERO);
    end(part, instance).await;
}

/// Kafka hears of it that it lives, and waits for it to rejoin: so it would for one that died unseen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_hangs_holds_up_the_others_for_half_a_minute_at_most() {
    let part = Part::new(Role::Redis).await;
    let hangs: BaseConsumer = part.kafka.sink("redis").create().unwrap();
    let topics = part.kafka.names().states();
    hangs.subscribe(&topics.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
    eventually("it has all topics", async || {
        hangs.poll(Duration::ZERO);
        hangs.assignment().unwrap().count() == topics.len()
    })
    .await;
    let instance = part.start();
    part.send(&sales(), 500);
    end(part, instance).await;
    // Closing it may hang for ever: `poll` finds the assignment that it lost meanwhile, the binding answers with `assign`,
    // and that waits without a limit for the thread of a group that has ended. `Member::leave` doesn't wait for it.
    std::mem::forget(hangs);
}

/// Runs a test for each sink.
macro_rules! for_both {
    ($($test:ident)*) => {
        mod redis {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(super::Role::Redis).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(super::Role::Postgres).await;
            })*
        }
    };
}

for_both! {
    a_half_open_connection_is_given_up_and_nothing_is_lost
    a_store_that_is_away_is_waited_for_in_bounded_memory
    a_slow_store_is_filled_in_bounded_memory
}
