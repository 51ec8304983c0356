//! What is judged, and what was found of it: plain counts per sale. Pure, and shared with nothing but the model.

use std::collections::{BTreeSet, HashMap};

use kafka::blocks::{BlockRecord, Phase, Published};
use petstore::{BlockId, SaleId, State};

use super::found::Found;

/// The cut: blocks as their loaders had them acknowledged at one moment, and what was found since.
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
}

/// One block: how often each of its sales was found at each place.
pub(crate) struct Judged {
    pub(crate) record: BlockRecord,
    states: Vec<State>,
    due_us: Vec<i64>,
    seen: [Vec<u8>; 4],
    repeated: [u64; 4],
    misrouted: u64,
    outside: [u64; 4],
}

/// Sales that are judged at most; the newest.
pub(crate) const MOST: u64 = 1_000_000;
/// Strangers that are remembered; one is too many.
const STRANGERS: usize = 1_000;

impl Sample {
    /// Takes the newest blocks of the account, up to [`MOST`] sales; `generate` says the states of a block's sales.
    pub(crate) fn new(
        mut account: Vec<Published>,
        mut generate: impl FnMut(&BlockRecord, BlockId) -> anyhow::Result<Vec<State>>,
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
                let states = generate(&record, id)?;
                sample.blocks.insert(id, Judged::new(record, states));
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

    /// Counts a sale that was found. `state`: the topic that it lay on, if it is one of a state.
    pub(crate) fn count(&mut self, place: Place, id: SaleId, due_us: i64, state: Option<State>) {
        match self.blocks.get_mut(&id.block_id()) {
            Some(block) => block.count(place, id.index, due_us, state),
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
    fn new(record: BlockRecord, states: Vec<State>) -> Self {
        let none = || vec![0; states.len()];
        Self {
            due_us: vec![0; states.len()],
            seen: [none(), none(), none(), none()],
            record,
            states,
            repeated: [0; 4],
            misrouted: 0,
            outside: [0; 4],
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
                } else if matches!(place, Place::Cached | Place::Stored) && self.seen[Place::Routed as usize][at] == 0 {
                    sum.not_routed += 1;
                } else if sum.oldest.is_none_or(|(_, _, due_us)| self.due_us[at] < due_us) {
                    sum.oldest = Some((sale, self.states[at], self.due_us[at]));
                }
            } else if *times > 0 && index >= end {
                sum.never_sent += 1;
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

#[cfg(test)]
mod tests {
    use kafka::Ranges;
    use petstore::Parameters;

    use super::*;

    const BLOCK: BlockId = BlockId { run: 1, loader: 0, block: 0 };

    fn published(block: u32, phase: Phase, acknowledged: u32, end: Option<u32>) -> Published {
        let record = BlockRecord {
            incarnation: 1,
            parameters: Parameters::default(),
            phase,
            acknowledged: Ranges::from(vec![(0, acknowledged)]),
            end,
            reserved_at_us: i64::from(block) * 1_000,
            updated_at_us: 0,
        };
        Published { id: BlockId { block, ..BLOCK }, record, offset: 0 }
    }

    fn sample(blocks: Vec<Published>) -> Sample {
        Sample::new(blocks, |_, _| Ok(vec![State::Ca; 10])).unwrap()
    }

    fn found(sample: &Sample) -> Found {
        sample.found(Place::Routed, |_| true)
    }

    fn route(sample: &mut Sample, indices: impl IntoIterator<Item = u32>) {
        for index in indices {
            sample.count(Place::Routed, BLOCK.sale(index), 1_000 + i64::from(index), Some(State::Ca));
        }
    }

    #[test]
    fn what_is_all_there_is_right() {
        let mut sample = sample(vec![published(0, Phase::Closed, 10, Some(10))]);
        route(&mut sample, 0..10);
        assert!(found(&sample).is_right());
        assert_eq!((found(&sample).there, sample.span_us()), (10, Some((1_000, 1_009))));
    }

    #[test]
    fn each_fault_is_counted_and_nothing_else() {
        let right = Found { expected: 8, there: 8, ..Found::default() };
        let fault = |change: fn(&mut Sample)| {
            let mut sample = sample(vec![published(0, Phase::Closed, 8, Some(8))]);
            change(&mut sample);
            found(&sample)
        };
        assert_eq!(fault(|sample| route(sample, 0..8)), right);
        let oldest = Some((BLOCK.sale(3), State::Ca, 0));
        assert_eq!(
            fault(|sample| route(sample, (0..8).filter(|i| *i != 3))),
            Found { there: 7, oldest, ..right.clone() }
        );
        let duplicate = Some(BLOCK.sale(3));
        assert_eq!(
            fault(|sample| route(sample, (0..8).chain([3]))),
            Found { duplicates: 1, duplicate, ..right.clone() }
        );
        for extra in [8, 10] {
            assert_eq!(fault(|sample| route(sample, 0..8)), right);
            let mut sample = sample(vec![published(0, Phase::Closed, 8, Some(8))]);
            route(&mut sample, (0..8).chain([extra]));
            assert_eq!(found(&sample), Found { never_sent: 1, ..right.clone() }, "{extra}");
        }
        let misrouted = fault(|sample| {
            route(sample, 0..7);
            sample.count(Place::Routed, BLOCK.sale(7), 1, Some(State::Tx));
        });
        assert_eq!(misrouted, Found { misrouted: 1, ..right });
    }

    #[test]
    fn of_an_open_or_a_cut_block_more_than_was_acknowledged_may_be_there_once() {
        for phase in [Phase::Progress, Phase::Cut] {
            let mut sample = sample(vec![published(0, phase, 5, None)]);
            route(&mut sample, 0..7);
            assert!(found(&sample).is_right());
            route(&mut sample, [6]);
            assert_eq!(found(&sample).duplicates, 1);
        }
    }

    #[test]
    fn a_block_that_nobody_reserved_is_a_stranger_until_it_is_introduced() {
        let mut sample = sample(vec![published(0, Phase::Closed, 0, Some(0))]);
        let (new, strange) = (BlockId { block: 1, ..BLOCK }, BlockId { block: 2, ..BLOCK });
        for id in [new, strange] {
            sample.count(Place::Routed, id.sale(0), 1, Some(State::Ca));
        }
        sample.introduce(&[published(1, Phase::Progress, 0, None)]);
        assert_eq!(sample.strangers, [(Place::Routed, strange.sale(0))]);
        assert_eq!(found(&sample).never_sent, 1);
    }

    #[test]
    fn what_lies_before_a_log_begins_is_set_aside() {
        let mut sample = sample((0..4).map(|block| published(block, Phase::Closed, 10, Some(10))).collect());
        sample.begin_at(2_000);
        assert_eq!((sample.blocks.len(), sample.beyond, sample.sales()), (2, 2, 20));
    }
}
