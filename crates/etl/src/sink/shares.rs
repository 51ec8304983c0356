//! What a sink knows of each partition it was given: how far it read, and what waits to be written.
//!
//! A record is taken only if its partition has a position that was read from the store in this assignment, only after
//! the client was told to begin there, and only at or behind it. So nothing that the client may still deliver from
//! before can be written, nor a record left out because a later one came first.

use std::collections::HashMap;
use std::time::Instant;

use stores::{Outcome, Part, Partition, Record};

/// All partitions of the assignment.
#[derive(Default)]
pub(super) struct Shares {
    each: Vec<Share>,
    by_name: HashMap<String, Vec<(i32, usize)>>,
    /// Grows with each position that is read, so that an answer to a write from before is recognised.
    epoch: u64,
    waiting: usize,
    waiting_bytes: usize,
    since: Option<Instant>,
}

struct Share {
    partition: Partition,
    at: Option<At>,
    records: Vec<Record>,
    /// Of those records, on the wire.
    bytes: usize,
}

/// A partition whose position in the store is known.
struct At {
    epoch: u64,
    /// The client was told to begin at `next`: what it delivers is no longer from before.
    started: bool,
    /// Where the store will be when all that was handed over is written.
    expected: i64,
    /// The first offset that was not read.
    next: i64,
}

/// Parts on their way to the store, each with the epoch of its partition.
pub(super) struct Batch {
    pub(super) parts: Vec<Part>,
    epochs: Vec<u64>,
}

/// What a position that was read from the store means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Placed {
    /// What was known.
    AsKnown,
    /// Where to begin.
    New,
    /// The store is elsewhere than where this sink left it: what waited is dropped, and reading begins again from there.
    Moved,
}

/// What a record did.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is the partition's next; it must be given to [`Shares::put`].
    Next(usize),
    /// It was read before, or is of a partition whose position isn't known or wasn't told to the client.
    Stale,
}

impl Shares {
    /// A new assignment: nothing is known of its partitions, and nothing is kept of those before.
    pub(super) fn assign(&mut self, partitions: Vec<Partition>) {
        let epoch = self.epoch;
        *self = Self { epoch, ..Self::default() };
        for partition in partitions {
            self.by_name.entry(partition.0.clone()).or_default().push((partition.1, self.each.len()));
            self.each.push(Share { partition, at: None, records: Vec::new(), bytes: 0 });
        }
    }

    /// Forgets every position and what waits, but not the assignment.
    pub(super) fn forget(&mut self) {
        self.assign(self.all());
    }

    /// The partitions whose position must be read from the store.
    pub(super) fn unknown(&self) -> Vec<Partition> {
        let unknown = self.each.iter().filter(|share| share.at.is_none());
        unknown.map(|share| share.partition.clone()).collect()
    }

    /// All partitions, for their positions to be compared with those of the store.
    pub(super) fn all(&self) -> Vec<Partition> {
        self.each.iter().map(|share| share.partition.clone()).collect()
    }

    /// Takes the position that was read from the store while nothing was being written.
    pub(super) fn place(&mut self, partition: &Partition, position: i64) -> Placed {
        let Some(n) = self.index(&partition.0, partition.1) else { return Placed::AsKnown };
        let known = self.each[n].at.as_ref().map(|at| at.expected);
        if known == Some(position) {
            return Placed::AsKnown;
        }
        self.let_go(n);
        self.epoch += 1;
        self.each[n].at = Some(At { epoch: self.epoch, started: false, expected: position, next: position });
        if known.is_some() { Placed::Moved } else { Placed::New }
    }

    /// Where to read on, for each partition whose position is known.
    pub(super) fn known(&self) -> Vec<(Partition, i64)> {
        let known = self.each.iter().filter_map(|share| Some((share.partition.clone(), share.at.as_ref()?.next)));
        known.collect()
    }

    /// The same, for the client to begin there; from now on, records are taken.
    pub(super) fn start(&mut self) -> Vec<(Partition, i64)> {
        for at in self.each.iter_mut().filter_map(|share| share.at.as_mut()) {
            at.started = true;
        }
        self.known()
    }

    /// Goes on at `offset`, as what was before it is gone. The store's position stays what it is.
    pub(super) fn skip_to(&mut self, partition: &Partition, offset: i64) {
        if let Some(at) = self.find(partition).and_then(|share| share.at.as_mut()) {
            at.next = at.next.max(offset);
        }
    }

    /// Asks what to do with the record at `offset`.
    pub(super) fn take(&self, topic: &str, partition: i32, offset: i64) -> Taken {
        match self.index(topic, partition) {
            Some(n) if self.each[n].at.as_ref().is_some_and(|at| at.started && offset >= at.next) => Taken::Next(n),
            _ => Taken::Stale,
        }
    }

