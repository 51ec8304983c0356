//! Consume, transform, produce: each record of a topic handled exactly once, whatever is killed.
//!
//! Output and input position are committed in one Kafka transaction ([`crate::transactions`]), closed by time: its price
//! is per transaction, not per record. What the loop relies on, and where it was seen to matter:
//!
//! - After a commit of unknown outcome the producer is rebuilt under the same id, which settles the matter at the
//!   broker, and the input is rewound to what was really committed.
//! - The group's metadata are read anew for each transaction, so that a member that lost its partitions is refused.
//! - A rebalance aborts the open transaction before anything of the new assignment is touched.
//! - While a transaction is committed, the records that follow are read and looked at, so that the machine does not stand
//!   still; none of them is handled before the commit is through.
//! - The member is static: a restart takes its partitions back in half a second, and closing it sends no `LeaveGroup`,
//!   in which this version of librdkafka can crash while the coordinator is away.
//!
//! What still can go wrong: a record that Kafka's retention deletes before it was read is gone; the auditor finds it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::topic_partition_list::Offset;
use rdkafka::{Message, TopicPartitionList};
use service::Beat;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::transactions::{Events, Failure, Outbox, Transactions};
use crate::{Config, Contact};

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
    /// What a record turns out to be.
    type Verdict;
    /// Looks at one record, which may never be handled.
    fn judge(&self, message: &BorrowedMessage<'_>) -> Self::Verdict;
    /// Handles one record, in order. After [`Stage::aborted`] it may be called again for the same one.
    fn handle(
        &mut self,
        message: BorrowedMessage<'_>,
        verdict: Self::Verdict,
        outbox: &mut Outbox<'_>,
    ) -> Result<(), Failure>;
    /// Everything handled since the last call of this or of [`Stage::aborted`] is now visible, exactly once.
    fn committed(&mut self);
    /// Everything handled since then never happened.
    fn aborted(&mut self);
}

/// More records than this close a transaction early, so that memory and the loss by an abort stay bounded.
const MAX_RECORDS: u64 = 100_000;
/// Records that are read while a transaction is committed: what comes in a twentieth of a second at full speed.
const MAX_AHEAD: usize = 15_000;
/// Reading committed offsets after an abort. Beyond it, the process ends: going on would lose what was aborted.
const REWIND_LIMIT: Duration = Duration::from_mins(1);
/// Rest before a producer is made anew.
const REBUILD_REST: Duration = Duration::from_millis(500);
/// Records between two looks at the clock while they come without a pause: looking for each one is a few percent of all
/// that the thread does.
const LOOK_EVERY: u64 = 32;
/// A poll without records; bounds how late a transaction is closed and a stop is seen.
const IDLE_POLL: Duration = Duration::from_millis(20);
/// The same while a transaction is committed; bounds how late its end is seen.
const COMMIT_POLL: Duration = Duration::from_millis(1);

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

