//! How far a role has come, asked of a real coordinator, which here is made to say what one says that has forgotten.
//!
//! Needs the servers of `ci/servers up`: see the crate `test-servers`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kafka::transactions::Transactions;
use kafka::{Committed, Config, Topic};
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::topic_partition_list::Offset;
use test_servers::Servers;
use tokio_util::sync::CancellationToken;

const LIMIT: Duration = Duration::from_mins(1);

/// A role of this test's own.
struct Role {
    config: Config,
    group: BaseConsumer,
    /// The first of its source.
    partition: (String, i32),
}

impl Role {
    async fn new() -> Self {
        let config: Config = Servers::running().kafka(&format!("test-{:08x}-", rand::random::<u32>()));
        config.ensure_topics(&[Topic::Sales, Topic::Positions], &CancellationToken::new()).await.unwrap();
        let group: BaseConsumer = config.member("fan-out").create().unwrap();
        let partition = (config.names().sales(), 0);
        let role = Self { config, group, partition };
        // The first group of a Kafka waits for its coordinator.
        role.read_within(LIMIT);
        role
    }

    fn transactions(&self, id: &str) -> Transactions {
        let id = self.config.names().transactional_id(id, "0");
        Transactions::connect(&self.config, &id, &Arc::default()).unwrap()
    }

    fn put(&self, transactions: &mut Transactions, next: i64) {
        let committed = Committed::new(&self.config, "fan-out");
        committed.put(&mut transactions.outbox().unwrap(), &[(self.partition.clone(), next)]).unwrap();
    }

    /// Commits the transaction, and moves the group, as a role does.
    fn commit(&self, transactions: &mut Transactions, next: i64) {
        transactions.commit(&self.offsets(next), self.group.group_metadata()).unwrap();
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

    /// What a process finds that knows nothing, in one try.
    fn read(&self) -> anyhow::Result<i64> {
        let partitions = [self.partition.clone(), (self.partition.0.clone(), 1)];
        let found = Committed::new(&self.config, "fan-out").read(&self.group, &partitions)?;
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
        role.put(&mut transactions, next);
        role.commit(&mut transactions, next);
    }
    role.set_group(5);
    assert_eq!(role.read_within(LIMIT), 7);
    role.group_is_told(7);

    let mut knowing = Committed::new(&role.config, "fan-out");
    knowing.moved(role.partition.clone(), 9);
    assert_eq!(knowing.read(&role.group, std::slice::from_ref(&role.partition)).unwrap(), [9]);
    // Another role has the same source, and its own positions.
    let other: BaseConsumer = role.config.member("spout").create().unwrap();
    let read = Committed::new(&role.config, "spout").read(&other, std::slice::from_ref(&role.partition)).unwrap();
    assert_eq!(read, [0]);
}

#[tokio::test]
async fn a_group_that_is_further_is_believed() {
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

    role.put(&mut second, 8);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Its linger is over, and what was put is on the log.
            std::thread::sleep(Duration::from_secs(3));
            role.commit(&mut second, 8);
        });
        std::thread::sleep(Duration::from_secs(1));
        assert_eq!(role.read_within(LIMIT), 8);
    });
}
