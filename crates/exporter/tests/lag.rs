//! The lag of a consumer group, against a real broker.
//!
//! Needs the servers of `ci/servers up`: see the crate `test-servers`.

mod support;

use std::time::Duration;

use kafka::Topic;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use support::Exporter;
use tokio_util::sync::CancellationToken;

const LIMIT: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
async fn lag_is_there_moves_and_is_never_negative_while_both_sides_run() {
    let kafka = support::kafka();
    kafka.ensure_topics(&[Topic::Sales], &CancellationToken::new()).await.unwrap();
    let exporter = Exporter::start("etl-fan-out=localhost:1", kafka.clone()).await;
    let group = kafka.names().group("fan-out");
    let lag = |state: &service::state::State| {
        let groups = &state.kafka.as_ref()?.groups;
        groups.iter().find(|it| it.name == group)?.lag
    };

    let stop = CancellationToken::new();
    // A test that fails must not leave its threads running: the runtime would wait for them.
    let _stop = stop.clone().drop_guard();
    let producing = tokio::task::spawn_blocking({
        let (kafka, stop) = (kafka.clone(), stop.clone());
        move || produce(&kafka, &stop)
    });
    exporter.until("a group that has not begun has all before it", LIMIT, |state| lag(state) > Some(500)).await;

    let before = exporter.metric("kafka_consumergroup_lag_sum").await;
    assert!(before.len() == 1 && before[0] > 500.0, "{before:?}");

    let consuming = tokio::task::spawn_blocking({
        let (kafka, stop) = (kafka.clone(), stop.clone());
        move || consume(&kafka, &stop)
    });
    exporter.until("the group moves on", LIMIT, |state| lag(state).is_some_and(|lag| lag < 500)).await;
    assert_eq!(exporter.metric("kafka_consumergroup_lag").await.len(), 3, "one for each partition");

    stop.cancel();
    let sent = producing.await.unwrap();
    consuming.await.unwrap();
    exporter.until("all is consumed", LIMIT, |state| lag(state) == Some(0)).await;
    assert_eq!(exporter.metric("kafka_consumergroup_lag_sum").await, [0.0]);
    let consumed: f64 = exporter.metric("kafka_consumergroup_current_offset").await.iter().sum();
    assert!((consumed - f64::from(sent)).abs() < 0.5, "{consumed} of {sent}");
    let sums = exporter.metric("kafka_consumergroup_current_offset_sum").await;
    assert!((sums[0] - f64::from(sent)).abs() < 0.5, "{sums:?}");

    let partitions = exporter.metric("kafka_topic_partitions").await;
    assert_eq!(partitions, [3.0]);
    assert_eq!(exporter.metric("kafka_brokers").await, [1.0]);
    let broker = format!("\nkafka_broker_info{{address=\"{}\",id=\"0\"}} 1\n", kafka.bootstrap_servers.as_str());
    let metrics = exporter.get("/metrics").await;
    assert!(metrics.contains(&broker), "{broker}: {metrics}");
    assert_eq!(exporter.metric("kafka_topic_partition_under_replicated_partition").await, [0.0; 3]);
    assert_eq!(exporter.metric("kafka_topic_partition_leader_is_preferred").await, [1.0; 3]);
    assert_eq!(exporter.metric("kafka_topic_partition_oldest_offset").await, [0.0; 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_of_transactions_that_was_read_to_its_end_has_no_lag() {
    let kafka = support::kafka();
    kafka.ensure_topics(&[Topic::States], &CancellationToken::new()).await.unwrap();
    let exporter = Exporter::start("etl-redis=localhost:1", kafka.clone()).await;
    let lag = |state: &service::state::State| state.kafka.as_ref()?.groups.first()?.lag;

    let topic = kafka.names().state("ca".parse().unwrap());
    let config = kafka.clone();
    let group = tokio::task::spawn_blocking({
        let topic = topic.clone();
        move || {
            for (records, commits) in [(3, true), (2, false), (4, true), (5, false)] {
                transaction(&config, &topic, records, commits);
            }
            let group: BaseConsumer = config.member("redis").create().unwrap();
            // Behind the first transaction's last record: its marker, an aborted one, and the third are left.
            commit(&group, &topic, 3);
            group
        }
    })
    .await
    .unwrap();
    exporter.until("records that nobody has read are lag", LIMIT, |state| lag(state) == Some(18 - 3)).await;
    tokio::task::spawn_blocking({
        let topic = topic.clone();
        move || {
            // Behind the last record that is committed: a marker, an aborted transaction and its marker are left.
            commit(&group, &topic, 11);
            group
        }
    })
    .await
    .unwrap();
    exporter.until("nothing is left for a reader", LIMIT, |state| lag(state) == Some(0)).await;
    assert!(exporter.metric("kafka_consumergroup_lag").await.iter().all(|lag| *lag == 0.0));
}

/// Sends some records in a transaction that is committed or aborted.
fn transaction(kafka: &kafka::Config, topic: &str, records: u32, commits: bool) {
    let mut producer = kafka.idempotent_producer();
    let producer: BaseProducer =
        producer.set("transactional.id", kafka.names().transactional_id("test", "0")).create().unwrap();
    producer.init_transactions(LIMIT).unwrap();
    producer.begin_transaction().unwrap();
    for _ in 0..records {
        producer.send(BaseRecord::<(), str>::to(topic).payload("x")).map_err(|(err, _)| err).unwrap();
    }
    producer.flush(LIMIT).unwrap();
    if commits {
        producer.commit_transaction(LIMIT).unwrap();
    } else {
        producer.abort_transaction(LIMIT).unwrap();
    }
}

fn commit(group: &BaseConsumer, topic: &str, offset: i64) {
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset(topic, 0, Offset::Offset(offset)).unwrap();
    group.commit(&offsets, CommitMode::Sync).unwrap();
}

/// Sends until told to stop; says how many.
fn produce(kafka: &kafka::Config, stop: &CancellationToken) -> u32 {
    let producer: BaseProducer = kafka.idempotent_producer().create().unwrap();
    let topic = kafka.names().sales();
    let mut sent = 0;
    while !stop.is_cancelled() {
        for _ in 0..20 {
            let key = format!("{sent}");
            producer.send(BaseRecord::to(&topic).key(&key).payload("x")).map_err(|(err, _)| err).unwrap();
            sent += 1;
        }
        producer.poll(Duration::ZERO);
        std::thread::sleep(Duration::from_millis(10));
    }
    producer.flush(LIMIT).unwrap();
    sent
}

/// Consumes until told to stop and the end is reached, and commits as it goes.
fn consume(kafka: &kafka::Config, stop: &CancellationToken) {
    let mut member = kafka.member("fan-out");
    member.set("enable.auto.offset.store", "true").set("auto.offset.reset", "earliest");
    let consumer: BaseConsumer = member.create().unwrap();
    consumer.subscribe(&[&kafka.names().sales()]).unwrap();
    let (mut idle, mut uncommitted) = (0, 0);
    while !(stop.is_cancelled() && idle > 10) {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(_)) => {
                idle = 0;
                uncommitted += 1;
                if uncommitted >= 100 {
                    consumer.commit_consumer_state(CommitMode::Sync).unwrap();
                    uncommitted = 0;
                }
            }
            Some(Err(_)) => {}
            None => {
                idle += 1;
                if uncommitted > 0 && consumer.commit_consumer_state(CommitMode::Sync).is_ok() {
                    uncommitted = 0;
                }
            }
        }
    }
}
