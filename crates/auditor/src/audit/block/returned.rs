//! What came back of a block on `receipts`.

use kafka::Ranges;
use petstore::SaleId;

use super::sightings::Sightings;
use super::{Block, Seen, singles};
use crate::audit::bits::Bits;
use crate::audit::findings::{Kind, Tally};
use crate::audit::record::Record;
use crate::model::Truth;

/// As it was read from `receipts`.
#[derive(Debug, Default)]
pub(super) struct Returned {
    pub(super) sightings: Sightings,
    lost: Ranges,
    not_auditable: Ranges,
    /// A log was deleted ahead of the auditor.
    pub(super) suspect: bool,
    /// Sales that came back without having been routed.
    strangers: Ranges,
}

impl Returned {
    fn given_up(&self, index: u32) -> bool {
        self.lost.contains(index) || self.not_auditable.contains(index)
    }
}

impl Block {
    /// Takes a record from `receipts`. `later`: asked of a sale that is new and came by its store's topic, by its store.
    /// `None` if that isn't watched.
    pub(crate) fn come_back(
        &mut self,
        truth: &Truth,
        record: &Record<'_>,
        later: impl FnOnce(u32) -> Option<SaleId>,
    ) -> Option<Seen> {
        let returned = self.returned.as_mut()?;
        let (index, mut seen) = (record.id.index, Seen::default());
        returned.sightings.at(record.source, record.offset);
        let Some(store) = truth.store(index) else {
            if !self.routed.outside.contains(index) {
                returned.sightings.outside(index);
                seen.faults.push(Kind::NeverSent);
            }
            return Some(seen);
        };
        let new = returned.sightings.sale(index);
        if new {
            seen.is_back = returned.lost.contains(index);
            if !self.routed.misrouted.contains(index)
                && let Some(later) = later(store)
            {
                returned.sightings.behind(index, later);
            }
        } else {
            seen.faults.push(Kind::Duplicate);
        }
        let comparison = truth.receipt(index, record.body);
        returned.sightings.judge(index, new, comparison, &mut seen);
        let before = self.routed.altered.contains(index)
            || self.stores[1].as_ref().is_some_and(|stored| stored.altered.contains(index));
        seen.faults.retain(|kind| *kind != Kind::Altered || !before);
        Some(seen)
    }

    /// The sales that Postgres has for certain, that have not come back and are not given up.
    pub(crate) fn missing_returned(&self) -> Ranges {
        let (Some(returned), Some(stored)) = (&self.returned, &self.stores[1]) else { return Ranges::default() };
        let missing = returned.sightings.seen.missing_from(&stored.certain);
        if returned.lost.is_empty() && returned.not_auditable.is_empty() {
            return missing;
        }
        singles(missing.iter().filter(|index| !returned.given_up(*index)))
    }

    /// The sales that came back and were not read from a state's topic, unless those were deleted ahead of us.
    pub(crate) fn not_routed(&self) -> Ranges {
        match &self.returned {
            Some(returned) if !self.suspect && returned.sightings.seen.count() > 0 => {
                let strangers = returned.sightings.seen.without(&self.routed.seen).to_ranges();
                singles(strangers.iter().filter(|index| !returned.strangers.contains(*index)))
            }
            _ => Ranges::default(),
        }
    }

    /// Takes those of which everything on the states' topics has been read since; gives those that are still strange.
    pub(crate) fn never_routed(&mut self, suspects: &Ranges) -> Vec<u32> {
        let Some(returned) = &mut self.returned else { return Vec::new() };
        let strange = self.routed.seen.missing_from(suspects);
        strange.iter().filter(|index| returned.strangers.insert(*index)).collect()
    }

    /// Gives up a sale that the spout has provably passed; true if it is a loss not known before.
    pub(crate) fn lose_returned(&mut self, index: u32) -> bool {
        let Some(returned) = &mut self.returned else { return false };
        if returned.sightings.seen.contains(index) || returned.given_up(index) {
            return false;
        }
        if returned.suspect {
            returned.not_auditable.insert(index);
        } else {
            returned.lost.insert(index);
        }
        !returned.suspect
    }

    /// The account of what came back. `seen`: what was routed; `stored`: how many are found in Postgres.
    pub(super) fn tally_returned(&self, seen: &Bits, stored: u64) -> Option<Tally> {
        let Returned { sightings, lost, not_auditable, strangers, .. } = self.returned.as_ref()?;
        let store = self.stores[1].as_ref();
        let gone = |ranges: &Ranges| {
            let blamed = |index: u32| store.is_none_or(|stored| !stored.lost.contains(index));
            ranges.iter().filter(|index| !sightings.seen.contains(*index) && blamed(*index)).count() as u64
        };
        let routed = sightings.seen.count() - sightings.seen.count_without(seen);
        let (found, lost, not_auditable) = (u64::from(routed), gone(lost), gone(not_auditable));
        let expected = stored.max(found + lost + not_auditable);
        let before =
            store.map_or_else(|| self.routed.altered.clone(), |stored| stored.altered.or(&self.routed.altered));
        Some(Tally {
            expected,
            found,
            lost,
            not_auditable,
            late: expected - found - lost - not_auditable,
            altered: sightings.altered.count_without(&before).into(),
            out_of_order: self.accused[1].count().into(),
            never_sent: sightings.counts.never_sent + u64::from(strangers.len()),
            ..sightings.counts
        })
    }
}
