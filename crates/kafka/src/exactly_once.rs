//! Consume, transform, produce: each record of a topic handled exactly once, whatever is killed.
//!
//! Output and input position are committed in one Kafka transaction, closed by time: its price is per transaction,
//! not per record. What the loop relies on, and where it was seen to matter:
//!
//! - librdkafka speaks the older transaction protocol, in which a commit that was given up may still happen later and
//!   end a *newer* transaction (Jepsen, Bufstream 0.1.0). So a commit of unknown outcome is never assumed: the
//!   producer is rebuilt under the same id, which settles the matter at the broker, and the input is rewound to what
//!   was really committed.
//! - The group's metadata are read anew for each transaction, so that a member that lost its partitions is refused.
//! - A rebalance aborts the open transaction before anything of the new assignment is touched.
//! - The member is static: a restart takes its partitions back in half a second, and closing it sends no `LeaveGroup`,
//!   in which this version of librdkafka can crash while the coordinator is away.
//!
//! What still can go wrong: a record that Kafka's retention deletes before it was read is gone; the auditor finds it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::Offset;
use rdkafka::{Message, TopicPartitionList};
use service::Beat;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::Config;

/// How a stage is run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Group, and first part of the transactional id, such as `fan-out`.
    pub role: String,
    /// Last part of the transactional id: the same after a restart, and no one else's.
    pub ordinal: String,
    /// The topic to read.
    pub source: String,
    /// A transaction is closed after this time.
    pub interval: Duration,
}

/// What is done with the records.
pub trait Stage {
    /// Handles one record, in order. After [`Stage::aborted`] it may be called again for the same one.
    fn handle(&mut self, message: &BorrowedMessage<'_>, outbox: &mut Outbox<'_>) -> Result<(), Failure>;
    /// Everything handled since the last call of this or of [`Stage::aborted`] is now visible, exactly once.
    fn committed(&mut self);
    /// Everything handled since then never happened.
    fn aborted(&mut self);
}

/// Counts of what went otherwise than straight on; all of it is normal while things break.
#[derive(Debug, Default)]
pub struct Events {
    /// Transactions committed.
    pub commits: AtomicU64,
    /// Transactions aborted.
    pub aborts: AtomicU64,
    /// Producers made anew after an error that left no other way.
    pub rebuilds: AtomicU64,
    /// Assignments of partitions.
    pub rebalances: AtomicU64,
}

/// What an error of a transactional call means for the loop. The one table of them.
#[derive(Debug)]
pub enum Failure {
    /// The transaction is lost, the producer is not: abort, rewind, go on.
    Abort(KafkaError),
    /// Fenced, fatal, or nobody knows: a new producer under the same id, rewind, go on.
    Rebuild(KafkaError),
}

impl From<KafkaError> for Failure {
    /// Looks only at what librdkafka says must be done: the same code can be one or the other.
    fn from(err: KafkaError) -> Self {
        match &err {
            KafkaError::Transaction(cause) if !cause.is_fatal() && cause.txn_requires_abort() => Failure::Abort(err),
            _ => Failure::Rebuild(err),
        }
    }
}

/// More records than this close a transaction early, so that memory and the loss by an abort stay bounded.
const MAX_RECORDS: u64 = 100_000;
/// Records between two looks at the producer's events.
const SERVE_EVERY: u64 = 128;
/// The transaction timeout bounds every wait for Kafka inside a transaction; this bounds the loop if that fails.
const FLUSH_LIMIT: Duration = Duration::from_secs(30);
/// One transactional call. Longer than Kafka lets a transaction last; a call that was seen to hang after an outage of
/// the broker ends here, and nothing is assumed of it: the producer is made anew.
const CALL_LIMIT: Duration = Duration::from_secs(15);
/// Reading committed offsets after an abort. Beyond it, the process ends: going on would lose what was aborted.
const REWIND_LIMIT: Duration = Duration::from_mins(1);
/// Rest before a producer is made anew.
const REBUILD_REST: Duration = Duration::from_millis(500);
/// A poll without records; bounds how late a transaction is closed and a stop is seen.
const IDLE_POLL: Duration = Duration::from_millis(20);

/// Where a stage puts its output: into the open transaction.
pub struct Outbox<'a> {
    producer: &'a BaseProducer,
}

impl Outbox<'_> {
    /// Adds one record. A full queue is waited for: that is the back-pressure on the input.
    pub fn send(&mut self, topic: &str, key: &[u8], payload: &[u8], headers: OwnedHeaders) -> Result<(), Failure> {
        let mut record = BaseRecord::to(topic).key(key).payload(payload).headers(headers);
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused)) => {
                    record = refused;
                    self.producer.poll(Duration::ZERO);
                    std::thread::sleep(Duration::from_millis(1));
                }
                // The transaction failed under our hands: commit would say so too.
                Err((err, _)) => {
                    return Err(self
                        .producer
                        .client()
                        .fatal_error()
                        .map_or(Failure::Abort(err), |(code, _)| Failure::Rebuild(KafkaError::Global(code))));
                }
            }
        }
    }
}

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
            self.events.rebalances.fetch_add(1, Ordering::Relaxed);
            info!(partitions = partitions.count(), "assigned");
        }
    }
}

