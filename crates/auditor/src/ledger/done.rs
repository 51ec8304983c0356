//! Blocks that are done: whole ones as ranges, the others with what was found of them.

use std::collections::{BTreeMap, BTreeSet};

use kafka::Ranges;
use petstore::{BlockId, SaleId};
use serde::{Deserialize, Serialize};

use crate::findings::{Kind, Stage, Tallies};

/// Blocks that are kept one by one: those cut, stopped early or damaged. Older ones are folded into their loader's.
const KEPT: usize = 100_000;

/// All done blocks.
#[derive(Debug, Default)]
pub struct Done {
    /// Whether `receipts` is watched.
    returned: bool,
    loaders: BTreeMap<(u32, u32), Loader>,
    odd: BTreeMap<BlockId, Odd>,
    changed: Changed,
    /// What is being written: it changed, unless the write succeeds.
    writing: Changed,
}

#[derive(Debug, Default)]
struct Changed {
    loaders: BTreeSet<(u32, u32)>,
    odd: BTreeSet<BlockId>,
}

/// What is known of all whole blocks of one run and loader.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loader {
    /// Their numbers.
    pub blocks: Ranges,
    /// Those of them whose receipts were watched: of the others, any may still come.
    #[serde(default)]
    pub returned: Ranges,
    /// Their sum.
    pub tallies: Tallies,
}

/// A done block that isn't whole: sales of it may still come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Odd {
    /// The indices that were seen at routed.
    pub seen: Ranges,
    /// The indices that came back, if that was watched.
    #[serde(default)]
    pub returned: Option<Ranges>,
    /// Its account.
    pub tallies: Tallies,
}

impl Done {
    /// Nothing is done. `returned`: whether `receipts` is watched.
    pub fn new(returned: bool) -> Self {
        Self { returned, ..Self::default() }
    }

    /// Whether a block is done.
    pub fn contains(&self, id: BlockId) -> bool {
        self.loaders.get(&(id.run, id.loader)).is_some_and(|loader| loader.blocks.contains(id.block))
            || self.odd.contains_key(&id)
    }

    /// Adds a block that is whole.
    pub fn add_whole(&mut self, id: BlockId, tallies: &Tallies) {
        self.fold(id, tallies, self.returned);
    }

    /// Adds a block that isn't.
    pub fn add_odd(&mut self, id: BlockId, odd: Odd) {
        self.odd.insert(id, odd);
        self.changed.odd.insert(id);
        if self.odd.len() > KEPT
            && let Some((id, odd)) = self.odd.pop_first()
        {
            self.changed.odd.insert(id);
            self.fold(id, &odd.tallies, odd.returned.is_some());
        }
    }

    fn fold(&mut self, id: BlockId, tallies: &Tallies, returned: bool) {
        let key = (id.run, id.loader);
        let loader = self.loaders.entry(key).or_default();
        loader.blocks.insert(id.block);
        if returned {
            loader.returned.insert(id.block);
        }
        loader.tallies.add(tallies);
        self.changed.loaders.insert(key);
    }

    /// Counts a sale of a done block that came to a stage after all; whether it is a duplicate.
    pub fn late(&mut self, stage: Stage, id: SaleId) -> bool {
        let block = id.block_id();
        if let Some(odd) = self.odd.get_mut(&block) {
            let seen = if stage == Stage::Returned { odd.returned.as_mut() } else { Some(&mut odd.seen) };
            let Some(seen) = seen else { return false };
            self.changed.odd.insert(block);
            let new = seen.insert(id.index);
            let tally = odd.tallies.at_mut(stage);
            *(if new { &mut tally.unknown } else { &mut tally.duplicate }) += 1;
            return !new;
        }
        let key = (id.run, id.loader);
        let Some(loader) = self.loaders.get_mut(&key) else { return false };
        if stage == Stage::Returned && !loader.returned.contains(id.block) {
            return false;
        }
        loader.tallies.at_mut(stage).duplicate += 1;
        self.changed.loaders.insert(key);
        true
    }

    /// A fault that was counted at routed was there on `sales` already.
    pub fn was_accepted(&mut self, id: BlockId, kind: Kind) {
        let tallies = if let Some(odd) = self.odd.get_mut(&id) {
            self.changed.odd.insert(id);
            &mut odd.tallies
        } else if let Some(loader) = self.loaders.get_mut(&(id.run, id.loader)) {
            self.changed.loaders.insert((id.run, id.loader));
            &mut loader.tallies
        } else {
            return;
        };
        let routed = tallies.at_mut(Stage::Routed).of_mut(kind);
        if *routed > 0 {
            *routed -= 1;
            *tallies.at_mut(Stage::Accepted).of_mut(kind) += 1;
        }
    }

    /// Whether a sale of a done block may have lain on another state's topic.
    pub fn had_misrouted(&self, id: BlockId) -> bool {
        self.odd.get(&id).is_some_and(|odd| odd.tallies.at(Stage::Routed).misrouted > 0)
    }

    /// How many blocks are done.
    pub fn count(&self) -> u64 {
        self.loaders.values().map(|loader| u64::from(loader.blocks.len())).sum::<u64>() + self.odd.len() as u64
    }

    /// Their sum.
    pub fn tallies(&self) -> Tallies {
        let mut sum = Tallies::default();
        self.loaders
            .values()
            .map(|loader| &loader.tallies)
            .chain(self.odd.values().map(|odd| &odd.tallies))
            .for_each(|tallies| sum.add(tallies));
        sum
    }

    /// Begins to write what changed since the last write that succeeded: the loaders.
    pub fn write_loaders(&mut self) -> impl Iterator<Item = ((u32, u32), &Loader)> {
        self.writing.loaders.append(&mut self.changed.loaders);
        self.writing.loaders.iter().filter_map(|key| Some((*key, self.loaders.get(key)?)))
    }

    /// Begins to write what changed since the last write that succeeded: the blocks; `None` stands for one that was folded.
    pub fn write_odd(&mut self) -> impl Iterator<Item = (BlockId, Option<&Odd>)> {
        self.writing.odd.append(&mut self.changed.odd);
        self.writing.odd.iter().map(|id| (*id, self.odd.get(id)))
    }

    /// Ends the write: it succeeded.
    pub fn written(&mut self) {
        self.writing = Changed::default();
    }

    /// Takes what was saved of a loader's whole blocks.
    pub fn restore_loader(&mut self, key: (u32, u32), loader: Loader) {
        self.loaders.insert(key, loader);
    }

    /// Takes what was saved of a block.
    pub fn restore_odd(&mut self, id: BlockId, odd: Odd) {
        self.odd.insert(id, odd);
    }
}
