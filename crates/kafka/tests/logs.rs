//! Reading parts of logs, against a real Kafka.
//!
//! Needs the servers of `ci/servers up`: see the crate `test-servers`.

use std::time::{Duration, Instant};

use kafka::{Config, LogReader, Logs, Next, Part, Topic, read_parts};
use rdkafka::TopicPartitionList;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::Offset;
use test_servers::Servers;
use tokio_util::sync::CancellationToken;

const LIMIT: Duration = Duration::from_secs(30);

/// A Kafka of this test's own with `sales.rejected`, and a producer for it.
async fn kafka() -> (Config, String, BaseProducer) {
    let config: Config = Servers::running().kafka(&format!("logs-test-{:08x}-", rand::random::<u32>()));
    config.ensure_topics(&[Topic::Rejected], &CancellationToken::new()).await.unwrap();
    let producer: BaseProducer =
        config.transactional_producer(&config.names().transactional_id("logs-test", "0")).create().unwrap();
    producer.init_transactions(LIMIT).unwrap();
    let topic = config.names().rejected();
    (config, topic, producer)
}

fn send(producer: &BaseProducer, topic: &str, values: &[&str]) {
    producer.begin_transaction().unwrap();
    for value in values {
        producer.send(BaseRecord::<str, str>::to(topic).payload(value)).map_err(|(err, _)| err).unwrap();
    }
    producer.flush(LIMIT).unwrap();
}

fn read(config: &Config, parts: &[Part], limit: Duration) -> (Vec<String>, i64) {
    let (mut values, deadline) = (Vec::new(), Instant::now() + limit);
    let goes_on = |_| Ok(Instant::now() < deadline);
    let read = read_parts(config, parts, goes_on, |record| {
        values.push(String::from_utf8_lossy(record.payload().unwrap()).into_owned());
    });
    (values, read.unwrap().left)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_is_read_to_its_end_if_all_of_it_is_settled_and_what_was_aborted_is_left_out() {
    let (config, topic, producer) = kafka().await;
    let logs = Logs::new(&config, "reader", LIMIT).unwrap();
    send(&producer, &topic, &["a", "b"]);
    producer.commit_transaction(LIMIT).unwrap();
    send(&producer, &topic, &["c"]);
    producer.abort_transaction(LIMIT).unwrap();
    send(&producer, &topic, &["d"]);

    let parts = logs.since(std::slice::from_ref(&topic), 0).unwrap();
    assert_eq!((parts.len(), parts[0].start, parts[0].trimmed), (1, 0, false));
    // Two records and a marker, one and a marker, and one in a transaction that is still open.
    assert_eq!(parts[0].end, 6);
    let (values, left) = read(&config, &parts, Duration::from_secs(2));
    assert!(values == ["a", "b"] && left > 0, "{values:?}, {left} left");
    producer.commit_transaction(LIMIT).unwrap();
    assert_eq!(read(&config, &parts, LIMIT), (["a", "b", "d"].map(str::to_owned).to_vec(), 0));
    let part = Part { start: 1, end: 2, ..parts[0].clone() };
    assert_eq!(read(&config, &[part], LIMIT), (vec!["b".to_owned()], 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_follows_tells_that_its_position_is_gone_and_another_goes_on_behind_it() {
    let (config, topic, producer) = kafka().await;
    send(&producer, &topic, &["a", "b", "c"]);
    producer.commit_transaction(LIMIT).unwrap();
    let admin: AdminClient<DefaultClientContext> = config.client().create().unwrap();
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset(&topic, 0, Offset::Offset(2)).unwrap();
    admin.delete_records(&offsets, &AdminOptions::new()).await.unwrap();

    let first = |reader: &LogReader| {
        let (partition, deadline) = ((topic.clone(), 0), Instant::now() + LIMIT);
        reader.begin([(&partition, 0)]).unwrap();
        while Instant::now() < deadline {
            match reader.next(Duration::from_millis(100)).unwrap() {
                Next::Record(record) => return Some(record.offset()),
                Next::OutOfRange => return None,
                Next::Nothing | Next::Doubtful | Next::Failed => {}
            }
        }
        panic!("neither a record nor an error in {LIMIT:?}");
    };
    assert_eq!(first(&LogReader::following(&config).unwrap()), None);
    assert_eq!(first(&LogReader::new(&config).unwrap()), Some(2));
    let parts = Logs::new(&config, "reader", LIMIT).unwrap().since(std::slice::from_ref(&topic), 0).unwrap();
    assert_eq!((parts[0].start, parts[0].trimmed), (2, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_paused_is_read_again_once_reading_begins_anew() {
    let (config, topic, producer) = kafka().await;
    send(&producer, &topic, &["a", "b"]);
    producer.commit_transaction(LIMIT).unwrap();
    let (reader, partition) = (LogReader::following(&config).unwrap(), (topic.clone(), 0));
    let next = |limit: Duration| {
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline {
            if let Next::Record(record) = reader.next(Duration::from_millis(100)).unwrap() {
                return Some(String::from_utf8_lossy(record.payload().unwrap()).into_owned());
            }
        }
        None
    };
    reader.begin([(&partition, 0)]).unwrap();
    assert_eq!(next(LIMIT).as_deref(), Some("a"));
    reader.pause([&partition]).unwrap();
    assert_eq!(next(Duration::from_secs(2)), None, "it is paused");
    reader.begin([(&partition, 1)]).unwrap();
    assert_eq!(next(LIMIT).as_deref(), Some("b"));
}