    /// Keeps what was read at `offset` to be written; nothing, if it was no sale.
    pub(super) fn put(&mut self, n: usize, offset: i64, record: Option<(Record, usize)>, now: Instant) {
        let share = &mut self.each[n];
        let Some(at) = &mut share.at else { return };
        at.next = offset + 1;
        self.since.get_or_insert(now);
        if let Some((record, bytes)) = record {
            share.records.push(record);
            share.bytes += bytes;
            self.waiting += 1;
            self.waiting_bytes += bytes;
        }
    }

    /// Sales that wait, and their bytes on the wire.
    pub(super) fn waiting(&self) -> (usize, usize) {
        (self.waiting, self.waiting_bytes)
    }

    /// When the oldest thing that waits was read; none if nothing does.
    pub(super) fn since(&self) -> Option<Instant> {
        self.since
    }

    /// Everything that waits, to be written now.
    pub(super) fn hand_over(&mut self) -> Batch {
        let mut batch = Batch { parts: Vec::new(), epochs: Vec::new() };
        for share in &mut self.each {
            let Some(at) = share.at.as_mut().filter(|at| at.next > at.expected) else { continue };
            batch.parts.push(Part {
                partition: share.partition.clone(),
                expected: at.expected,
                next: at.next,
                records: std::mem::take(&mut share.records),
            });
            batch.epochs.push(at.epoch);
            at.expected = at.next;
            share.bytes = 0;
        }
        (self.waiting, self.waiting_bytes, self.since) = (0, 0, None);
        batch
    }

    /// Takes the answers to a batch, and returns where the store now is in what was written.
    ///
    /// A partition that the store has elsewhere is unknown again, and what waits of it is dropped: it builds on what was
    /// refused. An answer from before the partition was placed means nothing.
    pub(super) fn settle(&mut self, batch: &Batch, outcomes: &[Outcome]) -> Vec<(Partition, i64)> {
        let mut written = Vec::new();
        for ((part, epoch), outcome) in batch.parts.iter().zip(&batch.epochs).zip(outcomes) {
            let Some(n) = self.index(&part.partition.0, part.partition.1) else { continue };
            if self.each[n].at.as_ref().is_none_or(|at| at.epoch != *epoch) {
                continue;
            }
            // At our own end, an earlier try was written and its answer lost.
            if matches!(outcome, Outcome::Moved { actual } if *actual != part.next) {
                self.let_go(n);
            } else {
                written.push((part.partition.clone(), part.next));
            }
        }
        written
    }

    /// Forgets the position of one partition, and drops what waits of it.
    fn let_go(&mut self, n: usize) {
        let share = &mut self.each[n];
        share.at = None;
        self.waiting -= std::mem::take(&mut share.records).len();
        self.waiting_bytes -= std::mem::take(&mut share.bytes);
    }

    fn index(&self, topic: &str, partition: i32) -> Option<usize> {
        let numbers = self.by_name.get(topic)?;
        numbers.iter().find(|(number, _)| *number == partition).map(|(_, n)| *n)
    }

