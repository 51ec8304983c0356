//! The account of one block.

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
                *tallies.at_mut(stage) = store.tally(&self.routed, seen);
            }
        }
        if let Some(returned) = self.tally_returned(seen, tallies.at(Stage::Stored).found) {
            *tallies.at_mut(Stage::Returned) = returned;
        }
        tallies
    }
}
