//! What both stores promise, against real servers.

mod servers;

use servers::{KAFKA, part, postgres_config, redis_config, sales};
use stores::{Adopt, Error, Outcome, Part, postgres, redis};

const WRITTEN: Outcome = Outcome::Written { conflicts: 0 };

/// Runs a test for each store; the test takes a function that opens another writer for the Kafka that it names.
macro_rules! for_both {
    ($($test:ident)*) => {
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                let config = super::postgres_config();
                super::$test(&|kafka| super::postgres::Writer::new(config.clone(), kafka)).await;
            })*
        }
        mod on_redis {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                let config = super::redis_config();
                super::$test(&|kafka| super::redis::Writer::new(config.clone(), kafka)).await;
            })*
        }
    };
}

for_both! {
    a_store_begins_at_zero_and_keeps_the_position
    a_batch_written_twice_is_moved_to_its_own_end
    a_stale_position_is_refused_and_the_other_parts_are_written
    a_part_without_sales_moves_the_position
    another_kafka_is_refused_with_the_command_that_resets
    writers_that_race_write_each_part_once
    an_adopted_kafka_begins_at_zero_and_is_never_dropped_for_an_older_one
    of_writers_that_adopt_at_once_one_does
}

fn partitions(topics: &[&str]) -> Vec<(String, i32)> {
    topics.iter().map(|topic| ((*topic).to_owned(), 0)).collect()
}

async fn a_store_begins_at_zero_and_keeps_the_position<S: Adopt>(open: &dyn Fn(&str) -> S) {
    let mut store = open(KAFKA);
    assert_eq!(store.positions(&[]).await.unwrap(), [0; 0]);
    assert_eq!(store.positions(&partitions(&["b", "a"])).await.unwrap(), [0, 0]);
    assert_eq!(store.write(&[part("a", 0, &sales()[..3])]).await.unwrap(), [WRITTEN]);
    assert_eq!(open(KAFKA).positions(&partitions(&["b", "a"])).await.unwrap(), [0, 4]);
}

async fn a_batch_written_twice_is_moved_to_its_own_end<S: Adopt>(open: &dyn Fn(&str) -> S) {
    let mut store = open(KAFKA);
    store.positions(&partitions(&["a", "b"])).await.unwrap();
    let batch = [part("a", 0, &sales()[..3]), part("b", 0, &sales()[3..5])];
    assert_eq!(store.write(&batch).await.unwrap(), [WRITTEN, WRITTEN]);
    let moved = [Outcome::Moved { actual: 4 }, Outcome::Moved { actual: 3 }];
    assert_eq!(store.write(&batch).await.unwrap(), moved);
    assert_eq!(open(KAFKA).write(&batch).await.unwrap(), moved);
}

async fn a_stale_position_is_refused_and_the_other_parts_are_written<S: Adopt>(open: &dyn Fn(&str) -> S) {
    let mut store = open(KAFKA);
    store.positions(&partitions(&["a", "b", "c"])).await.unwrap();
    store.write(&[part("b", 0, &sales()[..3])]).await.unwrap();
    let batch = [part("c", 0, &sales()[4..5]), part("b", 3, &sales()[5..6]), part("a", 0, &sales()[6..8])];
    assert_eq!(store.write(&batch).await.unwrap(), [WRITTEN, Outcome::Moved { actual: 4 }, WRITTEN]);
    assert_eq!(store.positions(&partitions(&["a", "b", "c"])).await.unwrap(), [3, 4, 2]);
}

async fn a_part_without_sales_moves_the_position<S: Adopt>(open: &dyn Fn(&str) -> S) {
    let mut store = open(KAFKA);
    store.positions(&partitions(&["a"])).await.unwrap();
    assert_eq!(store.write(&[part("a", 0, &[])]).await.unwrap(), [WRITTEN]);
    assert_eq!(store.positions(&partitions(&["a"])).await.unwrap(), [1]);
}

async fn another_kafka_is_refused_with_the_command_that_resets<S: Adopt>(open: &dyn Fn(&str) -> S) {
    let mut store = open(KAFKA);
    store.positions(&partitions(&["a"])).await.unwrap();
    store.write(&[part("a", 0, &sales()[..3])]).await.unwrap();

    let mut other = open("cluster/other");
    for refused in [
        other.positions(&partitions(&["a", "new"])).await.unwrap_err(),
        other.write(&[part("a", 4, &sales()[3..4])]).await.unwrap_err(),
    ] {
        assert!(matches!(refused, Error::OtherKafka { .. }), "{refused}");
        let text = refused.to_string();
        assert!(text.contains("they say cluster/mark, Kafka says cluster/other"), "{text}");
        assert!(text.contains("drop schema \"test-") || text.contains("'unlink'"), "{text}");
    }
    assert_eq!(store.positions(&partitions(&["a"])).await.unwrap(), [4]);
}