/// Runs the stage until `shutdown`, then commits what is in hand and returns. Blocks: give it a thread of its own.
///
/// An error means that the process should end: fenced by a newer instance as a group member, or committed offsets
/// unreadable for too long.
pub fn run(
    config: &Config,
    settings: &Settings,
    stage: &mut dyn Stage,
    events: &Arc<Events>,
    beat: &Beat,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    let watch = Watch { moved: AtomicBool::new(false), events: Arc::clone(events) };
    let consumer: BaseConsumer<Watch> = config
        .static_member(&settings.role, &settings.ordinal)
        .create_with_context(watch)
        .context("making the consumer")?;
    let mut subscribed = false;
    while !shutdown.is_cancelled() {
        beat.turned();
        let producer = match producer(config, settings) {
            Ok(producer) => producer,
            Err(err) => {
                info!("waiting for kafka to begin transactions: {err:#}");
                std::thread::sleep(REBUILD_REST);
                continue;
            }
        };
        if subscribed {
            rewind(&consumer, beat)?;
        } else {
            // Only now: an older instance of this id is fenced and its transaction settled, so that the offsets that
            // the group hands out are final.
            consumer.subscribe(&[&settings.source]).context("subscribing")?;
            subscribed = true;
        }
        let mut transaction =
            Transaction { consumer: &consumer, producer: &producer, offsets: HashMap::new(), begun: None, records: 0 };
        match transaction.drive(settings, stage, events, beat, shutdown) {
            Ok(()) => {}
            Err(Ending::Exit(err)) => return Err(err),
            Err(Ending::Rebuild(err)) => {
                stage.aborted();
                events.rebuilds.fetch_add(1, Ordering::Relaxed);
                warn!("making the producer anew: {err}");
                std::thread::sleep(REBUILD_REST);
                // Fenced as a member too: a newer instance has taken over, and must not be fenced in turn.
                if let Some((code, reason)) = consumer.client().fatal_error() {
                    bail!("consuming {}: {code}: {reason}", settings.source);
                }
            }
        }
    }
    Ok(())
}

fn producer(config: &Config, settings: &Settings) -> anyhow::Result<BaseProducer> {
    let id = config.names().transactional_id(&settings.role, &settings.ordinal);
    let producer: BaseProducer = config.transactional_producer(&id).create().context("making the producer")?;
    producer.init_transactions(Duration::from_secs(10)).context("beginning to use transactions")?;
    Ok(producer)
}

enum Ending {
    Rebuild(KafkaError),
    Exit(anyhow::Error),
}

struct Transaction<'a> {
    consumer: &'a BaseConsumer<Watch>,
    producer: &'a BaseProducer,
    /// Last offset handled + 1, by partition.
    offsets: HashMap<i32, i64>,
    begun: Option<Instant>,
    records: u64,
}

