//! What was seen of a block on the topics of one stage.

use std::collections::BTreeMap;

use kafka::Ranges;
use petstore::{SaleId, State};

use super::Seen;
use super::losses::{Fate, Losses};
use crate::audit::bits::Bits;
use crate::audit::findings::{Kind, Tally};
use crate::audit::source::Source;
use crate::model::Comparison;

/// Sales outside of the block altogether that are remembered: one is too many.
const OUTSIDE: u32 = 1_000;

/// Sales out of order, each with the block and index of a later one that came before it.
pub(crate) type Behind = BTreeMap<u32, (u32, u32)>;

/// See the module. Nothing that was not seen takes memory.
#[derive(Debug, Default)]
pub(crate) struct Sightings {
    pub(crate) seen: Bits,
    /// Those that are there more than once.
    pub(crate) doubled: Bits,
    /// Those whose content is not what was sent.
    pub(crate) altered: Bits,
    /// Those behind a later one of their store.
    pub(super) behind: Behind,
    /// Those on another state's topic.
    pub(crate) misrouted: Bits,
    /// Those of which no copy is there that the next stage takes.
    pub(super) broken: Bits,
    /// Records beyond the first of a sale that the next stage takes as well.
    pub(super) repeated: u64,
    /// Beyond what the block holds.
    pub(super) outside: Ranges,
    /// Counts of records: duplicate, misrouted, never sent (outside only), malformed, compared.
    pub(super) counts: Tally,
    /// All records, whatever they were: tells whether anything came since.
    pub(crate) records: u64,
    pub(crate) spans: Vec<Span>,
    /// Those that were given up, the stage having provably passed them.
    pub(super) lost: Losses,
    /// Those of the ones behind that are out of order for certain.
    pub(super) accused: Bits,
    /// A log was deleted ahead of the auditor while the block was open: what is missing may have been there.
    pub(crate) suspect: bool,
}

/// Where sales of a block are in one log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) source: Source,
    /// The lowest and the highest offset seen.
    pub(crate) low: i64,
    pub(crate) high: i64,
}

impl Span {
    /// Whether a role that next reads these offsets has passed all of it.
    pub(crate) fn is_passed_by(&self, positions: &BTreeMap<State, i64>) -> bool {
        match self.source {
            Source::State(state) => positions.get(&state).is_some_and(|next| *next > self.high),
            _ => true,
        }
    }
}

impl Sightings {
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.seen.bytes() + self.spans.capacity() * size_of::<Span>()
    }

    pub(super) fn at(&mut self, source: Source, offset: i64) {
        match self.spans.iter_mut().find(|span| span.source == source) {
            Some(span) => (span.low, span.high) = (span.low.min(offset), span.high.max(offset)),
            None => self.spans.push(Span { source, low: offset, high: offset }),
        }
        self.records += 1;
    }

    /// Notes a sale that the block does not hold.
    pub(super) fn outside(&mut self, index: u32, seen: &mut Seen) {
        seen.faults.push(Kind::NeverSent);
        self.counts.never_sent += 1;
        if self.outside.len() < OUTSIDE {
            self.outside.insert(index);
        }
    }

    /// Notes a sale; false if it was there.
    pub(super) fn sale(&mut self, index: u32, seen: &mut Seen) -> bool {
        let new = self.seen.insert(index);
        if new {
            seen.is_back = self.lost.contains(index);
        } else {
            seen.faults.push(Kind::Duplicate);
            self.counts.duplicate += 1;
            self.doubled.insert(index);
        }
        new
    }

    pub(super) fn behind(&mut self, index: u32, later: SaleId) {
        self.behind.insert(index, (later.block, later.index));
    }

    /// Notes what its content is. `new`: whether the sale is.
    pub(super) fn judge(&mut self, index: u32, new: bool, comparison: Comparison, seen: &mut Seen) {
        self.counts.compared += u64::from(comparison != Comparison::Skipped);
        if !comparison.is_storable() {
            if new {
                self.broken.insert(index);
            }
        } else if self.broken.contains(index) {
            self.broken.remove(index);
        } else if !new {
            self.repeated += 1;
        }
        match comparison {
            Comparison::Skipped | Comparison::Same => {}
            Comparison::Altered { .. } => {
                if self.altered.insert(index) {
                    seen.faults.push(Kind::Altered);
                }
            }
            Comparison::Malformed(reason) => {
                self.counts.malformed += 1;
                seen.faults.push(Kind::Malformed);
                seen.reason = reason;
            }
        }
    }

    /// Which of them the next stage must have: those that it can take.
    pub(crate) fn storable(&self) -> Bits {
        self.seen.without(&self.broken)
    }

    /// Those of the next stage's sales that were not seen at all, unless a log was deleted ahead of us.
    pub(crate) fn unseen(&self, present: &Bits) -> Ranges {
        if self.suspect {
            return Ranges::default();
        }
        let unseen = present.without(&self.seen);
        unseen.iter().filter(|index| !self.outside.contains(*index)).collect()
    }

    /// Those of `wanted` that are not there, and not yet given up.
    pub(super) fn missing(&self, wanted: &Ranges) -> Ranges {
        let missing = self.seen.missing_from(wanted);
        if self.lost.is_empty() { missing } else { self.lost.without(&missing) }
    }

    /// Gives up a sale that the stage has provably passed. True if it is a loss (or a rejection), not a gap in a log.
    pub(crate) fn lose(&mut self, index: u32, fate: Fate) -> bool {
        let rejected = matches!(fate, Fate::Rejected | Fate::Spoilt);
        let fate = if self.suspect && !rejected { Fate::NotAuditable } else { fate };
        let new = !self.seen.contains(index) && !self.lost.contains(index);
        new && self.lost.add(index, fate) && fate != Fate::NotAuditable
    }
}
