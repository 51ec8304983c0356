//! What came back of a block on `receipts`.

use kafka::Ranges;
use petstore::SaleId;

use super::{Block, Fate, Seen};
use crate::audit::bits::Bits;
use crate::audit::findings::{Kind, Tally};
use crate::audit::record::Record;
use crate::model::Truth;

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
        returned.at(record.source, record.offset);
        let Some(store) = truth.store(index) else {
            if !self.routed.outside.contains(index) {
                returned.outside(index, &mut seen);
            }
            return Some(seen);
        };
        let new = returned.sale(index, &mut seen);
        if new
            && !self.routed.misrouted.contains(index)
            && let Some(later) = later(store)
        {
            returned.behind(index, later);
        }
        let comparison = truth.receipt(index, record.body);
        returned.judge(index, new, comparison, &mut seen);
        let before = self.routed.altered.contains(index)
            || self.stores[1].as_ref().is_some_and(|stored| stored.altered.contains(index));
        seen.faults.retain(|kind| *kind != Kind::Altered || !before);
        Some(seen)
    }

    /// The sales that Postgres has for certain, that have not come back and are not given up.
    pub(crate) fn missing_returned(&self) -> Ranges {
        let watched = self.returned.as_ref().zip(self.stores[1].as_ref());
        watched.map(|(returned, stored)| returned.missing(&stored.certain)).unwrap_or_default()
    }

    /// The sales that came back and were not read from a state's topic, unless those were deleted ahead of us.
    pub(crate) fn not_routed(&self) -> Ranges {
        match &self.returned {
            Some(returned) if !self.routed.suspect && returned.seen.count() > 0 => {
                let strange = returned.seen.without(&self.routed.seen);
                strange.iter().filter(|index| !self.strangers.contains(*index)).collect()
            }
            _ => Ranges::default(),
        }
    }

    /// Takes those of which everything on the states' topics has been read since; gives those that are still strange.
    pub(crate) fn never_routed(&mut self, suspects: &Ranges) -> Vec<u32> {
        let strange = self.routed.seen.missing_from(suspects);
        strange.iter().filter(|index| self.strangers.insert(*index)).collect()
    }

    /// The account of what came back. `seen`: what was routed; `stored`: how many are found in Postgres.
    pub(super) fn tally_returned(&self, seen: &Bits, stored: u64) -> Option<Tally> {
        let returned = self.returned.as_ref()?;
        let store = self.stores[1].as_ref();
        let gone = |fate: Fate| {
            let blamed = |index: u32| store.is_none_or(|stored| !stored.lost.contains(index));
            let gone = returned.lost.of(fate).iter();
            gone.filter(|index| !returned.seen.contains(*index) && blamed(*index)).count() as u64
        };
        let routed = returned.seen.count() - returned.seen.count_without(seen);
        let (found, lost, not_auditable) = (u64::from(routed), gone(Fate::Lost), gone(Fate::NotAuditable));
        let expected = stored.max(found + lost + not_auditable);
        let before =
            store.map_or_else(|| self.routed.altered.clone(), |stored| stored.altered.or(&self.routed.altered));
        Some(Tally {
            expected,
            found,
            lost,
            not_auditable,
            late: expected - found - lost - not_auditable,
            altered: returned.altered.count_without(&before).into(),
            out_of_order: returned.accused.count().into(),
            never_sent: returned.counts.never_sent + u64::from(self.strangers.len()),
            ..returned.counts
        })
    }
}
