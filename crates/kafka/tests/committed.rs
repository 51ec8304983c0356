//! How far a role has come, asked of a real coordinator, which here is made to say what one says that has forgotten.
//!
//! Needs the servers of `ci/servers up`: see the crate `test-servers`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kafka::transactions::Transactions;
use kafka::{Asker, Committed, Config, Installation, Member, Topic};
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord};
use rdkafka::topic_partition_list::Offset;
use test_servers::Servers;
use tokio_util::sync::CancellationToken;

const LIMIT: Duration = Duration::from_mins(1);

/// A role of this test's own.
struct Role {
    config: Config,
    group: BaseConsumer,
    installation: Installation,
    /// The first of its source.
    partition: (String, i32),
}

impl Role {
    async fn new() -> Self {
        let config: Config = Servers::running().kafka(&format!("test-{:08x}-", rand::random::<u32>()));
        let shutdown = CancellationToken::new();
        config.ensure_topics(&[Topic::Sales, Topic::Positions], &shutdown).await.unwrap();
        let installation = config.installation(&shutdown).await.unwrap();
        let group: BaseConsumer = config.member("fan-out").create().unwrap();
        let partition = (config.names().sales(), 0);
        let role = Self { config, group, installation, partition };
        // The first group of a Kafka waits for its coordinator.
        role.read_within(LIMIT);
        role
    }

    fn transactions(&self, id: &str) -> Transactions {
        let id = self.config.names().transactional_id(id, "0");
        Transactions::connect(&self.config, &id, &Arc::default()).unwrap()
    }

    /// Of the group, which nobody joins.
    fn member(&self) -> Member {
        Member::new(&self.config, &self.config.member("fan-out")).unwrap()
    }

    /// Puts a position into the transaction, which stays open.
    fn put(&self, transactions: &mut Transactions, next: i64) {
        let committed = Committed::new(&self.config, "fan-out", &self.installation);
        committed.put(&mut transactions.outbox().unwrap(), &[(self.partition.clone(), next)]).unwrap();
    }

    /// Commits a position, and moves the group, as a role does.
    fn commit(&self, transactions: &mut Transactions, next: i64) {
        self.commit_in(&self.installation, transactions, next);
    }

    fn commit_in(&self, installation: &Installation, transactions: &mut Transactions, next: i64) {
        let committed = Committed::new(&self.config, "fan-out", installation);
        transactions.commit(&[(self.partition.clone(), next)], &committed, self.member().membership()).unwrap();
    }

    /// Moves the group alone.
    fn set_group(&self, next: i64) {
        self.group.commit(&self.offsets(next), CommitMode::Sync).unwrap();
    }

    /// Waits until the group says so.
    fn group_is_told(&self, next: i64) {
        let begun = Instant::now();
        let committed = || self.group.committed_offsets(self.offsets(0), LIMIT).unwrap().elements()[0].offset();
        while committed() != Offset::Offset(next) {
            assert!(begun.elapsed() < LIMIT, "{:?}", committed());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn offsets(&self, next: i64) -> TopicPartitionList {
        let (topic, number) = &self.partition;
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset(topic, *number, Offset::Offset(next)).unwrap();
        offsets
    }

    /// Behind what is in transactions, too.
    fn end_of_positions(&self) -> i64 {
        let asker = Asker::new(&self.config, "fan-out").unwrap();
        asker.ask(|client| client.fetch_watermarks(&self.config.names().positions(), 0, LIMIT)).unwrap().1
    }

    /// What a process finds that knows nothing, in one try.
    fn read(&self) -> anyhow::Result<i64> {
        let partitions = [self.partition.clone(), (self.partition.0.clone(), 1)];
        let mut nothing = Committed::new(&self.config, "fan-out", &self.installation);
        let found = self.member().committed(&mut nothing, &partitions, &CancellationToken::new())?;
        assert_eq!(found[1], 0, "nothing was said of the other one");
        Ok(found[0])
    }

    fn read_within(&self, limit: Duration) -> i64 {
        let begun = Instant::now();
        loop {
            match self.read() {
                Ok(next) => return next,
                Err(err) => assert!(begun.elapsed() < limit, "{err:#}"),
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

#[tokio::test]
async fn a_group_that_forgot_is_not_believed() {
    let role = Role::new().await;
    assert_eq!(role.read().unwrap(), 0);
    let mut transactions = role.transactions("one");
    for next in [4, 7] {
        role.commit(&mut transactions, next);
    }
    role.set_group(5);
    assert_eq!(role.read_within(LIMIT), 7);
    role.group_is_told(7);

    // Another role has the same source, and its own positions.
    let other = Member::new(&role.config, &role.config.member("spout")).unwrap();
    let mut committed = Committed::new(&role.config, "spout", &role.installation);
    let partitions = std::slice::from_ref(&role.partition);
    let read = other.committed(&mut committed, partitions, &CancellationToken::new()).unwrap();
    assert_eq!(read, [0]);
}

#[tokio::test]
async fn the_last_position_counts_and_neither_a_higher_one_nor_the_group() {
    let role = Role::new().await;
    let mut transactions = role.transactions("one");
    for next in [1_000, 300] {
        role.commit(&mut transactions, next);
    }
    assert_eq!(role.read_within(LIMIT), 300);
    role.set_group(700);
    assert_eq!(role.read_within(LIMIT), 300);
}

#[tokio::test]
async fn a_position_of_an_emptied_kafka_counts_as_nothing_whatever_the_group_says() {
    let role = Role::new().await;
    let before = Installation { mark: "before".to_owned(), ..role.installation.clone() };
    let mut transactions = role.transactions("one");
    role.commit_in(&before, &mut transactions, 1_000);
    assert_eq!(role.read_within(LIMIT), 0);
    role.commit(&mut transactions, 5);
    assert_eq!(role.read_within(LIMIT), 5);
}

#[tokio::test]
async fn a_position_as_an_earlier_release_wrote_it_is_understood() {
    let role = Role::new().await;
    let (topic, key) = (role.config.names().positions(), format!("fan-out {} 0", role.partition.0));
    let producer: BaseProducer = role.config.idempotent_producer().create().unwrap();
    producer.send(BaseRecord::to(&topic).key(&key).payload("42")).map_err(|(err, _)| err).unwrap();
    kafka::flush(&producer, LIMIT).unwrap();
    role.set_group(41);
    assert_eq!(role.read_within(LIMIT), 42);
}

#[tokio::test]
async fn a_group_is_believed_where_nothing_else_was_said() {
    let role = Role::new().await;
    role.set_group(6);
    assert_eq!(role.read().unwrap(), 6);
}

#[tokio::test]
async fn what_was_aborted_does_not_count_and_what_is_open_is_waited_for() {
    let role = Role::new().await;
    let (mut first, mut second) = (role.transactions("one"), role.transactions("two"));
    role.put(&mut first, 3);
    first.abort().unwrap();
    assert_eq!(role.read_within(LIMIT), 0);

    let end = role.end_of_positions();
    role.put(&mut second, 8);
    let begun = Instant::now();
    while role.end_of_positions() == end {
        std::thread::sleep(Duration::from_millis(50));
        assert!(begun.elapsed() < LIMIT, "what was put is not on the log");
    }
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| role.read_within(LIMIT));
        std::thread::sleep(Duration::from_secs(1));
        assert!(!reading.is_finished(), "it does not wait");
        role.commit(&mut second, 8);
        assert_eq!(reading.join().unwrap(), 8);
    });
}
