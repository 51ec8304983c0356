//! The account of a block whose Kafka is gone: nothing more of it can come, so what is late is lost.

use kafka::Ranges;

use super::Block;
use crate::audit::STORES;
use crate::audit::bits::Bits;
use crate::audit::findings::{Stage, Tallies};

impl Block {
    /// Its account, and the sales that are lost with Kafka, by the stage that does not have them. `held`: what each store has
    /// of the block; none of a store that isn't watched or did not answer.
    ///
    /// What a store holds was routed, though it was not read. What was not routed was lost by Kafka; what was routed and is
    /// not in a store, or was stored and did not come back, is missing there for good.
    pub(crate) fn account_of_gone(&self, held: [Option<&Bits>; 2]) -> (Tallies, Vec<(Stage, Ranges)>) {
        let first_unsent = self.record.first_unsent();
        let stored = held.into_iter().flatten().flat_map(Bits::iter).filter(|index| *index < first_unsent);
        let routed = self.routed.seen.or(&stored.collect());
        let mut tallies = self.tallies_with(true, &routed);
        let mut lost = Vec::new();

        let late = std::mem::take(&mut tallies.at_mut(Stage::Routed).late);
        if self.routed.suspect {
            tallies.at_mut(Stage::Routed).not_auditable += late;
        } else if late > 0 {
            tallies.at_mut(Stage::Routed).expected -= late;
            tallies.at_mut(Stage::Accepted).found -= late;
            tallies.at_mut(Stage::Accepted).lost += late;
            let missing = routed.missing_from(&self.record.acknowledged);
            lost.push((Stage::Accepted, self.routed.lost.without(&missing)));
        }

        let storable = routed.without(&self.routed.broken).to_ranges();
        for ((stage, store), held) in STORES.into_iter().zip(&self.stores).zip(held) {
            let Some(store) = store else { continue };
            let tally = tallies.at_mut(stage);
            if let Some(held) = held.filter(|_| !store.forgotten) {
                let missing = held.missing_from(&storable);
                tally.lost = missing.len().into();
                tally.found = tally.expected - tally.lost;
                let missing = missing.iter().filter(|index| !store.lost.contains(*index));
                lost.push((stage, missing.collect()));
            } else {
                tally.not_auditable += tally.late;
            }
            tally.late = 0;
        }

        if let Some(mut returned) = self.tally_returned(&routed, tallies.at(Stage::Stored).found) {
            let late = std::mem::take(&mut returned.late);
            if self.returned.as_ref().is_some_and(|returned| returned.suspect) {
                returned.not_auditable += late;
            } else {
                returned.lost += late;
            }
            *tallies.at_mut(Stage::Returned) = returned;
        }
        (tallies, lost)
    }
}
