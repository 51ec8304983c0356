//! One open block: what was acknowledged of it, what was seen of it, and what follows.
//!
//! Pure: the caller proves that a stage has passed a sale, and calls accordingly ([`Block::lose`], [`Block::finish_routed`],
//! [`Block::store_has`], [`Block::lose_returned`]); nothing here looks at a clock, so "lost" never means "slow".
//!
//! A fault is counted where it happened: a stage is not to blame for what was altered, out of order or repeated
//! when it came there.

mod gone;
mod losses;
mod returned;
mod sightings;
mod stored;
mod tallies;
#[cfg(test)]
mod tests;

use kafka::Ranges;
use kafka::blocks::{BlockRecord, Phase};
use petstore::SaleId;
use pipeline::PerStage;

use crate::audit::bits::Bits;
use crate::audit::findings::{Kind, Stage, Tally};
use crate::audit::record::Record;
use crate::audit::source::Source;
use crate::model::{Comparison, Truth};
pub(crate) use losses::Fate;
use losses::Losses;
use returned::Returned;
use sightings::Sightings;
pub(crate) use sightings::{Behind, Span};
use stored::Stored;

/// Which stages behind routed are watched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Watched {
    /// Redis, Postgres: in the order of [`crate::audit::STORES`].
    pub(crate) stores: [bool; 2],
    /// Whether what is in Postgres comes back on `receipts`.
    pub(crate) returned: bool,
}

impl Watched {
    /// Of each stage, whether it is one of this installation's.
    pub(crate) fn stages(self) -> PerStage<bool> {
        let [redis, postgres] = self.stores;
        PerStage::from_fn(|stage| match stage {
            Stage::Accepted | Stage::Routed => true,
            Stage::Cached => redis,
            Stage::Stored => postgres,
            Stage::Returned => self.returned,
        })
    }
}

/// A block that is not done and of which something was seen: about 4 KB.
#[derive(Debug)]
pub(crate) struct Block {
    /// Its place among the blocks that were reserved.
    pub(crate) number: i64,
    /// Its loader's last one of it.
    pub(crate) record: BlockRecord,
    /// Whether its content is compared; settled when the first of it is seen.
    compares: Option<bool>,
    /// How many sales the model has in it; known when the first of it is seen.
    pub(crate) length: Option<u32>,
    routed: Sightings,
    lost: Losses,
    /// A log was deleted ahead of the auditor while the block was open: what is missing may have been there.
    pub(crate) suspect: bool,
    /// Nothing more can be expected at routed.
    pub(crate) is_routed: bool,
    stores: [Option<Stored>; 2],
    returned: Option<Returned>,
    /// Sales that are out of order, at routed and at returned.
    accused: [Bits; 2],
    /// Faults that were there on `sales` already, as they are counted there, and as they were counted at routed.
    accepted: Tally,
    moved: Tally,
    /// Faults of which that is still to be looked up.
    cases: u32,
}

/// What a record turned out to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Its faults, each at most once; none if it is what it should be.
    pub(crate) faults: Vec<Kind>,
    /// It had been found lost.
    pub(crate) is_back: bool,
    /// What was found wrong with its body, if that can be told without the model's sale.
    pub(crate) reason: String,
}

impl Block {
    /// Opens a block; `number`: how many were reserved before.
    pub(crate) fn new(number: i64, record: BlockRecord, watched: Watched) -> Self {
        Self {
            number,
            record,
            compares: None,
            length: None,
            routed: Sightings::default(),
            lost: Losses::default(),
            suspect: false,
            is_routed: false,
            stores: watched.stores.map(|watched| watched.then(Stored::default)),
            returned: watched.returned.then(Returned::default),
            accused: [const { Bits::new() }; 2],
            accepted: Tally::default(),
            moved: Tally::default(),
            cases: 0,
        }
    }

    /// Takes a newer record of the same block. A loader that was taken for gone and writes more is still there.
    pub(crate) fn update(&mut self, record: BlockRecord) {
        self.is_routed &= record.phase.is_final() && record.acknowledged == self.record.acknowledged;
        self.record = record;
    }

    /// Whether its content is compared; `decide` is asked once.
    pub(crate) fn compares(&mut self, decide: impl FnOnce() -> bool) -> bool {
        *self.compares.get_or_insert_with(decide)
    }

