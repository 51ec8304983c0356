//! What is judged, and what was found of it: plain counts per sale. Pure, and shared with nothing but the model.

use std::collections::{BTreeSet, HashMap};

use kafka::blocks::{BlockRecord, Phase, Published};
use petstore::{BlockId, Sale, SaleId, State};

use super::found::Found;
use crate::bits::Bits;

/// The cut: blocks as their loaders had them acknowledged at one moment, and what was found since.
#[derive(Default)]
pub(crate) struct Sample {
    pub(crate) blocks: HashMap<BlockId, Judged>,
    /// Sales of blocks that were not on the loaders' account at the cut, and where they were found.
    pub(crate) strangers: Vec<(Place, SaleId)>,
    /// Sales acknowledged in all, judged or not.
    pub(crate) acknowledged: u64,
    /// Blocks that are not judged, since there are newer ones enough.
    pub(crate) older: usize,
    /// Blocks that are not judged, since a log no longer reaches back to them.
    pub(crate) beyond: usize,
    known: BTreeSet<BlockId>,
}

/// Where a sale is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Accepted,
    Routed,
    Cached,
    Stored,
    Returned,
}

/// How many places there are.
pub(crate) const PLACES: usize = 5;

/// One block: how often each of its sales was found at each place.
pub(crate) struct Judged {
    pub(crate) record: BlockRecord,
    states: Vec<State>,
    due_us: Vec<i64>,
    /// Canonical digests of the sales, and of their receipts.
    digests: Vec<(u64, u64)>,
    seen: [Vec<u8>; PLACES],
    altered: [Bits; PLACES],
    repeated: [u64; PLACES],
    misrouted: u64,
    outside: [u64; PLACES],
}

/// Sales that are judged at most; the newest.
pub(crate) const MOST: u64 = 1_000_000;
/// Strangers that are remembered; one is too many.
const STRANGERS: usize = 1_000;

impl Sample {
    /// Takes the newest blocks of the account, up to [`MOST`] sales; `generate` says what a block holds.
    pub(crate) fn new(
        mut account: Vec<Published>,
        mut generate: impl FnMut(&BlockRecord, BlockId) -> anyhow::Result<Vec<Sale>>,
    ) -> anyhow::Result<Self> {
        account.sort_unstable_by_key(|block| (std::cmp::Reverse(block.record.reserved_at_us), block.id));
        let acknowledged = account.iter().map(|block| u64::from(block.record.acknowledged.len())).sum();
        let known = account.iter().map(|block| block.id).collect();
        let mut sample =
            Self { blocks: HashMap::new(), strangers: Vec::new(), acknowledged, older: 0, beyond: 0, known };
        let mut sales = 0;
        for Published { id, record, .. } in account {
            sales += u64::from(record.acknowledged.len());
            if sales > MOST && !sample.blocks.is_empty() {
                sample.older += 1;
            } else {
                let sales = generate(&record, id)?;
                sample.blocks.insert(id, Judged::new(record, &sales));
            }
        }
        Ok(sample)
    }

    /// How many sales are judged.
    pub(crate) fn sales(&self) -> u64 {
        self.blocks.values().map(|block| u64::from(block.record.acknowledged.len())).sum()
    }

    /// The time before which no sale that is judged can have been sent: unix time, microseconds.
    pub(crate) fn since_us(&self) -> i64 {
        self.blocks.values().map(|block| block.record.reserved_at_us).min().unwrap_or(0)
    }

    /// Whether this sale is judged: it was acknowledged before the cut.
    pub(crate) fn judges(&self, id: SaleId) -> bool {
        self.blocks.get(&id.block_id()).is_some_and(|block| block.record.acknowledged.contains(id.index))
    }

    /// Counts a sale that was found. `state`: the topic that it lay on, if it is one of a state. `says`: the digest of its
    /// body; none if that is no sale, or no receipt.
    pub(crate) fn count(&mut self, place: Place, id: SaleId, due_us: i64, state: Option<State>, says: Option<u64>) {
        match self.blocks.get_mut(&id.block_id()) {
            Some(block) => {
                block.count(place, id.index, due_us, state);
                block.compare(place, id.index, says);
            }
            None if self.known.contains(&id.block_id()) => {}
            None if self.strangers.len() < STRANGERS => self.strangers.push((place, id)),
            None => {}
        }
    }

    /// Counts what a store has of a block.
    pub(crate) fn count_store(&mut self, place: Place, id: BlockId, present: impl Iterator<Item = u32>, repeated: u64) {
        if let Some(block) = self.blocks.get_mut(&id) {
            present.for_each(|index| block.count(place, index, 0, None));
            block.repeated[place as usize] += repeated;
        }
    }

    /// Compares a row of Postgres by its own columns, and by the digest that was stored with it.
    pub(crate) fn compare_row(&mut self, id: SaleId, digest: u64, columns: Option<u64>) {
        if let Some(block) = self.blocks.get_mut(&id.block_id()) {
            let right = block.digests.get(id.index as usize).is_some_and(|known| digest == known.0);
            block.compare(Place::Stored, id.index, columns.filter(|_| right));
        }
    }

