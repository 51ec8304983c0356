//! Blocks that are done: whole ones as ranges, the others with what was found of them.

use std::collections::{BTreeMap, BTreeSet};

use kafka::Ranges;
use petstore::{BlockId, SaleId};
use serde::{Deserialize, Serialize};

use crate::block::Seen;
use crate::findings::{Stage, Tallies};

/// Blocks that are kept one by one: those cut, stopped early or damaged. Older ones are folded into their loader's.
const KEPT: usize = 100_000;

/// All done blocks.
#[derive(Debug, Default)]
pub struct Done {
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
    /// Their sum.
    pub tallies: Tallies,
}

/// A done block that isn't whole: sales of it may still come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Odd {
    /// The indices that were seen at routed.
    pub seen: Ranges,
    /// Its account.
    pub tallies: Tallies,
}

impl Done {
    /// Whether a block is done.
    pub fn contains(&self, id: BlockId) -> bool {
        self.loaders.get(&(id.run, id.loader)).is_some_and(|loader| loader.blocks.contains(id.block))
            || self.odd.contains_key(&id)
    }

    /// Adds a block; `seen` unless it is whole.
    pub fn add(&mut self, id: BlockId, tallies: Tallies, seen: Option<Ranges>) {
        if let Some(seen) = seen {
            self.odd.insert(id, Odd { seen, tallies });
            self.changed.odd.insert(id);
            if self.odd.len() > KEPT
                && let Some((id, odd)) = self.odd.pop_first()
            {
                self.changed.odd.insert(id);
                self.fold(id, &odd.tallies);
            }
        } else {
            self.fold(id, &tallies);
        }
    }

    fn fold(&mut self, id: BlockId, tallies: &Tallies) {
        let key = (id.run, id.loader);
        let loader = self.loaders.entry(key).or_default();
        loader.blocks.insert(id.block);
        loader.tallies.add(tallies);
        self.changed.loaders.insert(key);
    }

    /// Counts a sale of a done block that came after all, and says what it is.
    pub fn late(&mut self, id: SaleId) -> Option<Seen> {
        let block = id.block_id();
        if let Some(odd) = self.odd.get_mut(&block) {
            self.changed.odd.insert(block);
            let routed = odd.tallies.at_mut(Stage::Routed);
            if odd.seen.insert(id.index) {
                routed.unknown += 1;
                return Some(Seen::New);
            }
            routed.duplicate += 1;
            return Some(Seen::Duplicate);
        }
        let key = (id.run, id.loader);
        let loader = self.loaders.get_mut(&key)?;
        loader.tallies.at_mut(Stage::Routed).duplicate += 1;
        self.changed.loaders.insert(key);
        Some(Seen::Duplicate)
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
