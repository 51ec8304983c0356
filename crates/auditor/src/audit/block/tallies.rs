//! The account of one block.

use kafka::Ranges;

use super::stored::Stored;
use super::{Block, Fate};
use crate::audit::STORES;
use crate::audit::bits::Bits;
use crate::audit::findings::{Kind, Stage, Tallies, Tally};

impl Block {
    /// The account of this block. `silent`: its loader has not been heard of for so long that it is taken for gone.
    pub(crate) fn tallies(&self, silent: bool) -> Tallies {
        self.tallies_with(silent, &self.routed.seen)
    }

    /// The same if `seen` were routed.
    pub(super) fn tallies_with(&self, silent: bool, seen: &Bits) -> Tallies {
        let acknowledged = u64::from(self.record.acknowledged.len());
        let gone = |fate: Fate| {
            let ranges = self.routed.lost.of(fate);
            u64::from(ranges.len() - seen.count_in(ranges))
        };
        let (by_kafka, spoilt) = (gone(Fate::LostByKafka), gone(Fate::Spoilt));
        let accepted = Tally {
            expected: acknowledged,
            found: acknowledged.saturating_sub(by_kafka + spoilt),
            lost: by_kafka,
            rejected: spoilt,
            ..self.accepted
        };
        let found = u64::from(seen.count_in(&self.record.acknowledged));
        let behind_end = u64::from(seen.count_between(self.record.first_unsent(), u32::MAX));
        let unannounced = u64::from(seen.count()) - found - behind_end;

        let counts = &self.routed.counts;
        let mut routed = Tally {
            expected: accepted.found,
            found,
            lost: gone(Fate::LostByFanOut) + gone(Fate::Lost),
            rejected: gone(Fate::Rejected),
            not_auditable: gone(Fate::NotAuditable),
            unknown: if silent || self.is_routed || self.record.phase.is_final() { unannounced } else { 0 },
            altered: self.routed.altered.count().into(),
            out_of_order: self.routed.accused.count().into(),
            never_sent: behind_end + counts.never_sent,
            ..*counts
        };
        for kind in Kind::ALL {
            let moved = self.moved.of(kind);
            let at_routed = routed.of_mut(kind);
            *at_routed = at_routed.saturating_sub(moved);
        }
        let known = routed.found + routed.lost + routed.rejected + routed.not_auditable;
        routed.late = routed.expected.saturating_sub(known);

        let mut tallies = Tallies::default();
        *tallies.at_mut(Stage::Accepted) = accepted;
        *tallies.at_mut(Stage::Routed) = routed;
        for (stage, store) in STORES.into_iter().zip(&self.stores) {
            if let Some(store) = store {
                *tallies.at_mut(stage) = self.tally_stored(store, seen);
            }
        }
        if let Some(returned) = self.tally_returned(seen, tallies.at(Stage::Stored).found) {
            *tallies.at_mut(Stage::Returned) = returned;
        }
        tallies
    }

    /// Takes how many sales of the block a store has. `abreast`: we have read all that it had written when it was last
    /// asked.
    pub(crate) fn store_said(&mut self, store: usize, found: u32, duplicates: u64, abreast: bool) {
        if let Some(stored) = &mut self.stores[store] {
            stored.say(found, duplicates, abreast);
        }
    }

    /// Takes which of the sales that it has provably passed a store has and misses; gives those that are newly lost.
    pub(crate) fn store_has(&mut self, store: usize, certain: Ranges, missing: Ranges) -> Vec<u32> {
        self.stores[store].as_mut().map_or_else(Vec::new, |stored| stored.settle(certain, missing))
    }

    /// Those of a store's sales that were not seen at all, unless a log was deleted ahead of us.
    pub(crate) fn unseen(&self, present: &Bits) -> Ranges {
        if self.routed.suspect {
            return Ranges::default();
        }
        let unseen = present.without(&self.routed.seen);
        unseen.iter().filter(|index| !self.routed.outside.contains(*index)).collect()
    }

    /// Takes what else a store has, all that it can have having been read by us; gives those that are new. Nothing is
    /// taken if something came since there were so many `records`.
    pub(crate) fn store_verified(&mut self, store: usize, records: u64, extra: &Ranges) -> Vec<u32> {
        match &mut self.stores[store] {
            Some(stored) if records == self.routed.records => stored.verify(extra.clone()),
            _ => Vec::new(),
        }
    }

    /// Whether a store is still to be compared with what was seen, nothing more being expected there.
    pub(crate) fn wants(&self, store: usize) -> bool {
        self.is_routed && self.stores[store].as_ref().is_some_and(|stored| !stored.is_verified())
    }

    /// Takes which rows of a store are not what was sent, of how many that were compared; gives those that are new.
    pub(crate) fn store_altered(&mut self, store: usize, altered: Bits, compared: usize) -> Vec<u32> {
        let Some(stored) = &mut self.stores[store] else { return Vec::new() };
        stored.compared = compared;
        let new = altered.without(&stored.altered).without(&self.routed.altered);
        stored.altered = altered;
        new.iter().collect()
    }

    /// Says that a store may have forgotten the block: it is asked no more, and if it was not compared, it is left out.
    pub(crate) fn store_forgets(&mut self, store: usize) {
        if let Some(stored) = &mut self.stores[store] {
            stored.forgotten = true;
            if !stored.is_verified() {
                self.stores[store] = None;
            }
        }
    }

    pub(crate) fn is_asked_of(&self, store: usize) -> bool {
        self.stores[store].as_ref().is_some_and(|stored| !stored.forgotten)
    }

    /// Whether this block has duplicates of its own at that store.
    pub(crate) fn store_repeats(&self, store: usize) -> u64 {
        self.stores[store].as_ref().map_or(0, |stored| self.tally_stored(stored, &self.routed.seen).duplicate)
    }

    /// The account of one store. `seen`: what was routed.
    fn tally_stored(&self, stored: &Stored, seen: &Bits) -> Tally {
        let expected = seen.count_without(&self.routed.broken);
        stored.tally(expected, self.routed.repeated, &self.routed.altered)
    }
}
