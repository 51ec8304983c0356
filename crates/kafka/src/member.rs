//! A member of a role's group, which shares out topics; where to read in them is the role's own affair.
//!
//! How a role's positions get into librdkafka, and why that is right:
//!
//! - The group's assignment is answered at once, in the callback, with an *empty* list. The member is then in good
//!   standing, however long it takes to know the positions, and nothing is fetched.
//! - Fetching begins when the positions are known, by one `assign` with an absolute offset for each partition. The
//!   strategy is eager, so `assign` may be called again at any time and replaces the whole list. That is the only way
//!   in which fetching begins, ends or moves here: there is no `seek` (refused while a partition isn't fetching), no
//!   `pause` (goes on at what was last delivered), and no logical offset ("beginning" is looked up, and an answer that
//!   comes too late is asked again and then overrides a newer position).
//! - Everything that was fetched before an `assign` carries an older version, and librdkafka discards it.
//! - librdkafka never moves a position on its own: `auto.offset.reset` is `error`, and the error comes here.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use rdkafka::TopicPartitionList;
use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::dispose::Disposed;
use crate::partitions::list_of;
use crate::{Committed, Config, Contact, Error, Partition, Record};

/// What a poll gave.
pub enum Polled<'a> {
    /// Nothing in time.
    Nothing,
    /// A record.
    Record(Record<'a>),
    /// A position is outside of what Kafka has of its log; nothing more is fetched of that partition.
    OutOfRange,
    /// No broker can be reached: what comes back may be another Kafka.
    AllBrokersDown,
    /// Counted; the client recovers from it.
    Error(Error),
    /// The client never recovers from it, such as when a newer member has taken its name.
    Fatal(Error),
}

/// Who a member is to its group at one moment, which is what a transaction is committed with: a member that has lost its
/// partitions since is refused.
pub struct Membership<'a> {
    pub(crate) consumer: &'a BaseConsumer<Rebalances>,
    /// None if it is no member.
    pub(crate) group: Option<ConsumerGroupMetadata>,
}

/// One member of the group.
pub struct Member {
    inner: Disposed<BaseConsumer<Rebalances>>,
    contact: Contact,
}

/// Asking a partition's leader for the ends of its log.
const ENDS_LIMIT: Duration = Duration::from_secs(5);

impl Member {
    /// Joins the group of `role` on all state topics, which are dealt out one by one.
    pub fn of_states(config: &Config, role: &str) -> anyhow::Result<Self> {
        let member = Self::new(config, &config.sink(role))?;
        member.subscribe(&config.names().states())?;
        Ok(member)
    }

    /// A member by its settings, which has not joined its group yet.
    pub fn new(config: &Config, settings: &ClientConfig) -> anyhow::Result<Self> {
        let inner = settings.create_with_context(Rebalances::default()).context("making the consumer")?;
        Ok(Self { inner: Disposed::new(inner), contact: Contact::new(config, Instant::now()) })
    }

    pub(crate) fn subscribe(&self, topics: &[String]) -> anyhow::Result<()> {
        self.inner.subscribe(&topics.iter().map(String::as_str).collect::<Vec<_>>()).context("subscribing")
    }

    /// What came within this time; also serves the group.
    pub fn poll(&self, wait: Duration) -> Polled<'_> {
        match self.inner.poll(wait) {
            None => Polled::Nothing,
            Some(Ok(message)) => {
                self.contact.heard();
                Polled::Record(Record::new(message))
            }
            Some(Err(KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset))) => Polled::OutOfRange,
            Some(Err(KafkaError::MessageConsumption(RDKafkaErrorCode::AllBrokersDown))) => Polled::AllBrokersDown,
            Some(Err(err @ KafkaError::MessageConsumptionFatal(_))) => Polled::Fatal(err.into()),
            Some(Err(err)) => Polled::Error(err.into()),
        }
    }

    /// The assignment, if it changed since the last call; empty after it was taken away.
    pub fn rebalanced(&self) -> Option<Vec<Partition>> {
        self.inner.context().latest.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// An error if Kafka is there and this member has lost it for good; asks, if it has heard nothing for long.
    pub fn check(&self) -> anyhow::Result<()> {
        self.contact.check(self.inner.client())
    }

    /// Fetches from these positions, and nothing else; what was fetched before is gone.
    pub fn fetch(&self, starts: &[(Partition, i64)]) -> anyhow::Result<()> {
        self.inner.assign(&list_of(starts)?).context("assigning positions")
    }

    /// Who this is to the group at this moment: to be asked for each transaction.
    pub fn membership(&self) -> Membership<'_> {
        Membership { consumer: &self.inner, group: self.inner.group_metadata() }
    }

    /// What was committed of each of these, 0 where that is nothing.
    pub fn committed(
        &self,
        known: &mut Committed,
        partitions: &[Partition],
        shutdown: &CancellationToken,
    ) -> anyhow::Result<Vec<i64>> {
        known.read(&self.inner, partitions, shutdown)
    }

    /// An error that this client will not recover from, such as that a newer member has taken its name.
    pub(crate) fn fatal_error(&self) -> Option<(RDKafkaErrorCode, String)> {
        self.inner.client().fatal_error()
    }

    /// Commits to the group how far the store is: for people and exporters to see, and read by no role.
    pub fn show(&self, positions: &[(Partition, i64)]) -> anyhow::Result<()> {
        // Fails during a rebalance, and is done again soon.
        if let Err(err) = self.inner.commit(&list_of(positions)?, CommitMode::Async) {
            debug!("showing positions: {err}");
        }
        Ok(())
    }

    /// The first offset that Kafka still has, and the one after the last.
    pub fn ends(&self, (topic, number): &Partition) -> Result<(i64, i64), Error> {
        Ok(self.inner.fetch_watermarks(topic, *number, ENDS_LIMIT)?)
    }

    /// Leaves the group, so that the others take over at once. In bounded time, as each end of a client.
    pub fn leave(self) {
        drop(self);
    }

    /// Ends without a word to the group: this version of librdkafka can crash when it leaves a group whose coordinator
    /// is away. For the end of the process only.
    pub fn abandon(self) {
        self.inner.abandon();
    }
}

/// Answers the group, and keeps the assignment for the loop, which runs on the same thread.
#[derive(Default)]
pub(crate) struct Rebalances {
    latest: Mutex<Option<Vec<Partition>>>,
}

impl ClientContext for Rebalances {
    /// Nothing that a person must look at: `poll` hands them to the loop, which counts them.
    fn error(&self, error: KafkaError, reason: &str) {
        debug!("{error}: {reason}");
    }
}

impl ConsumerContext for Rebalances {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, err: RDKafkaRespErr, partitions: &mut TopicPartitionList) {
        let (answer, assigned) = if err == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            let assigned = partitions.elements().iter().map(|one| (one.topic().to_owned(), one.partition())).collect();
            (consumer.assign(&TopicPartitionList::new()), assigned)
        } else {
            (consumer.unassign(), Vec::new())
        };
        if let Err(err) = answer {
            warn!("answering a rebalance: {err}");
        }
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = Some(assigned);
    }
}
