//! The task of copying: handle each record, commit in time, and read ahead meanwhile.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use service::{Activity, Beat, Stopwatch};
use tokio_util::sync::CancellationToken;

use super::Processor;
use super::ahead::Ahead;
use super::input::Input;
use crate::Record;
use crate::task::{Stop, Task};
use crate::transactions::{Failure, Transactions};

/// More records than this close a transaction early, so that memory and the loss by an abort stay bounded.
const MAX_RECORDS: u64 = 100_000;
/// Records between two looks at the clock while they come without a pause: looking for each one is a few percent of all
/// that the thread does.
const LOOK_EVERY: u64 = 32;
/// A poll without records; bounds how late a transaction is closed and a stop is seen.
const IDLE_POLL: Duration = Duration::from_millis(20);
/// The same while a transaction is committed; bounds how late its end is seen.
const COMMIT_POLL: Duration = Duration::from_millis(1);

/// What a copy has in hand.
pub(super) struct Copier<'a, P: Processor> {
    input: &'a Input<'a>,
    processor: &'a mut P,
    /// A transaction is closed after this time.
    interval: Duration,
    stopwatch: &'a Stopwatch,
    beat: &'a Beat,
    shutdown: &'a CancellationToken,
    /// It is a member of its group.
    subscribed: bool,
    /// No record was waiting when it last polled.
    paused: bool,
    /// Last offset handled + 1, by partition.
    offsets: BTreeMap<i32, i64>,
    /// What was read while the last transaction was committed.
    ahead: Ahead<(Record<'a>, P::Judged)>,
}

impl<P: Processor> Task for Copier<'_, P> {
    fn turn(&mut self, transactions: &mut Transactions) -> Result<(), Stop> {
        let records = transactions.records();
        if self.paused || records.is_multiple_of(LOOK_EVERY) {
            self.beat.turned();
            self.input.check().map_err(Stop::Exit)?;
            let age = transactions.age();
            if records >= MAX_RECORDS || age.is_some_and(|age| age >= self.interval) {
                return self.commit(transactions);
            }
            if self.shutdown.is_cancelled() {
                if age.is_some() {
                    self.commit(transactions)?;
                }
                return Err(Stop::Shutdown);
            }
        }
        if let Some((record, judged)) = self.ahead.pop() {
            self.paused = false;
            return self.handle(record, judged, transactions);
        }
        let mut polled = next(self.input, Duration::ZERO)?;
        self.paused = polled.is_none();
        if self.paused {
            let left = transactions.age().map_or(IDLE_POLL, |age| self.interval.saturating_sub(age));
            polled = self.stopwatch.during(Activity::Input, || next(self.input, left.min(IDLE_POLL)))?;
        }
        match polled {
            Some(record) => {
                let judged = self.processor.judge(&record);
                self.handle(record, judged, transactions)
            }
            None => Ok(()),
        }
    }

    fn rewind(&mut self) -> anyhow::Result<()> {
        if !self.subscribed {
            // Only now: an older instance of this id is fenced and its transaction settled, so that the offsets that
            // the group hands out are final.
            self.subscribed = true;
            return self.input.subscribe();
        }
        self.processor.aborted();
        self.offsets.clear();
        self.ahead.clear();
        self.input.rewind(self.beat, self.shutdown)
    }

    fn rest(&mut self, wait: Duration) -> anyhow::Result<()> {
        self.input.rest(wait, self.shutdown)
    }
}

impl<'a, P: Processor> Copier<'a, P> {
    pub(super) fn new(
        input: &'a Input<'a>,
        processor: &'a mut P,
        interval: Duration,
        stopwatch: &'a Stopwatch,
        beat: &'a Beat,
        shutdown: &'a CancellationToken,
    ) -> Self {
        let (offsets, ahead) = (BTreeMap::new(), Ahead::default());
        let (subscribed, paused) = (false, false);
        Self { input, processor, interval, stopwatch, beat, shutdown, subscribed, paused, offsets, ahead }
    }

    fn handle(&mut self, record: Record<'_>, judged: P::Judged, transactions: &mut Transactions) -> Result<(), Stop> {
        let (partition, next) = (record.partition(), record.offset() + 1);
        self.processor.handle(record, judged, &mut transactions.outbox()?)?;
        self.offsets.insert(partition, next);
        Ok(())
    }

    /// Commits on a thread of its own, since a commit blocks for as long as Kafka takes, while this one reads on. One is
    /// started for each commit, ten times a second at most: that takes some tens of microseconds, and it can borrow the
    /// producer, which one that lived longer would have to be handed and to hand back.
    fn commit(&mut self, transactions: &mut Transactions) -> Result<(), Stop> {
        let offsets = std::mem::take(&mut self.offsets);
        let reached = self.input.partitions(&offsets);
        let (membership, role) = (self.input.membership(), &*self.input.committed());
        let Self { input, ahead, stopwatch, processor, .. } = self;
        let (committed, read) = std::thread::scope(|scope| {
            let commit = scope.spawn(|| transactions.commit(&reached, role, membership));
            let (mut read, mut works) = (Ok(true), true);
            while !commit.is_finished() {
                if read.is_ok() && !ahead.is_full() {
                    read = read_ahead(input, ahead, &**processor);
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
        self.processor.committed();
        read.map(drop)
    }
}

/// Reads one record more while a transaction is committed; whether there was one.
fn read_ahead<'a, P: Processor>(
    input: &'a Input<'a>,
    ahead: &mut Ahead<(Record<'a>, P::Judged)>,
    processor: &P,
) -> Result<bool, Stop> {
    let Some(record) = next(input, COMMIT_POLL)? else { return Ok(false) };
    let (bytes, judged) = (record.bytes(), processor.judge(&record));
    ahead.push(bytes, (record, judged));
    Ok(true)
}

/// The next record, if one comes in time. When partitions have come or gone, what was read so far was of another
/// assignment, and the record is of the new one: all is read again.
fn next<'a>(input: &'a Input<'_>, wait: Duration) -> Result<Option<Record<'a>>, Stop> {
    let polled = input.poll(wait).map_err(Stop::Exit)?;
    if input.has_moved() {
        let moved = KafkaError::Rebalance(RDKafkaErrorCode::AssignPartitions);
        return Err(Stop::Failed(Failure::Abort(moved.into())));
    }
    Ok(polled)
}
