//! The loop of a sink: gathers batches from Kafka, and hands them to the writer.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use kafka::{Member, Polled, RangeCheck, Watch};
use service::{Activity, Ready, Stopwatch};
use stores::{Outcome, Partition, Record, Store};
use tracing::{debug, error, info, warn};

use super::shares::{Batch, Placed, Shares, Taken};
use super::writer::{self, Reply, Request};
use super::{LAST_WRITE_LIMIT, Sink};
use crate::IDLE;

/// Bytes on the wire that a batch may have. Sales have some 550; only a flood of outsized ones gets here.
const BATCH_BYTES: usize = 8 << 20;
/// Records taken before the loop looks at anything else, and the time that may pass meanwhile.
const BURST: usize = 1_000;
const BURST_TIME: Duration = Duration::from_millis(100);
/// A batch that finds the writer busy is looked at again after this time.
const BUSY_POLL: Duration = Duration::from_millis(2);
/// With a full batch and a writer that is busy for longer, fetching ends and the group is polled again.
const HOLD_AFTER: Duration = Duration::from_secs(1);
/// Between two commits of the store's positions to the group: for display only.
const SHOW_EVERY: Duration = Duration::from_secs(1);
/// A store that had nothing to do for so long is asked for its positions: it may have been away meanwhile.
const COMPARE_AFTER: Duration = Duration::from_secs(5);
/// Malformed records are logged once in this time.
const LOG_EVERY: Duration = Duration::from_secs(1);

/// What the client fetches.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fetch {
    /// What it should.
    Right,
    /// Not what it should: positions were read since.
    Stale,
    /// Nothing, as there is no room.
    Held,
}

pub(super) struct Gather<'a> {
    pub(super) sink: &'a Sink<'a>,
    pub(super) member: Member,
    pub(super) shares: Shares,
    /// To the writer, and back.
    requests: tokio::sync::mpsc::Sender<Request>,
    replies: Receiver<Reply>,
    /// The writer has a request.
    busy: bool,
    /// Sales that the writer has.
    writing: usize,
    /// When it last answered.
    answered: Instant,
    /// The store was away, and may have come back with less than it had confirmed: its positions are to be compared.
    compare: bool,
    pub(super) watch: Watch,
    /// Kafka was away, and may come back as another one: nothing is written until that is known.
    pub(super) unsure: bool,
    pub(super) fetch: Fetch,
    /// Since when the gathered batch is full, while the writer is busy with the one before.
    full_since: Option<Instant>,
    pub(super) range: RangeCheck,
    /// Positions that the store has confirmed since they were last committed to the group.
    written: BTreeMap<Partition, i64>,
    /// When they were.
    shown: Option<Instant>,
    /// When a malformed record was last logged.
    logged: Option<Instant>,
    /// The command that deletes what the store holds.
    pub(super) reset: String,
    pub(super) kafka_ready: Ready,
    time: Stopwatch,
}