    /// Sets aside the blocks that were reserved before a log begins: unix time, microseconds.
    pub(crate) fn begin_at(&mut self, time_us: i64) {
        let before = self.blocks.len();
        self.blocks.retain(|_, block| block.record.reserved_at_us >= time_us);
        self.beyond += before - self.blocks.len();
    }

    /// Forgets the strangers whose block has been reserved since the cut.
    pub(crate) fn introduce(&mut self, account: &[Published]) {
        let known: BTreeSet<BlockId> = account.iter().map(|block| block.id).collect();
        self.strangers.retain(|(_, id)| !known.contains(&id.block_id()));
    }

    /// What was found at a place, of the blocks that `judge` accepts.
    pub(crate) fn found(&self, place: Place, judge: impl Fn(&BlockRecord) -> bool) -> Found {
        let mut sum = Found::default();
        for (id, block) in self.blocks.iter().filter(|(_, block)| judge(&block.record)) {
            block.add_to(&mut sum, place, *id);
        }
        let strangers = self.strangers.iter().filter(|(found, _)| *found == place).count();
        sum.never_sent += strangers as u64;
        sum
    }

    /// The first and the last due time of what was found on `sales`: unix time, microseconds.
    pub(crate) fn span_us(&self) -> Option<(i64, i64)> {
        let due = || self.blocks.values().flat_map(|block| block.due_us.iter().copied().filter(|due| *due > 0));
        due().min().zip(due().max())
    }
}

impl Judged {
    fn new(record: BlockRecord, sales: &[Sale]) -> Self {
        let states: Vec<State> = sales.iter().map(Sale::state).collect();
        let none = || vec![0; states.len()];
        let digests = sales.iter().map(|sale| (petstore::digest(sale), petstore::receipt_digest(&sale.receipt())));
        Self {
            due_us: vec![0; states.len()],
            digests: digests.collect(),
            seen: [(); PLACES].map(|()| none()),
            altered: [const { Bits::new() }; PLACES],
            record,
            states,
            repeated: [0; PLACES],
            misrouted: 0,
            outside: [0; PLACES],
        }
    }

    fn count(&mut self, place: Place, index: u32, due_us: i64, state: Option<State>) {
        let at = index as usize;
        let Some(times) = self.seen[place as usize].get_mut(at) else {
            self.outside[place as usize] += 1;
            return;
        };
        *times = times.saturating_add(1);
        if due_us > 0 {
            self.due_us[at] = due_us;
        }
        self.misrouted += u64::from(state.is_some_and(|state| state != self.states[at]));
    }

    fn compare(&mut self, place: Place, index: u32, says: Option<u64>) {
        let Some((sale, receipt)) = self.digests.get(index as usize) else { return };
        let expected = if matches!(place, Place::Stored | Place::Returned) { receipt } else { sale };
        if says != Some(*expected) {
            self.altered[place as usize].insert(index);
        }
    }

    /// Whether it is not what was sent at this place, and was at the places before.
    fn was_altered(&self, place: Place, index: u32) -> bool {
        let (before, here) = self.altered[..=place as usize].split_at(place as usize);
        here[0].contains(index) && !before.iter().any(|place| place.contains(index))
    }

    fn add_to(&self, sum: &mut Found, place: Place, id: BlockId) {
        let BlockRecord { acknowledged, phase, end, .. } = &self.record;
        sum.never_sent += self.outside[place as usize];
        sum.duplicates += self.repeated[place as usize];
        if place == Place::Routed {
            sum.misrouted += self.misrouted;
        }
        let end = if *phase == Phase::Closed { end.unwrap_or(u32::MAX) } else { u32::MAX };
        for (index, times) in (0..).zip(&self.seen[place as usize]) {
            let (sale, at) = (id.sale(index), index as usize);
            if acknowledged.contains(index) {
                sum.expected += 1;
                if *times > 0 {
                    sum.there += 1;
                } else if matches!(place, Place::Cached | Place::Stored | Place::Returned)
                    && self.seen[Place::Routed as usize][at] == 0
                {
                    sum.not_routed += 1;
                } else if sum.oldest.is_none_or(|(_, _, due_us)| self.due_us[at] < due_us) {
                    sum.oldest = Some((sale, self.states[at], self.due_us[at]));
                }
            } else if *times > 0 && index >= end {
                sum.never_sent += 1;
            }
            if self.was_altered(place, index) {
                sum.altered += 1;
                sum.one_altered = sum.one_altered.or(Some(sale));
            }
            if *times > 1 {
                sum.duplicates += u64::from(*times) - 1;
                sum.duplicate = sum.duplicate.or(Some(sale));
            }
        }
        // What was acknowledged and isn't in the block can't be found anywhere.
        let length = u32::try_from(self.states.len()).unwrap_or(u32::MAX);
        sum.expected += acknowledged.iter().filter(|index| *index >= length).count() as u64;
    }
}
