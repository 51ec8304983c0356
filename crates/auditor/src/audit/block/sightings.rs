//! What was seen of a block on the topics of one stage.

use std::collections::BTreeMap;

use kafka::Ranges;
use petstore::SaleId;

use super::Seen;
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
pub(super) struct Sightings {
    pub(super) seen: Bits,
    /// Those that are there more than once.
    pub(super) doubled: Bits,
    /// Those whose content is not what was sent.
    pub(super) altered: Bits,
    /// Those behind a later one of their store.
    pub(super) behind: Behind,
    /// Those on another state's topic.
    pub(super) misrouted: Bits,
    /// Those of which no copy is there that the next stage takes.
    pub(super) broken: Bits,
    /// Records beyond the first of a sale that the next stage takes as well.
    pub(super) repeated: u64,
    /// Beyond what the block holds.
    pub(super) outside: Ranges,
    /// Counts of records: duplicate, misrouted, never sent (outside only), malformed, compared.
    pub(super) counts: Tally,
    /// All records, whatever they were: tells whether anything came since.
    pub(super) records: u64,
    pub(super) spans: Vec<Span>,
}

/// Where sales of a block are in one log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) source: Source,
    /// The lowest and the highest offset seen.
    pub(crate) low: i64,
    pub(crate) high: i64,
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
    pub(super) fn outside(&mut self, index: u32) {
        self.counts.never_sent += 1;
        if self.outside.len() < OUTSIDE {
            self.outside.insert(index);
        }
    }

    /// Notes a sale; false if it was there.
    pub(super) fn sale(&mut self, index: u32) -> bool {
        let new = self.seen.insert(index);
        if !new {
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
}
