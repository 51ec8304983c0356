//! The loop of one producer: handle, commit, and go back to what is committed when that is not to be had.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::Message;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use service::{Activity, Beat, Stopwatch};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::Stage;
use super::ahead::Ahead;
use super::input::Input;
use crate::transactions::{END_LIMIT, Failure, Transactions};

/// More records than this close a transaction early, so that memory and the loss by an abort stay bounded.
const MAX_RECORDS: u64 = 100_000;
/// Records between two looks at the clock while they come without a pause: looking for each one is a few percent of all
/// that the thread does.
const LOOK_EVERY: u64 = 32;
/// A poll without records; bounds how late a transaction is closed and a stop is seen.
const IDLE_POLL: Duration = Duration::from_millis(20);
/// The same while a transaction is committed; bounds how late its end is seen.
const COMMIT_POLL: Duration = Duration::from_millis(1);

/// An abort when the program is to stop, which has waited for the commit before. Without it, Kafka ends the transaction.
const LAST_ABORT_LIMIT: Duration = Duration::from_secs(3);

/// Why a copy ended before it was told to.
pub(super) enum Ending {
    /// The producer must be made anew.
    Rebuild(KafkaError),
    /// The process should end.
    Exit(anyhow::Error),
}

/// A copy by one producer: what it has in hand.
pub(super) struct Copy<'a, V> {
    input: &'a Input<'a>,
    transactions: Transactions,
    /// A transaction is closed after this time.
    interval: Duration,
    stopwatch: &'a Stopwatch,
    /// No record was waiting when it last polled.
    paused: bool,
    /// Last offset handled + 1, by partition.
    offsets: BTreeMap<i32, i64>,
    /// What was read while the last transaction was committed.
    ahead: Ahead<(BorrowedMessage<'a>, V)>,
}

impl<'a, V> Copy<'a, V> {
    pub(super) fn new(
        input: &'a Input<'a>,
        transactions: Transactions,
        interval: Duration,
        stopwatch: &'a Stopwatch,
    ) -> Self {
        let (offsets, ahead) = (BTreeMap::new(), Ahead::default());
        Self { input, transactions, interval, stopwatch, paused: false, offsets, ahead }
    }

    /// Copies until `shutdown`, and commits what is in hand then.
    pub(super) fn drive(
        &mut self,
        stage: &mut impl Stage<Verdict = V>,
        beat: &Beat,
        shutdown: &CancellationToken,
    ) -> Result<(), Ending> {
        self.stopwatch.begin(Activity::Working);
        loop {
            if let Err(failure) = self.step(stage, beat, shutdown) {
                match failure {
                    Stop::Shutdown => return Ok(()),
                    Stop::Exit(err) | Stop::Failed(Failure::Refused(err)) => return Err(Ending::Exit(err)),
                    Stop::Failed(Failure::Rebuild(err)) => return Err(Ending::Rebuild(err)),
                    Stop::Failed(Failure::Abort(err)) => {
                        stage.aborted();
                        self.offsets.clear();
                        self.ahead.clear();
                        // A commit may have taken its time before it failed.
                        beat.turned();
                        if self.transactions.is_open() {
                            warn!("aborting the transaction: {err}");
                            let limit = if shutdown.is_cancelled() { LAST_ABORT_LIMIT } else { END_LIMIT };
                            self.transactions.abort_within(limit).map_err(Ending::Rebuild)?;
                        }
                        self.input.rewind(beat, shutdown).map_err(Ending::Exit)?;
                    }
                }
            }
        }
    }

    fn step(
        &mut self,
        stage: &mut impl Stage<Verdict = V>,
        beat: &Beat,
        shutdown: &CancellationToken,
    ) -> Result<(), Stop> {
        let records = self.transactions.records();
        if self.paused || records.is_multiple_of(LOOK_EVERY) {
            beat.turned();
            self.input.check().map_err(Stop::Exit)?;
            let age = self.transactions.age();
            if records >= MAX_RECORDS || age.is_some_and(|age| age >= self.interval) {
                return self.commit(stage);
            }
            if shutdown.is_cancelled() {
                if age.is_some() {
                    self.commit(stage)?;
                }
                return Err(Stop::Shutdown);
            }
        }
        if let Some((message, verdict)) = self.ahead.pop() {
            self.paused = false;
            return self.handle(message, verdict, stage);
        }
        let mut polled = next(self.input, Duration::ZERO)?;
        self.paused = polled.is_none();
        if self.paused {
            let left = self.transactions.age().map_or(IDLE_POLL, |age| self.interval.saturating_sub(age));
            polled = self.stopwatch.during(Activity::Input, || next(self.input, left.min(IDLE_POLL)))?;
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
        let moved: Vec<(i32, i64)> = std::mem::take(&mut self.offsets).into_iter().collect();
        let offsets = self.input.offsets(&moved).map_err(Failure::from)?;
        self.input.put(&mut self.transactions.outbox()?, &moved)?;
        let group = self.input.group();
        let Self { input, transactions, ahead, stopwatch, .. } = self;
        let (committed, read) = std::thread::scope(|scope| {
            let commit = scope.spawn(|| transactions.commit(&offsets, group));
            let (mut read, mut works) = (Ok(true), true);
            while !commit.is_finished() {
                if read.is_ok() && !ahead.is_full() {
                    read = read_ahead(input, ahead, stage);
                } else {
                    std::thread::sleep(COMMIT_POLL);
                }
                let reads = matches!(read, Ok(true)) && !ahead.is_full();
                if works != reads {
                    works = reads;
                    stopwatch.begin(if works { Activity::Working } else { Activity::Kafka });
                }
            }
            stopwatch.begin(Activity::Working);
            (commit.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), read)
        });
        committed?;
        stage.committed();
        read.map(drop)
    }
}

/// Reads one record more while a transaction is committed; whether there was one.
fn read_ahead<'a, S: Stage>(
    input: &'a Input<'a>,
    ahead: &mut Ahead<(BorrowedMessage<'a>, S::Verdict)>,
    stage: &S,
) -> Result<bool, Stop> {
    let Some(message) = next(input, COMMIT_POLL)? else { return Ok(false) };
    let (bytes, verdict) = (message.payload_len() + message.key_len(), stage.judge(&message));
    ahead.push(bytes, (message, verdict));
    Ok(true)
}

/// The next record, if one comes in time. When partitions have come or gone, what was read so far was of another
/// assignment, and the record is of the new one: all is read again.
fn next<'a>(input: &'a Input<'_>, wait: Duration) -> Result<Option<BorrowedMessage<'a>>, Stop> {
    let polled = input.poll(wait).map_err(Stop::Exit)?;
    if input.has_moved() {
        return Err(Stop::Failed(Failure::Abort(KafkaError::Rebalance(RDKafkaErrorCode::AssignPartitions))));
    }
    Ok(polled)
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
