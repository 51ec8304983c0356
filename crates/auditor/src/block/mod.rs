//! One open block: what was acknowledged of it, what was seen of it, and what follows.
//!
//! Pure: whoever has proof that a stage has passed a sale says so ([`Block::lose`], [`Block::finish_routed`],
//! [`Block::store_said`]); nothing here looks at a clock, so "lost" never means "slow".

mod losses;
mod stored;
#[cfg(test)]
mod tests;

use kafka::Ranges;
use kafka::blocks::{BlockRecord, Phase};
use petstore::State;

use crate::bits::Bits;
use crate::findings::{Kind, Stage, Tallies, Tally};
pub use losses::Fate;
use losses::Losses;
use stored::Stored;

/// A block that is not done. Those that nothing was seen of take some hundred bytes, the others a few thousand.
#[derive(Debug)]
pub struct Block {
    record: BlockRecord,
    /// The state of each sale, as the model generates it; its length is the block's. Kept while sales come.
    truth: Option<Box<[State]>>,
    seen: Bits,
    /// All records, whatever they were: tells whether anything came since.
    records: u64,
    duplicates: u64,
    misrouted: u64,
    /// Seen, but outside of the block altogether.
    outside: u64,
    spans: Vec<Span>,
    lost: Losses,
    /// A log was deleted ahead of the auditor while the block was open: what is missing may have been there.
    suspect: bool,
    routed: bool,
    stores: [Option<Stored>; 2],
}

/// Where sales of this block lie on one state's topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Whose topic.
    pub state: State,
    /// The lowest offset seen.
    pub low: i64,
    /// The highest offset seen.
    pub high: i64,
}

/// What a record on a state's topic turned out to be. It can be misrouted besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// The first of its sale.
    New,
    /// The first of a sale that had been found lost.
    Returned,
    /// A further one.
    Duplicate,
    /// Outside of the block, or behind its end.
    NeverSent,
}

impl Block {
    /// Opens a block, with the stores that are to be watched.
    pub fn new(record: BlockRecord, stores: [bool; 2]) -> Self {
        Self {
            record,
            truth: None,
            seen: Bits::default(),
            records: 0,
            duplicates: 0,
            misrouted: 0,
            outside: 0,
            spans: Vec::new(),
            lost: Losses::default(),
            suspect: false,
            routed: false,
            stores: stores.map(|watched| watched.then(Stored::default)),
        }
    }

    /// Takes a newer record of the same block.
    pub fn update(&mut self, record: BlockRecord) {
        self.record = record;
    }

    /// What the loader last said.
    pub fn record(&self) -> &BlockRecord {
        &self.record
    }

    /// Whether the model has said what the block holds.
    pub fn knows_truth(&self) -> bool {
        self.truth.is_some()
    }

    /// Says what the block holds.
    pub fn learn(&mut self, truth: Box<[State]>) {
        self.truth = Some(truth);
    }

    /// Takes a record from the topic of `state`; whether it is misrouted is said apart. The truth must be known.
    pub fn see(&mut self, index: u32, state: State, offset: i64) -> (Seen, bool) {
        match self.spans.iter_mut().find(|span| span.state == state) {
            Some(span) => (span.low, span.high) = (span.low.min(offset), span.high.max(offset)),
            None => self.spans.push(Span { state, low: offset, high: offset }),
        }
        self.records += 1;
        self.stores.iter_mut().flatten().for_each(Stored::fall_behind);
        let home = self.truth.as_ref().and_then(|truth| truth.get(index as usize));
        let Some(home) = home else {
            self.outside += 1;
            return (Seen::NeverSent, false);
        };
        let misrouted = *home != state;
        self.misrouted += u64::from(misrouted);
        let seen = if !self.seen.insert(index) {
            self.duplicates += 1;
            Seen::Duplicate
        } else if index >= self.end() {
            Seen::NeverSent
        } else if self.lost.contains(index) {
            Seen::Returned
        } else {
            Seen::New
        };
        (seen, misrouted)
    }

    /// The first index that was never handed to Kafka's client.
    fn end(&self) -> u32 {
        match (self.record.phase, self.record.end) {
            // What was acknowledged was sent, whatever else is said.
            (Phase::Closed, Some(end)) => {
                end.max(self.record.acknowledged.ranges().last().map_or(0, |(_, after)| after))
            }
            _ => u32::MAX,
        }
    }

    /// The indices that were acknowledged, are not there, and are not yet given up.
    pub fn missing(&self) -> Ranges {
        let missing = self.seen.missing_from(&self.record.acknowledged);
        if self.lost.is_empty() {
            return missing;
        }
        missing
            .iter()
            .filter(|index| !self.lost.contains(*index))
            .map(|index| (index, index + 1))
            .collect::<Vec<_>>()
            .into()
    }

