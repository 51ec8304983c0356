//! One open block: what was acknowledged of it, what was seen of it, and what follows.
//!
//! Pure: the caller proves that a stage has passed a sale, and calls accordingly ([`Sightings::lose`],
//! [`Block::finish_routed`], [`Stored::settle`]); nothing here looks at a clock, so "lost" never means "slow".
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

use crate::audit::findings::{Kind, Stage, Tally};
use crate::audit::record::Record;
use crate::audit::source::Source;
use crate::audit::{READ, STORES};
use crate::model::{Comparison, Truth};
pub(crate) use losses::Fate;
pub(crate) use sightings::{Behind, Sightings, Span};
pub(crate) use stored::Stored;

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
    /// What was seen of it on the states' topics, and on `receipts` if that is watched.
    pub(crate) routed: Sightings,
    pub(crate) returned: Option<Sightings>,
    /// Sales that came back without having been routed.
    strangers: Ranges,
    /// Nothing more can be expected at routed.
    pub(crate) is_routed: bool,
    /// What the watched stores have of it, in the order of [`STORES`].
    pub(crate) stores: [Option<Stored>; 2],
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
    pub(crate) fn new(number: i64, record: BlockRecord, watched: PerStage<bool>) -> Self {
        Self {
            number,
            record,
            compares: None,
            length: None,
            routed: Sightings::default(),
            returned: watched[Stage::Returned].then(Sightings::default),
            strangers: Ranges::default(),
            is_routed: false,
            stores: STORES.map(|stage| watched[stage].then(Stored::default)),
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
            self.routed.outside(index, &mut seen);
            return seen;
        };
        let new = self.routed.sale(index, &mut seen);
        if new && index >= self.record.first_unsent() {
            seen.faults.push(Kind::NeverSent);
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
        let returned = stage == Stage::Returned;
        let Some(here) = self.at(stage).filter(|_| self.is_routed || !returned) else { return Vec::new() };
        // Not in order when it was routed, or not on the one topic of its store: it had no order to come back in.
        let excused = |index| self.routed.behind.contains_key(&index) || self.routed.misrouted.contains(index);
        let is_new = |index| self.record.acknowledged.contains(index) && !here.accused.contains(index);
        let disordered = here.behind.iter().map(|(index, later)| (*index, *later));
        disordered.filter(|(index, _)| is_new(*index) && !(returned && excused(*index))).collect()
    }

    /// What was seen at routed, or at returned if that is watched.
    fn at(&self, stage: Stage) -> Option<&Sightings> {
        if stage == Stage::Returned { self.returned.as_ref() } else { Some(&self.routed) }
    }

    fn at_mut(&mut self, stage: Stage) -> Option<&mut Sightings> {
        if stage == Stage::Returned { self.returned.as_mut() } else { Some(&mut self.routed) }
    }

    pub(crate) fn accuse(&mut self, stage: Stage, index: u32) {
        if let Some(here) = self.at_mut(stage) {
            here.accused.insert(index);
        }
    }

    /// Says of a sale that came back that it is not: the one before it had come by another state's topic.
    pub(crate) fn acquit(&mut self, index: u32) {
        if let Some(returned) = &mut self.returned {
            returned.behind.remove(&index);
        }
    }

    /// Which sales are out of order at routed and returned, judged or not: to be remembered over a restart.
    pub(crate) fn disorder(&self) -> [Behind; 2] {
        READ.map(|stage| self.at(stage).map(|here| here.behind.clone()).unwrap_or_default())
    }

    /// Takes what an earlier auditor found to be out of order.
    pub(crate) fn remember_disorder(&mut self, disorder: [Behind; 2]) {
        for (stage, behind) in READ.into_iter().zip(disorder) {
            if let Some(here) = self.at_mut(stage) {
                here.behind.extend(behind);
            }
        }
    }

    /// The indices that were acknowledged, are not there, and are not yet given up.
    pub(crate) fn missing(&self) -> Ranges {
        self.routed.missing(&self.record.acknowledged)
    }

    /// Notes that a log of a stage was deleted ahead of the auditor.
    pub(crate) fn suspect(&mut self, stage: Stage) {
        if let Some(here) = self.at_mut(stage) {
            here.suspect = true;
        }
    }

    /// Says that the fan-out has passed all that was acknowledged, and that this is final.
    pub(crate) fn finish_routed(&mut self) {
        self.is_routed = true;
        self.routed.spans.shrink_to_fit();
    }

    /// Where its sales are.
    pub(crate) fn spans(&self) -> impl Iterator<Item = &Span> {
        READ.into_iter().filter_map(|stage| self.at(stage)).flat_map(|here| &here.spans)
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
        let returned = self.returned.as_ref().map_or(0, Sightings::bytes);
        size_of::<Self>() + self.routed.bytes() + returned
    }
}