    fn find(&mut self, (topic, number): &Partition) -> Option<&mut Share> {
        let n = self.index(topic, *number)?;
        Some(&mut self.each[n])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use petstore::{BlockId, Parameters, Petstore};

    fn record(offset: i64) -> (Record, usize) {
        let block = BlockId { run: 1, loader: 0, block: 0 };
        let sale = Petstore::new(Parameters::default()).unwrap().block(block).to_sales().swap_remove(0);
        (Record::new(sale, 1, offset).unwrap(), 500)
    }

    fn read(shares: &mut Shares, topic: &str, offset: i64) -> bool {
        match shares.take(topic, 0, offset) {
            Taken::Next(n) => shares.put(n, offset, Some(record(offset)), Instant::now()),
            Taken::Stale => return false,
        }
        true
    }

    fn partition(topic: &str) -> Partition {
        (topic.to_owned(), 0)
    }

    fn assigned() -> Shares {
        let mut shares = Shares::default();
        shares.assign(vec![partition("a"), partition("b")]);
        shares
    }

    fn begin(shares: &mut Shares, topic: &str, position: i64) {
        shares.place(&partition(topic), position);
        shares.start();
    }

    /// The parts of a batch: topic, expected, next, offsets of the records.
    fn shape(batch: &Batch) -> Vec<(&str, i64, i64, Vec<i64>)> {
        let offsets = |part: &Part| part.records.iter().map(Record::offset).collect();
        batch.parts.iter().map(|part| (part.partition.0.as_str(), part.expected, part.next, offsets(part))).collect()
    }

    #[test]
    fn nothing_is_taken_before_the_position_is_known() {
        let mut shares = assigned();
        assert!(!read(&mut shares, "a", 5));
        assert_eq!(shares.unknown(), [partition("a"), partition("b")]);
        shares.place(&partition("a"), 5);
        assert!(!read(&mut shares, "a", 5), "the client still delivers from before");
        assert_eq!(shares.start(), [(partition("a"), 5)]);
        assert!(!read(&mut shares, "a", 4));
        assert!(read(&mut shares, "a", 5));
        assert!(!read(&mut shares, "a", 5), "once only");
        assert!(!read(&mut shares, "b", 5) && !read(&mut shares, "c", 5));
        assert_eq!(shares.known(), [(partition("a"), 6)]);
    }

    #[test]
    fn a_batch_says_where_it_begins_and_ends_whatever_the_gaps() {
        let mut shares = assigned();
        begin(&mut shares, "a", 5);
        begin(&mut shares, "b", 0);
        for offset in [7, 9] {
            read(&mut shares, "a", offset);
        }
        assert_eq!(shares.waiting(), (2, 1000));
        assert_eq!(shape(&shares.hand_over()), [("a", 5, 10, vec![7, 9])]);
        assert_eq!((shares.waiting(), shares.since()), ((0, 0), None));
        read(&mut shares, "a", 12);
        assert_eq!(shape(&shares.hand_over()), [("a", 10, 13, vec![12])]);
        assert_eq!(shape(&shares.hand_over()), []);
    }

    #[test]
    fn what_is_no_sale_moves_the_position() {
        let mut shares = assigned();
        begin(&mut shares, "a", 0);
        shares.put(0, 3, None, Instant::now());
        assert!(shares.since().is_some());
        assert_eq!(shape(&shares.hand_over()), [("a", 0, 4, vec![])]);
    }

    #[test]
    fn a_refused_partition_begins_again_at_the_stores_position() {
        let mut shares = assigned();
        begin(&mut shares, "a", 0);
        begin(&mut shares, "b", 0);
        read(&mut shares, "a", 0);
        read(&mut shares, "b", 0);
        let batch = shares.hand_over();
        read(&mut shares, "a", 1);
        read(&mut shares, "b", 1);
        let written = shares.settle(&batch, &[Outcome::Moved { actual: 9 }, Outcome::Written { conflicts: 0 }]);
        assert_eq!(written, [(partition("b"), 1)]);
        assert_eq!(shares.unknown(), [partition("a")]);
        assert_eq!(shape(&shares.hand_over()), [("b", 1, 2, vec![1])]);
    }

    #[test]
    fn a_store_that_went_back_is_gone_back_to_where_nothing_is_written_too() {
        let mut shares = assigned();
        for topic in ["a", "b"] {
            assert_eq!(shares.place(&partition(topic), 0), Placed::New);
        }
        shares.start();
        for topic in ["a", "b"] {
            read(&mut shares, topic, 0);
        }
        let batch = shares.hand_over();
        shares.settle(&batch, &[Outcome::Written { conflicts: 0 }, Outcome::Written { conflicts: 0 }]);
        read(&mut shares, "a", 1);
        read(&mut shares, "b", 1);
        assert_eq!(shares.all(), [partition("a"), partition("b")]);
        assert_eq!(shares.place(&partition("a"), 0), Placed::Moved);
        assert_eq!(shares.place(&partition("b"), 1), Placed::AsKnown, "what waits is not yet expected of the store");
        assert_eq!((shares.waiting().0, shares.known()), (1, vec![(partition("a"), 0), (partition("b"), 2)]));
        assert!(!read(&mut shares, "a", 2), "the client was not told yet");
        shares.start();
        assert!(read(&mut shares, "a", 0));
        assert_eq!(shape(&shares.hand_over()), [("a", 0, 1, vec![0]), ("b", 1, 2, vec![1])]);
    }

    #[test]
    fn a_batch_whose_first_answer_was_lost_counts_as_written() {
        let mut shares = assigned();
        begin(&mut shares, "a", 0);
        read(&mut shares, "a", 0);
        let batch = shares.hand_over();
        shares.settle(&batch, &[Outcome::Moved { actual: 1 }]);
        assert_eq!(shares.unknown(), [partition("b")]);
    }

    #[test]
    fn an_answer_from_before_the_assignment_changes_nothing() {
        let mut shares = assigned();
        begin(&mut shares, "a", 0);
        read(&mut shares, "a", 0);
        let batch = shares.hand_over();
        shares.assign(vec![partition("a")]);
        begin(&mut shares, "a", 0);
        read(&mut shares, "a", 0);
        shares.settle(&batch, &[Outcome::Moved { actual: 9 }]);
        assert_eq!(shares.unknown(), []);
        assert_eq!(shape(&shares.hand_over()), [("a", 0, 1, vec![0])]);
    }

    #[test]
    fn a_gap_is_read_over_but_the_store_is_still_asked_for_its_own_position() {
        let mut shares = assigned();
        begin(&mut shares, "a", 5);
        shares.skip_to(&partition("a"), 100);
        assert_eq!(shares.known(), [(partition("a"), 100)]);
        read(&mut shares, "a", 100);
        assert_eq!(shape(&shares.hand_over()), [("a", 5, 101, vec![100])]);
    }
}
