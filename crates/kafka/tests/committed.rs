//! What a group has committed, asked of a real coordinator, which here is made to say what one says that has forgotten.
//!
//! Needs the servers of `ci/servers up`: see the crate `test-servers`.

use std::time::{Duration, Instant};

use kafka::{Committed, Config, Topic, flush};
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord};
use rdkafka::topic_partition_list::Offset;
use test_servers::Servers;
use tokio_util::sync::CancellationToken;

/// A member of a group of this test's own, and the partition of `sales` with ten records.
async fn group() -> (BaseConsumer, (String, i32)) {
    let config: Config = Servers::running().kafka(&format!("test-{:08x}-", rand::random::<u32>()));
    config.ensure_topics(&[Topic::Sales], &CancellationToken::new()).await.unwrap();
    let topic = config.names().sales();
    let producer: BaseProducer = config.idempotent_producer().create().unwrap();
    for _ in 0..10 {
        producer.send(BaseRecord::<(), str>::to(&topic).partition(0).payload("x")).map_err(|(err, _)| err).unwrap();
    }
    flush(&producer, Duration::from_secs(30)).unwrap();
    let group: BaseConsumer = config.member("fan-out").create().unwrap();
    // The first group of a Kafka waits for its coordinator.
    let begun = Instant::now();
    let mut asked = TopicPartitionList::new();
    asked.add_partition(&topic, 0);
    while let Err(err) = group.committed_offsets(asked.clone(), Duration::from_secs(10)) {
        assert!(begun.elapsed() < Duration::from_mins(1), "{err}");
        std::thread::sleep(Duration::from_millis(100));
    }
    (group, (topic, 0))
}

fn commit(group: &BaseConsumer, (topic, number): &(String, i32), next: i64) {
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset(topic, *number, Offset::Offset(next)).unwrap();
    group.commit(&offsets, CommitMode::Sync).unwrap();
}

#[tokio::test]
async fn what_is_behind_what_this_process_knows_is_not_believed() {
    let (group, partition) = group().await;
    let partitions = [partition.clone()];
    let mut committed = Committed::default();
    commit(&group, &partition, 7);
    assert_eq!(committed.read(&group, &partitions).unwrap(), [7]);
    commit(&group, &partition, 5);
    let doubt = committed.read(&group, &partitions).unwrap_err().to_string();
    assert!(doubt.contains("7 of ") && doubt.contains("its coordinator says 5"), "{doubt}");
    committed.moved(partition.clone(), 9);
    commit(&group, &partition, 8);
    assert!(committed.read(&group, &partitions).is_err());
    commit(&group, &partition, 10);
    assert_eq!(committed.read(&group, &partitions).unwrap(), [10]);
    // One that knows nothing takes the same answer twice for the truth.
    commit(&group, &partition, 5);
    assert_eq!(Committed::default().read(&group, &partitions).unwrap(), [5]);
}

#[tokio::test]
async fn that_nothing_was_committed_is_asked_twice_where_there_is_something_to_read() {
    let (group, partition) = group().await;
    let empty = (partition.0.clone(), 1);
    assert_eq!(Committed::default().read(&group, std::slice::from_ref(&empty)).unwrap(), [0]);
    let begun = Instant::now();
    assert_eq!(Committed::default().read(&group, &[partition, empty]).unwrap(), [0, 0]);
    assert!(begun.elapsed() >= Duration::from_secs(3), "it was believed at once");
}