    /// Whether its content is compared, as far as that is settled.
    pub(crate) fn is_compared(&self) -> bool {
        self.compares == Some(true)
    }

    /// Takes a record from a state's topic. `later`: asked of a sale that is where it belongs, by its store.
    pub(crate) fn route(
        &mut self,
        truth: &Truth,
        record: &Record<'_>,
        later: impl FnOnce(u32) -> Option<SaleId>,
    ) -> Seen {
        self.length = u32::try_from(truth.len()).ok();
        self.stores.iter_mut().flatten().for_each(|stored| stored.verified = false);
        let (index, mut seen) = (record.id.index, Seen::default());
        self.routed.at(record.source, record.offset);
        let Some((home, store)) = truth.state(index).zip(truth.store(index)) else {
            self.routed.outside(index);
            seen.faults.push(Kind::NeverSent);
            return seen;
        };
        let new = self.routed.sale(index);
        if !new {
            seen.faults.push(Kind::Duplicate);
        } else if index >= self.record.first_unsent() {
            seen.faults.push(Kind::NeverSent);
        } else {
            seen.is_back = self.lost.contains(index);
        }
        if record.source != Source::State(home) {
            self.routed.counts.misrouted += 1;
            self.routed.misrouted.insert(index);
            seen.faults.push(Kind::Misrouted);
        } else if new && let Some(later) = later(store) {
            self.routed.behind(index, later);
        }
        let mut comparison = truth.sale(index, record.body);
        if record.state != home && record.source == Source::State(home) && comparison == Comparison::Same {
            seen.reason = format!("header state: {home}, found {}", record.state);
            comparison = Comparison::Altered { storable: true };
        }
        self.routed.judge(index, new, comparison, &mut seen);
        seen
    }

    /// The first index that was never sent, if that is known.
    pub(crate) fn known_end(&self) -> Option<u32> {
        Some(self.record.first_unsent()).filter(|end| *end < u32::MAX)
    }

    /// Sales that seem to be out of order at routed (or returned), each with a later one that came before it. The
    /// caller accuses or acquits each.
    ///
    /// Only those that were acknowledged are judged: what a loader sent that had been given up for dead may have come
    /// behind its successor's sales. What came back is judged when all that was routed has been read.
    pub(crate) fn disordered(&self, stage: Stage) -> Vec<(u32, (u32, u32))> {
        let (at, behind) = match (stage, &self.returned) {
            (Stage::Returned, Some(returned)) if self.is_routed => (1, &returned.sightings.behind),
            (Stage::Returned, _) => return Vec::new(),
            _ => (0, &self.routed.behind),
        };
        // Not in order when it was routed, or not on the one topic of its store: it had no order to come back in.
        let excused = |index| self.routed.behind.contains_key(&index) || self.routed.misrouted.contains(index);
        let is_new = |index| self.record.acknowledged.contains(index) && !self.accused[at].contains(index);
        let of = |(index, later): (&u32, &(u32, u32))| {
            (is_new(*index) && !(stage == Stage::Returned && excused(*index))).then_some((*index, *later))
        };
        behind.iter().filter_map(of).collect()
    }

    pub(crate) fn accuse(&mut self, stage: Stage, index: u32) {
        self.accused[usize::from(stage == Stage::Returned)].insert(index);
    }

    /// Says of a sale that came back that it is not: the one before it had come by another state's topic.
    pub(crate) fn acquit(&mut self, index: u32) {
        if let Some(returned) = &mut self.returned {
            returned.sightings.behind.remove(&index);
        }
    }

    pub(crate) fn was_misrouted(&self, index: u32) -> bool {
        self.routed.misrouted.contains(index)
    }

    /// Which sales are out of order at routed and returned, judged or not: to be remembered over a restart.
    pub(crate) fn disorder(&self) -> [Behind; 2] {
        let returned = self.returned.as_ref().map(|returned| returned.sightings.behind.clone());
        [self.routed.behind.clone(), returned.unwrap_or_default()]
    }

    /// Takes what an earlier auditor found to be out of order.
    pub(crate) fn remember_disorder(&mut self, [routed, returned]: [Behind; 2]) {
        self.routed.behind.extend(routed);
        if let Some(block) = &mut self.returned {
            block.sightings.behind.extend(returned);
        }
    }