async fn writers_that_race_write_each_part_once<S: Adopt + 'static>(open: &dyn Fn(&str) -> S) {
    const PARTS: usize = 20;
    let sales = sales();
    let batches: Vec<[Part; 2]> = (0..PARTS)
        .map(|n| {
            let expected = i64::try_from(n * 4).unwrap();
            [part("a", expected, &sales[n * 3..n * 3 + 3]), part("b", expected, &sales[n * 3 + 100..n * 3 + 103])]
        })
        .collect();
    open(KAFKA).positions(&partitions(&["a", "b"])).await.unwrap();
    let mut writers = tokio::task::JoinSet::new();
    for n in 0..4 {
        let (mut store, mut batches) = (open(KAFKA), batches.clone());
        if n % 2 == 1 {
            for batch in &mut batches {
                batch.reverse();
            }
        }
        writers.spawn(async move {
            let mut written = 0;
            for batch in &batches {
                written += store.write(batch).await.unwrap().iter().filter(|outcome| **outcome == WRITTEN).count();
            }
            written
        });
    }
    let written: usize = writers.join_all().await.into_iter().sum();
    assert_eq!(written, 2 * PARTS);
    assert_eq!(open(KAFKA).positions(&partitions(&["a", "b"])).await.unwrap(), [80, 80]);
}

async fn an_adopted_kafka_begins_at_zero_and_is_never_dropped_for_an_older_one<S: Adopt>(open: &dyn Fn(&str) -> S) {
    let (mut old, mut new) = (open(KAFKA), open("cluster/new"));
    old.positions(&partitions(&["a", "b"])).await.unwrap();
    old.write(&[part("a", 0, &sales()[..3]), part("b", 0, &sales()[3..5])]).await.unwrap();
    assert!(!new.adopt("cluster/other").await.unwrap(), "those positions are not there");
    assert!(new.adopt(KAFKA).await.unwrap());
    assert_eq!(new.positions(&partitions(&["a", "b", "c"])).await.unwrap(), [0, 0, 0]);

    // One that was about to write, and one that adopts late.
    let refused = old.write(&[part("a", 4, &sales()[5..6])]).await.unwrap_err();
    assert!(matches!(refused, Error::OtherKafka { stored, .. } if stored == "cluster/new"));
    assert_eq!(new.write(&[part("a", 0, &sales()[6..8])]).await.unwrap(), [WRITTEN]);
    assert!(!open("cluster/late").adopt(KAFKA).await.unwrap());
    assert_eq!(new.positions(&partitions(&["a", "b"])).await.unwrap(), [3, 0]);
    assert_eq!(new.write(&[part("a", 3, &sales()[8..9]), part("b", 0, &sales()[9..10])]).await.unwrap(), [WRITTEN; 2]);
}

async fn of_writers_that_adopt_at_once_one_does<S: Adopt + 'static>(open: &dyn Fn(&str) -> S) {
    let topics: Vec<String> = (0..51).map(|n| format!("t{n}")).collect();
    let partitions = partitions(&topics.iter().map(String::as_str).collect::<Vec<_>>());
    let mut old = open(KAFKA);
    old.positions(&partitions).await.unwrap();
    let expected = sales();
    for round in 0..5 {
        let (before, now) = (format!("cluster/{round}"), format!("cluster/{}", round + 1));
        if round == 0 {
            old.write(&[part("t0", 0, &expected[..1])]).await.unwrap();
            assert!(open(&before).adopt(KAFKA).await.unwrap());
        }
        // One of them belongs to the Kafka before, and writes meanwhile.
        let mut stale = open(&before);
        let batch: Vec<Part> = topics.iter().map(|topic| part(topic, 0, &[])).collect();
        let writing = tokio::spawn(async move { stale.write(&batch).await });
        let mut adopting = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let (mut store, before, partitions) = (open(&now), before.clone(), partitions.clone());
            adopting.spawn(async move {
                let adopted = store.adopt(&before).await.unwrap();
                assert_eq!(store.positions(&partitions).await.unwrap(), [0; 51]);
                adopted
            });
        }
        let adopted = adopting.join_all().await;
        assert_eq!(adopted.iter().filter(|adopted| **adopted).count(), 1, "round {round}");
        match writing.await.unwrap() {
            Ok(_) => {}
            Err(err) => assert!(matches!(err, Error::OtherKafka { .. }), "{err}"),
        }
    }
}