/// Runs the stage until `shutdown`, then commits what is in hand and returns. Blocks: give it a thread of its own.
///
/// An error means that the process should end: fenced by a newer instance as a group member, committed offsets
/// unreadable for too long, or a client that will never find Kafka again.
pub fn run<S: Stage>(
    config: &Config,
    settings: &Settings,
    stage: &mut S,
    events: &Arc<Events>,
    beat: &Beat,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    let watch = Watch { moved: AtomicBool::new(false), events: Arc::clone(events) };
    let consumer: BaseConsumer<Watch> = config
        .static_member(&settings.role, &settings.ordinal)
        .create_with_context(watch)
        .context("making the consumer")?;
    let id = config.names().transactional_id(&settings.role, &settings.ordinal);
    let contact = Contact::new(config, Instant::now());
    let mut subscribed = false;
    while !shutdown.is_cancelled() {
        beat.turned();
        let transactions = match Transactions::connect(config, &id, events) {
            Ok(transactions) => transactions,
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
        let input = Input { consumer: &consumer, contact: &contact, source: &settings.source };
        let mut copy = Copy { input, transactions, paused: false, offsets: HashMap::new(), ahead: VecDeque::new() };
        match copy.drive(settings, stage, beat, shutdown) {
            Ok(()) => {}
            Err(Ending::Exit(err)) => return Err(err),
            Err(Ending::Rebuild(err)) => {
                stage.aborted();
                Events::count(&events.rebuilds);
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

enum Ending {
    Rebuild(KafkaError),
    Exit(anyhow::Error),
}

/// Where records come from.
struct Input<'a> {
    consumer: &'a BaseConsumer<Watch>,
    contact: &'a Contact,
    source: &'a str,
}

impl<'a> Input<'a> {
    /// The next record, if one comes in time.
    fn poll(&self, wait: Duration) -> Result<Option<BorrowedMessage<'a>>, Stop> {
        match self.consumer.poll(wait) {
            Some(Ok(message)) => {
                self.contact.heard();
                Ok(Some(message))
            }
            Some(Err(KafkaError::MessageConsumptionFatal(code))) => {
                Err(Stop::Exit(anyhow!("consuming {}: {code}", self.source)))
            }
            // librdkafka reconnects by itself, and logs it: a broker that is away is normal.
            None | Some(Err(_)) => self.contact.check(self.consumer.client()).map_err(Stop::Exit).map(|()| None),
        }
    }

    /// Whether partitions have come or gone since this was asked last.
    fn has_moved(&self) -> bool {
        self.consumer.context().moved.swap(false, Ordering::AcqRel)
    }
}

struct Copy<'a, V> {
    input: Input<'a>,
    transactions: Transactions,
    /// No record was waiting when it last polled.
    paused: bool,
    /// Last offset handled + 1, by partition.
    offsets: HashMap<i32, i64>,
    /// What was read while the last transaction was committed.
    ahead: VecDeque<(BorrowedMessage<'a>, V)>,
}

impl<V> Copy<'_, V> {
    fn drive(
        &mut self,
        settings: &Settings,
        stage: &mut impl Stage<Verdict = V>,
        beat: &Beat,
        shutdown: &CancellationToken,
    ) -> Result<(), Ending> {
        loop {
            if let Err(failure) = self.step(settings, stage, beat, shutdown) {
                match failure {
                    Stop::Shutdown => return Ok(()),
                    Stop::Exit(err) => return Err(Ending::Exit(err)),
                    Stop::Failed(Failure::Rebuild(err)) => return Err(Ending::Rebuild(err)),
                    Stop::Failed(Failure::Abort(err)) => {
                        warn!("going back to what is committed: {err}");
                        stage.aborted();
                        self.offsets.clear();
                        self.ahead.clear();
                        if self.transactions.is_open() {
                            self.transactions.abort().map_err(Ending::Rebuild)?;
                        }
                        rewind(self.input.consumer, beat).map_err(Ending::Exit)?;
                    }
                }
            }
        }
    }

    fn step(
        &mut self,
        settings: &Settings,
        stage: &mut impl Stage<Verdict = V>,
        beat: &Beat,
        shutdown: &CancellationToken,
    ) -> Result<(), Stop> {
        let records = self.transactions.records();
        if self.paused || records.is_multiple_of(LOOK_EVERY) {
            beat.turned();
            let age = self.transactions.age();
            if records >= MAX_RECORDS || age.is_some_and(|age| age >= settings.interval) {
                return self.commit(stage);
            }
            if shutdown.is_cancelled() {
                if age.is_some() {
                    self.commit(stage)?;
                }
                return Err(Stop::Shutdown);
            }
        }
        if let Some((message, verdict)) = self.ahead.pop_front() {
            self.paused = false;
            return self.handle(message, verdict, stage);
        }
        let mut polled = self.input.poll(Duration::ZERO)?;
        self.paused = polled.is_none();
        if self.paused {
            let left = self.transactions.age().map_or(IDLE_POLL, |age| settings.interval.saturating_sub(age));
            polled = self.input.poll(left.min(IDLE_POLL))?;
        }
        if self.input.has_moved() && self.transactions.is_open() {
            return Err(moved());
        }
        match polled {
            Some(message) => {
                let verdict = stage.judge(&message);
                self.handle(message, verdict, stage)
            }
            None => Ok(()),
        }
    }

    fn handle(
        &mut self,
        message: BorrowedMessage<'_>,
        verdict: V,
        stage: &mut impl Stage<Verdict = V>,
    ) -> Result<(), Stop> {
        let (partition, next) = (message.partition(), message.offset() + 1);
        stage.handle(message, verdict, &mut self.transactions.outbox()?)?;
        self.offsets.insert(partition, next);
        Ok(())
    }

    fn commit(&mut self, stage: &mut impl Stage<Verdict = V>) -> Result<(), Stop> {
        let mut offsets = TopicPartitionList::with_capacity(self.offsets.len());
        for (partition, offset) in self.offsets.drain() {
            offsets
                .add_partition_offset(self.input.source, partition, Offset::Offset(offset))
                .map_err(Failure::from)?;
        }
        let group = self.input.consumer.group_metadata();
        let Self { input, transactions, ahead, .. } = self;
        let (committed, read) = std::thread::scope(|scope| {
            let commit = scope.spawn(|| transactions.commit(&offsets, group));
            let mut read = Ok(());
            while !commit.is_finished() {
                if read.is_ok() && ahead.len() < MAX_AHEAD {
                    read = read_ahead(input, ahead, stage);
                } else {
                    std::thread::sleep(COMMIT_POLL);
                }
            }
            (commit.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), read)
        });
        committed?;
        stage.committed();
        read
    }
}

/// Reads one record more while a transaction is committed.
fn read_ahead<'a, S: Stage>(
    input: &Input<'a>,
    ahead: &mut VecDeque<(BorrowedMessage<'a>, S::Verdict)>,
    stage: &S,
) -> Result<(), Stop> {
    let polled = input.poll(COMMIT_POLL)?;
    if input.has_moved() {
        return Err(moved());
    }
    ahead.extend(polled.map(|message| {
        let verdict = stage.judge(&message);
        (message, verdict)
    }));
    Ok(())
}

/// What was read so far was of another assignment, and the last poll's record is of the new one: all is read again.
fn moved() -> Stop {
    Stop::Failed(Failure::Abort(KafkaError::Rebalance(RDKafkaErrorCode::AssignPartitions)))
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