impl<'a> Gather<'a> {
    pub(super) fn new<S: Store + 'static>(
        sink: &'a Sink<'a>,
        store: S,
        watch: Watch,
        kafka_ready: Ready,
        store_ready: Ready,
    ) -> anyhow::Result<Self> {
        let reset = store.reset();
        let metrics = sink.metrics.sink.clone();
        let (reply, replies) = channel();
        let writer = sink.metrics.time.start("writer");
        let requests = writer::start(store, reply, metrics, store_ready, writer, sink.shutdown.clone(), sink.runtime);
        // For no partition: it makes the tables and compares the installation, even if this member gets no share.
        requests.try_send(Request::Positions(Vec::new())).context("handing a request to the writer")?;
        Ok(Self {
            sink,
            member: Member::of_states(sink.kafka, &sink.role.to_string())?,
            shares: Shares::default(),
            requests,
            replies,
            busy: true,
            writing: 0,
            answered: Instant::now(),
            compare: false,
            watch,
            unsure: false,
            fetch: Fetch::Right,
            full_since: None,
            range: RangeCheck::default(),
            written: BTreeMap::new(),
            shown: None,
            logged: None,
            reset,
            kafka_ready,
            time: sink.metrics.time.start("reader"),
        })
    }

    /// One turn of the loop; takes a tenth of a second at most when there is nothing to do.
    ///
    /// The order matters: answers free the writer and settle positions, so they come first; what the group took away must
    /// be known before a request names it, and so must whether Kafka is still the same one; the writer gets its next
    /// request before the thread waits for records, so that both work at once.
    pub(super) fn turn(&mut self) -> anyhow::Result<()> {
        while let Ok(reply) = self.replies.try_recv() {
            self.receive(reply)?;
        }
        if let Some(partitions) = self.member.rebalanced() {
            self.rebalanced(partitions);
        }
        self.look_at_kafka()?;
        if self.range.is_due() && !self.unsure {
            self.check_positions()?;
        }
        self.ask()?;
        self.read()?;
        self.sink.metrics.sink.in_hand.set(i64::try_from(self.writing + self.shares.waiting().0).unwrap_or(i64::MAX));
        self.member.check()?;
        self.show()
    }

    /// Waits for the write in hand, and commits what came of it to the group.
    pub(super) fn finish(&mut self) -> anyhow::Result<()> {
        if self.busy
            && let Ok(reply) = self.replies.recv_timeout(LAST_WRITE_LIMIT)
        {
            self.receive(reply)?;
        }
        self.shown = None;
        self.show()
    }

    /// Leaves the group, if that can be done.
    pub(super) fn leave(self) {
        if self.unsure {
            self.member.abandon();
        } else {
            self.member.leave();
        }
    }

    fn receive(&mut self, reply: Reply) -> anyhow::Result<()> {
        match reply {
            Reply::Positions { positions, retried } => {
                self.answered(retried);
                if !self.unsure {
                    self.place(&positions);
                }
            }
            Reply::Written { batch, outcomes, at_us, retried } => {
                self.answered(retried);
                self.writing = 0;
                self.count(&batch, &outcomes, at_us, retried);
                self.written.extend(self.shares.settle(&batch, &outcomes));
            }
            Reply::Stop(err) => return Err(err.into()),
        }
        Ok(())
    }

    fn answered(&mut self, retried: bool) {
        (self.busy, self.answered) = (false, Instant::now());
        self.compare |= retried;
    }

    fn place(&mut self, positions: &[(Partition, i64)]) {
        let placed: Vec<Placed> = positions.iter().map(|(one, position)| self.shares.place(one, *position)).collect();
        if placed.iter().any(|one| *one != Placed::AsKnown) {
            self.stale();
        }
        let moved = placed.iter().filter(|one| **one == Placed::Moved).count();
        if moved > 0 {
            warn!(
                partitions = moved,
                "the store came back with other positions than it had confirmed; going on from them"
            );
            self.sink.metrics.sink.moved.inc_by(moved as u64);
        }
    }

    fn count(&self, batch: &Batch, outcomes: &[Outcome], at_us: i64, retried: bool) {
        let metrics = &self.sink.metrics.sink;
        metrics.batches.inc();
        for (part, outcome) in batch.parts.iter().zip(outcomes) {
            let conflicts = match outcome {
                Outcome::Written { conflicts } => *conflicts,
                // Ours: the answer to an earlier try was lost.
                Outcome::Moved { actual } if retried && *actual == part.next => 0,
                Outcome::Moved { actual } => {
                    let (topic, expected) = (&part.partition.0, part.expected);
                    debug!(topic, expected, actual, "the store is elsewhere");
                    metrics.moved.inc();
                    continue;
                }
            };
            metrics.conflicts.inc_by(conflicts);
            metrics.sales.inc_by((part.records.len() as u64).saturating_sub(conflicts));
            metrics.latency.record_each(part.records.iter().map(Record::due_us), at_us);
        }
    }

    fn rebalanced(&mut self, partitions: Vec<Partition>) {
        if !partitions.is_empty() {
            self.sink.metrics.sink.rebalances.inc();
            info!(partitions = partitions.len(), "assigned");
        }
        // A group that forgot its members may be that of an emptied Kafka.
        self.watch.doubt();
        self.shares.assign(partitions);
        self.written.clear();
        (self.fetch, self.full_since) = (Fetch::Right, None);
        if !self.unsure {
            self.kafka_ready.set(true);
        }
    }

    /// Gives the writer its next request, if it has none and there is one.
    fn ask(&mut self) -> anyhow::Result<()> {
        if self.requests.is_closed() {
            bail!("the writer ended without an answer");
        }
        if self.busy || self.unsure || !self.watch.is_sure()? {
            return Ok(());
        }
        let unknown = self.shares.unknown();
        let request = if !unknown.is_empty() {
            Request::Positions(unknown)
        } else if self.compare || self.answered.elapsed() >= COMPARE_AFTER {
            self.compare = false;
            Request::Positions(self.shares.all())
        } else if self.is_due() {
            let batch = self.shares.hand_over();
            if batch.parts.is_empty() {
                return Ok(());
            }
            self.writing = batch.parts.iter().map(|part| part.records.len()).sum();
            Request::Write(batch)
        } else {
            return Ok(());
        };
        self.busy = true;
        self.requests.try_send(request).context("handing a request to the writer")
    }

    /// Has the client told again where to fetch, as soon as there is room.
    pub(super) fn stale(&mut self) {
        if self.fetch == Fetch::Right {
            self.fetch = Fetch::Stale;
        }
    }

    fn is_due(&self) -> bool {
        self.is_full()
            || self.shares.since().is_some_and(|since| since.elapsed() >= self.sink.config.batch_interval.get())
    }

    fn is_full(&self) -> bool {
        let (sales, bytes) = self.shares.waiting();
        sales >= self.sink.config.batch_sales.get() || bytes >= BATCH_BYTES
    }

    /// Takes what Kafka has, as far as there is room.
    fn read(&mut self) -> anyhow::Result<()> {
        if self.is_full() {
            let since = *self.full_since.get_or_insert_with(Instant::now);
            if self.fetch != Fetch::Held && since.elapsed() < HOLD_AFTER {
                // A short wait: what is fetched is kept, and the group is not polled.
                if let Ok(reply) = self.time.during(Activity::Store, || self.replies.recv_timeout(IDLE)) {
                    self.receive(reply)?;
                }
                return Ok(());
            }
            if self.fetch != Fetch::Held {
                self.member.fetch(&[])?;
                self.fetch = Fetch::Held;
            }
        } else {
            self.full_since = None;
            if self.fetch != Fetch::Right && !self.unsure && !self.range.is_pending() {
                self.member.fetch(&self.shares.start())?;
                self.fetch = Fetch::Right;
            }
        }
        let mut wait = self.wait();
        self.time.begin(if self.fetch == Fetch::Held { Activity::Store } else { Activity::Input });
        let mut until = None;
        for _ in 0..BURST {
            let polled = self.member.poll(wait);
            if !wait.is_zero() {
                self.time.begin(Activity::Working);
            }
            let now = Instant::now();
            match polled {
                Polled::Nothing => break,
                Polled::Record(record) => {
                    let offset = record.offset();
                    if let Taken::Next(n) = self.shares.take(record.topic(), record.partition(), offset) {
                        let decoded = match (self.sink.decode)(&record) {
                            Ok(decoded) => Some((decoded, record.bytes())),
                            Err(malformed) => {
                                self.sink.metrics.sink.malformed.inc();
                                if self.logged.is_none_or(|logged| logged.elapsed() > LOG_EVERY) {
                                    self.logged = Some(now);
                                    let (topic, reason) = (record.topic(), malformed.reason);
                                    error!(topic, offset, "left out a record that is not a sale: {reason}");
                                }
                                None
                            }
                        };
                        self.shares.put(n, offset, decoded, now);
                    }
                }
                Polled::OutOfRange => {
                    // An emptied Kafka is to be called that.
                    self.watch.doubt();
                    self.range.refused();
                }
                Polled::AllBrokersDown => self.doubt()?,
                Polled::Fatal(err) => return Err(err).context("reading"),
                Polled::Error(err) => {
                    debug!("reading: {err}");
                    self.sink.metrics.sink.kafka_errors.inc();
                }
            }
            if self.is_full() || now >= *until.get_or_insert(now + BURST_TIME) {
                break;
            }
            wait = Duration::ZERO;
        }
        Ok(())
    }

    /// How long a poll may wait for a record.
    fn wait(&self) -> Duration {
        match self.shares.since() {
            _ if self.fetch == Fetch::Held => IDLE,
            Some(_) if self.is_due() => BUSY_POLL,
            Some(since) => self.sink.config.batch_interval.get().saturating_sub(since.elapsed()).min(IDLE),
            None if self.busy => BUSY_POLL * 10,
            None => IDLE,
        }
    }

    /// Commits to the group how far the store is, for display only.
    fn show(&mut self) -> anyhow::Result<()> {
        if self.shown.is_none_or(|shown| shown.elapsed() >= SHOW_EVERY) && !self.unsure {
            self.shown = Some(Instant::now());
            let written: Vec<(Partition, i64)> = std::mem::take(&mut self.written).into_iter().collect();
            if !written.is_empty() {
                self.member.show(&written)?;
            }
        }
        Ok(())
    }
}
