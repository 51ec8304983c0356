//! Where the records come from: a group's member, and what it has to do when partitions come or go.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use rdkafka::TopicPartitionList;
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, ConsumerGroupMetadata, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::topic_partition_list::Offset;
use service::Beat;
use tracing::info;

use super::Settings;
use crate::transactions::{Events, Failure, Outbox};
use crate::{Committed, Config, Contact};

/// Reading committed offsets after an abort. Beyond it, the process ends: going on would lose what was aborted.
const REWIND_LIMIT: Duration = Duration::from_mins(1);
/// Between two attempts at it.
const REWIND_REST: Duration = Duration::from_millis(200);

/// Raises a flag when partitions come or go: the transaction in hand was begun under another assignment.
struct Watch {
    moved: AtomicBool,
    events: Arc<Events>,
}

impl ClientContext for Watch {}

impl ConsumerContext for Watch {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        self.moved.store(true, Ordering::Release);
        if let Rebalance::Assign(partitions) = rebalance {
            Events::count(&self.events.rebalances);
            info!(partitions = partitions.count(), "assigned");
        }
    }
}

/// The member that reads a stage's source.
pub(super) struct Input {
    consumer: BaseConsumer<Watch>,
    contact: Contact,
    source: String,
    committed: RefCell<Committed>,
}

impl Input {
    /// A member that has not subscribed as yet.
    pub(super) fn new(config: &Config, settings: &Settings, events: &Arc<Events>) -> anyhow::Result<Self> {
        let watch = Watch { moved: AtomicBool::new(false), events: Arc::clone(events) };
        let member = config.static_member(&settings.role, &settings.ordinal);
        Ok(Self {
            consumer: member.create_with_context(watch).context("making the consumer")?,
            contact: Contact::new(config, Instant::now()),
            source: settings.source.clone(),
            committed: RefCell::new(Committed::new(config, &settings.role)),
        })
    }

    pub(super) fn subscribe(&self) -> anyhow::Result<()> {
        self.consumer.subscribe(&[&self.source]).context("subscribing")
    }

    /// The next record, if one comes in time. An error means that the process should end.
    pub(super) fn poll(&self, wait: Duration) -> anyhow::Result<Option<BorrowedMessage<'_>>> {
        match self.consumer.poll(wait) {
            Some(Ok(message)) => {
                self.contact.heard();
                Ok(Some(message))
            }
            Some(Err(KafkaError::MessageConsumptionFatal(code))) => Err(anyhow!("consuming {}: {code}", self.source)),
            // librdkafka reconnects by itself, and logs it: a broker that is away is normal.
            None | Some(Err(_)) => self.contact.check(self.consumer.client()).map(|()| None),
        }
    }

    /// Whether partitions have come or gone since this was asked last.
    pub(super) fn has_moved(&self) -> bool {
        self.consumer.context().moved.swap(false, Ordering::AcqRel)
    }

    /// What tells Kafka that it is still this member that commits: to be read for each commit.
    pub(super) fn group(&self) -> Option<ConsumerGroupMetadata> {
        self.consumer.group_metadata()
    }

    /// Offsets of the source, by partition, as Kafka takes them.
    pub(super) fn offsets(&self, next: &[(i32, i64)]) -> Result<TopicPartitionList, KafkaError> {
        let mut offsets = TopicPartitionList::with_capacity(next.len());
        for (partition, offset) in next {
            offsets.add_partition_offset(&self.source, *partition, Offset::Offset(*offset))?;
        }
        Ok(offsets)
    }

    /// An error if a newer instance has taken over as a member: it must not be fenced in turn.
    pub(super) fn is_a_member(&self) -> anyhow::Result<()> {
        match self.consumer.client().fatal_error() {
            Some((code, reason)) => bail!("consuming {}: {code}: {reason}", self.source),
            None => Ok(()),
        }
    }

    /// Puts the positions that a transaction reaches into it.
    pub(super) fn put(&self, outbox: &mut Outbox<'_>, next: &[(i32, i64)]) -> Result<(), Failure> {
        let moved: Vec<_> = next.iter().map(|(number, next)| ((self.source.clone(), *number), *next)).collect();
        self.committed.borrow().put(outbox, &moved)
    }

    /// Takes what was committed.
    pub(super) fn moved(&self, next: &[(i32, i64)]) {
        let mut committed = self.committed.borrow_mut();
        for (partition, next) in next {
            committed.moved((self.source.clone(), *partition), *next);
        }
    }

    /// Puts the consumer back to what is committed; the beginning of a partition where nothing is.
    pub(super) fn rewind(&self, beat: &Beat) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            beat.turned();
            match self.try_rewind() {
                Ok(()) => return Ok(()),
                Err(err) if begun.elapsed() >= REWIND_LIMIT => {
                    return Err(err).context("rewinding to the committed offsets");
                }
                Err(err) => {
                    info!("rewinding again: {err:#}");
                    std::thread::sleep(REWIND_REST);
                }
            }
        }
    }

    fn try_rewind(&self) -> anyhow::Result<()> {
        let assignment = self.consumer.assignment().context("reading the assignment")?;
        let partitions: Vec<(String, i32)> =
            assignment.elements().iter().map(|element| (element.topic().to_owned(), element.partition())).collect();
        if partitions.is_empty() {
            return Ok(());
        }
        let committed = self.committed.borrow_mut().read(&self.consumer, &partitions)?;
        let next: Vec<(i32, i64)> = partitions.into_iter().map(|(_, number)| number).zip(committed).collect();
        // All of what was fetched before is gone by that. An offset that retention has deleted is reset to the earliest.
        self.consumer.assign(&self.offsets(&next)?).context("assigning positions")
    }
}