impl Transaction<'_> {
    fn drive(
        &mut self,
        settings: &Settings,
        stage: &mut dyn Stage,
        events: &Events,
        beat: &Beat,
        shutdown: &CancellationToken,
    ) -> Result<(), Ending> {
        loop {
            beat.turned();
            if let Err(failure) = self.step(settings, stage, events, shutdown) {
                match failure {
                    Stop::Shutdown => return Ok(()),
                    Stop::Exit(err) => return Err(Ending::Exit(err)),
                    Stop::Failed(Failure::Rebuild(err)) => return Err(Ending::Rebuild(err)),
                    Stop::Failed(Failure::Abort(err)) => {
                        warn!("aborting the transaction: {err}");
                        self.abort(stage, events, beat)?;
                    }
                }
            }
        }
    }

    fn step(
        &mut self,
        settings: &Settings,
        stage: &mut dyn Stage,
        events: &Events,
        shutdown: &CancellationToken,
    ) -> Result<(), Stop> {
        let due = self.begun.is_some_and(|begun| begun.elapsed() >= settings.interval) || self.records >= MAX_RECORDS;
        if due || shutdown.is_cancelled() {
            self.commit(&settings.source, stage, events)?;
        }
        if shutdown.is_cancelled() {
            return Err(Stop::Shutdown);
        }
        let left = self.begun.map_or(IDLE_POLL, |begun| settings.interval.saturating_sub(begun.elapsed()));
        let polled = self.consumer.poll(left.min(IDLE_POLL));
        if self.consumer.context().moved.swap(false, Ordering::AcqRel) && self.begun.is_some() {
            // What the poll returned, if anything, is of the new assignment: it is read again after the rewind.
            return Err(Stop::Failed(Failure::Abort(KafkaError::Rebalance(RDKafkaErrorCode::AssignPartitions))));
        }
        match polled {
            Some(Ok(message)) => self.handle(&message, stage),
            Some(Err(KafkaError::MessageConsumptionFatal(code))) => {
                Err(Stop::Exit(anyhow!("consuming {}: {code}", settings.source)))
            }
            // librdkafka reconnects by itself, and logs it: a broker that is away is normal.
            None | Some(Err(_)) => Ok(()),
        }
    }

    fn handle(&mut self, message: &BorrowedMessage<'_>, stage: &mut dyn Stage) -> Result<(), Stop> {
        if self.begun.is_none() {
            self.producer.begin_transaction().map_err(Failure::from)?;
            self.begun = Some(Instant::now());
        }
        stage.handle(message, &mut Outbox { producer: self.producer })?;
        self.offsets.insert(message.partition(), message.offset() + 1);
        self.records += 1;
        if self.records.is_multiple_of(SERVE_EVERY) {
            self.producer.poll(Duration::ZERO);
        }
        Ok(())
    }

    fn commit(&mut self, source: &str, stage: &mut dyn Stage, events: &Events) -> Result<(), Failure> {
        if self.begun.is_none() {
            return Ok(());
        }
        flush(self.producer, FLUSH_LIMIT)?;
        let mut offsets = TopicPartitionList::with_capacity(self.offsets.len());
        for (partition, offset) in &self.offsets {
            offsets.add_partition_offset(source, *partition, Offset::Offset(*offset))?;
        }
        // Without metadata there is no group any more: as after a rebalance.
        let group = self
            .consumer
            .group_metadata()
            .ok_or_else(|| Failure::Abort(KafkaError::Rebalance(RDKafkaErrorCode::UnknownMemberId)))?;
        self.producer.send_offsets_to_transaction(&offsets, &group, CALL_LIMIT)?;
        self.producer.commit_transaction(CALL_LIMIT)?;
        self.forget();
        events.commits.fetch_add(1, Ordering::Relaxed);
        stage.committed();
        Ok(())
    }

    fn abort(&mut self, stage: &mut dyn Stage, events: &Events, beat: &Beat) -> Result<(), Ending> {
        stage.aborted();
        events.aborts.fetch_add(1, Ordering::Relaxed);
        self.forget();
        // Emptied first: abort waits for the reports of what it drops, which no one would fetch meanwhile.
        flush(self.producer, FLUSH_LIMIT).map_err(Ending::Rebuild)?;
        self.producer.abort_transaction(CALL_LIMIT).map_err(Ending::Rebuild)?;
        rewind(self.consumer, beat).map_err(Ending::Exit)
    }

    fn forget(&mut self) {
        self.begun = None;
        self.offsets.clear();
        self.records = 0;
    }
}

enum Stop {
    Shutdown,
    Exit(anyhow::Error),
    Failed(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Stop::Failed(failure)
    }
}

/// Waits until everything sent has its answer.
///
/// The binding's own flush, and so its commit, only looks every 100 ms; this looks every 0.2 ms.
pub fn flush(producer: &BaseProducer, limit: Duration) -> Result<(), KafkaError> {
    let begun = Instant::now();
    loop {
        match producer.flush(Duration::ZERO) {
            Ok(()) => return Ok(()),
            Err(err) if begun.elapsed() >= limit => return Err(err),
            Err(_) => {
                producer.poll(Duration::ZERO);
                std::thread::sleep(Duration::from_micros(200));
            }
        }
    }
}

/// Puts the consumer back to what is committed; the beginning of a partition where nothing is.
fn rewind(consumer: &BaseConsumer<Watch>, beat: &Beat) -> anyhow::Result<()> {
    let begun = Instant::now();
    loop {
        beat.turned();
        match try_rewind(consumer) {
            Ok(()) => return Ok(()),
            Err(err) if begun.elapsed() >= REWIND_LIMIT => {
                return Err(err).context("rewinding to the committed offsets");
            }
            Err(err) => {
                info!("rewinding again: {err:#}");
                std::thread::sleep(Duration::from_millis(200));
            }
        }
    }
}

fn try_rewind(consumer: &BaseConsumer<Watch>) -> anyhow::Result<()> {
    let assignment = consumer.assignment().context("reading the assignment")?;
    if assignment.count() == 0 {
        return Ok(());
    }
    let committed =
        consumer.committed_offsets(assignment, Duration::from_secs(10)).context("reading committed offsets")?;
    let mut targets = TopicPartitionList::with_capacity(committed.count());
    for element in committed.elements() {
        if let Err(err) = element.error() {
            bail!("reading the committed offset of partition {}: {err}", element.partition());
        }
        let offset = match element.offset() {
            Offset::Offset(offset) => Offset::Offset(offset),
            _ => Offset::Beginning,
        };
        targets.add_partition_offset(element.topic(), element.partition(), offset)?;
    }
    let sought = consumer.seek_partitions(targets, Duration::from_secs(10)).context("seeking")?;
    for element in sought.elements() {
        element.error().with_context(|| format!("seeking partition {}", element.partition()))?;
    }
    Ok(())
}