    /// Those of `suspects` that have not come since.
    pub fn still_missing(&self, suspects: &Ranges) -> Ranges {
        self.seen.missing_from(suspects)
    }

    /// Gives up a sale that the fan-out has provably passed. True if it is a loss (or a rejection), not a gap in a log.
    pub fn lose(&mut self, index: u32, fate: Fate) -> bool {
        let fate = if self.suspect && fate != Fate::Rejected { Fate::NotAuditable } else { fate };
        let new = !self.seen.contains(index) && !self.lost.contains(index);
        new && self.lost.add(index, fate) && fate != Fate::NotAuditable
    }

    /// Says that a log was deleted ahead of the auditor.
    pub fn suspect(&mut self) {
        self.suspect = true;
    }

    /// Says that the fan-out has passed all that was acknowledged, and that this is final.
    pub fn finish_routed(&mut self) {
        self.routed = true;
        self.truth = None;
    }

    /// Whether nothing more can be expected at routed.
    pub fn is_routed(&self) -> bool {
        self.routed
    }

    /// Where its sales lie.
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// How many records of it were seen, whatever they were.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// How many of its sales were seen.
    pub fn seen(&self) -> u32 {
        self.seen.count()
    }

    /// Which of its sales were seen.
    pub fn seen_ranges(&self) -> Ranges {
        self.seen.to_ranges()
    }

    /// Takes what a store has of the block. `passed`: the store had passed all spans when [`Self::records`] was that.
    pub fn store_said(&mut self, store: usize, found: u32, duplicates: u64, passed: Option<u64>) {
        let (seen, passed) = (self.seen.count(), passed == Some(self.records));
        if let Some(stored) = &mut self.stores[store] {
            stored.say(found, duplicates, passed, seen, self.routed);
        }
    }

    /// Takes which of the sales that it must have by now a store does not have; gives each that is new.
    pub fn store_misses(&mut self, store: usize, missing: Ranges) -> Vec<u32> {
        self.stores[store].as_mut().map_or_else(Vec::new, |stored| stored.lose(missing))
    }

    /// Whether nothing more can change, but for what should not be.
    pub fn is_done(&self) -> bool {
        let seen = self.seen.count();
        self.record.phase.is_final() && self.routed && self.stores.iter().flatten().all(|stored| stored.is_done(seen))
    }

    /// Whether every sale of it was sent, acknowledged and found, so that any further record is a duplicate.
    pub fn is_complete(&self) -> bool {
        let acknowledged = self.record.acknowledged.len();
        self.record.phase == Phase::Closed && self.record.end == Some(acknowledged) && self.seen.count() == acknowledged
    }

    /// The account of this block. `silent`: its loader has not been heard of for so long that it is taken for gone.
    pub fn tallies(&self, silent: bool) -> Tallies {
        let acknowledged = u64::from(self.record.acknowledged.len());
        let gone = |ranges: &Ranges| u64::from(ranges.len() - self.seen.count_in(ranges));
        let by_kafka = gone(&self.lost.by_kafka);
        let found = u64::from(self.seen.count_in(&self.record.acknowledged));
        let behind_end = u64::from(self.seen.count_between(self.end(), u32::MAX));
        let unannounced = u64::from(self.seen.count()) - found - behind_end;

        let mut routed = Tally {
            expected: acknowledged.saturating_sub(by_kafka),
            found,
            lost: gone(&self.lost.by_fan_out),
            rejected: gone(&self.lost.rejected),
            not_auditable: gone(&self.lost.not_auditable),
            unknown: if silent || self.record.phase.is_final() { unannounced } else { 0 },
            duplicate: self.duplicates,
            misrouted: self.misrouted,
            never_sent: behind_end + self.outside,
            ..Tally::default()
        };
        let known = routed.found + routed.lost + routed.rejected + routed.not_auditable;
        routed.late = routed.expected.saturating_sub(known);

        let mut tallies = Tallies::default();
        *tallies.at_mut(Stage::Accepted) =
            Tally { expected: acknowledged, found: routed.expected, lost: by_kafka, ..Tally::default() };
        *tallies.at_mut(Stage::Routed) = routed;
        for (stage, store) in [Stage::Cached, Stage::Stored].into_iter().zip(&self.stores) {
            if let Some(store) = store {
                *tallies.at_mut(stage) = store.tally(self.seen.count());
            }
        }
        tallies
    }

    /// Whether this block has a finding of that kind at that store, for the list.
    pub fn store_has(&self, store: usize, kind: Kind) -> bool {
        self.stores[store].as_ref().is_some_and(|view| view.tally(self.seen.count()).of(kind) > 0)
    }
}