    /// The indices that were acknowledged, are not there, and are not yet given up.
    pub(crate) fn missing(&self) -> Ranges {
        let missing = self.routed.seen.missing_from(&self.record.acknowledged);
        if self.lost.is_empty() {
            return missing;
        }
        singles(missing.iter().filter(|index| !self.lost.contains(*index)))
    }

    pub(crate) fn still_missing(&self, suspects: &Ranges) -> Ranges {
        self.routed.seen.missing_from(suspects)
    }

    /// Gives up a sale that the fan-out has provably passed. True if it is a loss (or a rejection), not a gap in a log.
    pub(crate) fn lose(&mut self, index: u32, fate: Fate) -> bool {
        let rejected = matches!(fate, Fate::Rejected | Fate::Spoilt);
        let fate = if self.suspect && !rejected { Fate::NotAuditable } else { fate };
        let new = !self.routed.seen.contains(index) && !self.lost.contains(index);
        new && self.lost.add(index, fate) && fate != Fate::NotAuditable
    }

    pub(crate) fn suspect(&mut self, source: Source) {
        match (source, &mut self.returned) {
            (Source::State(_), _) => self.suspect = true,
            (Source::Receipts(_), Some(returned)) => returned.suspect = true,
            _ => {}
        }
    }

    /// Says that the fan-out has passed all that was acknowledged, and that this is final.
    pub(crate) fn finish_routed(&mut self) {
        self.is_routed = true;
        self.routed.spans.shrink_to_fit();
    }

    /// Where its sales are.
    pub(crate) fn spans(&self) -> impl Iterator<Item = &Span> {
        self.routed.spans.iter().chain(self.returned.iter().flat_map(|returned| &returned.sightings.spans))
    }

    pub(crate) fn routed_spans(&self) -> &[Span] {
        &self.routed.spans
    }

    /// How many records of it were seen at routed, whatever they were.
    pub(crate) fn records(&self) -> u64 {
        self.routed.records
    }

    pub(crate) fn seen_ranges(&self) -> Ranges {
        self.routed.seen.to_ranges()
    }

    pub(crate) fn returned_ranges(&self) -> Option<Ranges> {
        self.returned.as_ref().map(|returned| returned.sightings.seen.to_ranges())
    }

    /// Which of its sales a store must have: those seen that it can take.
    pub(crate) fn storable(&self) -> Bits {
        self.routed.seen.without(&self.routed.broken)
    }

    /// Notes that it is to be looked up whether a fault was there on `sales` already.
    pub(crate) fn open_case(&mut self) {
        self.cases += 1;
    }

    /// Ends that question. `accepted`: as what it counts there, if it was.
    pub(crate) fn close_case(&mut self, kind: Kind, accepted: Option<Kind>) {
        self.cases = self.cases.saturating_sub(1);
        if let Some(accepted) = accepted {
            *self.moved.of_mut(kind) += 1;
            *self.accepted.of_mut(accepted) += 1;
        }
    }

    /// Whether nothing more can change, but for what should not be.
    pub(crate) fn is_done(&self) -> bool {
        self.is_routed
            && self.cases == 0
            && self.stores.iter().flatten().all(Stored::is_verified)
            && self.missing_returned().is_empty()
            && self.not_routed().is_empty()
    }

    /// Whether every sale that the model has in it was sent, acknowledged and found, so that any further record of one is a
    /// duplicate.
    pub(crate) fn is_complete(&self) -> bool {
        let acknowledged = self.record.acknowledged.len();
        self.record.phase == Phase::Closed
            && self.length == Some(acknowledged)
            && self.routed.seen.count() == acknowledged
    }
}

#[cfg(test)]
impl Block {
    /// What it takes, but for what nearly every block has none of.
    pub(crate) fn bytes(&self) -> usize {
        let returned = self.returned.as_ref().map_or(0, |returned| returned.sightings.bytes());
        size_of::<Self>() + self.routed.bytes() + returned
    }
}

fn singles(numbers: impl Iterator<Item = u32>) -> Ranges {
    Ranges::from(numbers.filter(|number| *number < u32::MAX).map(|number| (number, number + 1)).collect::<Vec<_>>())
}
