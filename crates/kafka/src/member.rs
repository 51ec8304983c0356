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
//! - librdkafka never moves a position by itself: `auto.offset.reset` is `error`, and the error comes here.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use rdkafka::TopicPartitionList;
use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::topic_partition_list::Offset;
use rdkafka::types::RDKafkaRespErr;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::{Committed, Config, Contact};

/// A partition of a topic.
type Partition = (String, i32);

/// What a poll gave.
pub enum Polled<'a> {
    /// Nothing in time.
    Nothing,
    /// A record.
    Message(BorrowedMessage<'a>),
    /// A position lies outside of what Kafka has; its partition stands still.
    OutOfRange,
    /// No broker can be reached: what comes back may be another Kafka.
    AllBrokersDown,
    /// Counted; mended by the client itself.
    Error(KafkaError),
}

/// One member of the group.
pub struct Member {
    inner: BaseConsumer<Rebalances>,
    contact: Contact,
}

/// Asking a partition's leader for the ends of its log.
const ENDS_LIMIT: Duration = Duration::from_secs(5);
/// Leaving the group. Beyond it the process ends, and the group notices by itself.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

impl Member {
    /// Joins the group of `role` on all state topics, which are dealt out one by one.
    pub fn of_states(config: &Config, role: &str) -> anyhow::Result<Self> {
        let member = Self::new(config, &config.sink(role))?;
        member.subscribe(&config.names().states())?;
        Ok(member)
    }

    /// A member by its settings, of no group as yet.
    pub(crate) fn new(config: &Config, settings: &ClientConfig) -> anyhow::Result<Self> {
        let inner = settings.create_with_context(Rebalances::default()).context("making the consumer")?;
        Ok(Self { inner, contact: Contact::new(config, Instant::now()) })
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
                Polled::Message(message)
            }
            Some(Err(KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset))) => Polled::OutOfRange,
            Some(Err(KafkaError::MessageConsumption(RDKafkaErrorCode::AllBrokersDown))) => Polled::AllBrokersDown,
            Some(Err(err)) => Polled::Error(err),
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
        self.inner.assign(&list(starts)?).context("assigning positions")
    }

    /// Who this is to the group at this moment, for a transaction; none if it is no member.
    pub fn group(&self) -> Option<ConsumerGroupMetadata> {
        self.inner.group_metadata()
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

    /// Shows the group how far the store is, for people and exporters to see; nothing is read from it.
    pub fn show(&self, positions: &[(Partition, i64)]) -> anyhow::Result<()> {
        // Fails during a rebalance, and comes again.
        if let Err(err) = self.inner.commit(&list(positions)?, CommitMode::Async) {
            debug!("showing positions: {err}");
        }
        Ok(())
    }

    /// The first offset that Kafka still has, and the one after the last.
    pub fn ends(&self, (topic, number): &Partition) -> Result<(i64, i64), KafkaError> {
        self.inner.fetch_watermarks(topic, *number, ENDS_LIMIT)
    }

    /// Leaves the group, so that the others take over at once.
    pub fn leave(self) {
        let (done, left) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            drop(self);
            // Nobody waits any longer after the limit.
            let _ = done.send(());
        });
        if left.recv_timeout(CLOSE_LIMIT).is_err() {
            warn!("leaving the group took too long");
        }
    }

    /// Ends without a word to the group: this version of librdkafka can crash when it leaves a group whose coordinator
    /// is away. For the end of the process only.
    pub fn abandon(self) {
        std::mem::forget(self);
    }
}

fn list(positions: &[(Partition, i64)]) -> anyhow::Result<TopicPartitionList> {
    let mut list = TopicPartitionList::with_capacity(positions.len());
    for ((topic, number), offset) in positions {
        list.add_partition_offset(topic, *number, Offset::Offset(*offset)).context("choosing positions")?;
    }
    Ok(list)
}

/// Answers the group, and keeps what it said for the loop, which runs on the same thread.
#[derive(Default)]
struct Rebalances {
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
