//! Blocks that are done: whole ones as ranges, the others with what was found of them.

use std::collections::{BTreeMap, BTreeSet};

use kafka::Ranges;
use petstore::{BlockId, Parameters, SaleId};
use serde::{Deserialize, Serialize};

use super::entry::Entry;
use crate::audit::findings::{Kind, Stage, Tallies, Tally};

/// Blocks that are kept one by one: those cut, stopped early or damaged. Some 500 bytes each, so 15 MB. Older ones are
/// folded into their loader's.
const KEPT: usize = 30_000;

#[derive(Debug, Default)]
pub(crate) struct Done {
    returned: bool,
    loaders: BTreeMap<(u32, u32), Loader>,
    odd: BTreeMap<BlockId, Odd>,
    sum: Tallies,
    changed: BTreeSet<Key>,
    /// What is being written: it changed, unless the write succeeds.
    writing: BTreeSet<Key>,
}

/// What is written by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Loader(u32, u32),
    Block(BlockId),
}

/// What the keys of records begin with.
const LOADER: &str = "loader/";
const BLOCK: &str = "block/";

/// Blocks by run and loader: nearly always one range of each.
#[derive(Debug, Default)]
pub(crate) struct BlockSet(BTreeMap<(u32, u32), Ranges>);

impl BlockSet {
    pub(crate) fn insert(&mut self, id: BlockId) {
        self.0.entry((id.run, id.loader)).or_default().insert(id.block);
    }

    pub(crate) fn contains(&self, id: BlockId) -> bool {
        self.0.get(&(id.run, id.loader)).is_some_and(|blocks| blocks.contains(id.block))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn len(&self) -> u64 {
        self.0.values().map(|blocks| u64::from(blocks.len())).sum()
    }
}

/// What is known of all whole blocks of one run and loader.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Loader {
    pub(crate) blocks: Ranges,
    /// Those of them whose receipts were watched: of the others, any may still come.
    #[serde(default)]
    pub(crate) returned: Ranges,
    pub(crate) tallies: Tallies,
    /// What they are generated from: a run has the same for all of its blocks. Kept as it was written, for another release
    /// can't read it.
    #[serde(default)]
    pub(crate) parameters: serde_json::Value,
}

/// A done block that isn't whole: sales of it may still come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Odd {
    /// The indices that were seen at routed.
    pub(crate) seen: Ranges,
    /// The indices that came back, if that was watched.
    #[serde(default)]
    pub(crate) returned: Option<Ranges>,
    /// The first index that was never sent, if that is known.
    #[serde(default)]
    pub(crate) end: Option<u32>,
    /// How many sales the model has in it, if that is known.
    #[serde(default)]
    pub(crate) length: Option<u32>,
    pub(crate) tallies: Small,
}

/// The account of one block without the zeros, which are most of it: stage, number of the count, count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Tallies", into = "Tallies")]
pub(crate) struct Small(Box<[(Stage, u8, u32)]>);

impl From<Tallies> for Small {
    fn from(tallies: Tallies) -> Self {
        let counts = tallies.0.iter().flat_map(|(stage, tally)| {
            // The first one is always there, and tells that the stage is watched.
            (0..).zip(tally.counts()).filter(|(number, count)| *number == 0 || *count > 0).map(|(number, count)| {
                // A block holds some thousands; more records of it than this are as bad as this many.
                (*stage, number, u32::try_from(count).unwrap_or(u32::MAX))
            })
        });
        Self(counts.collect())
    }
}

impl From<Small> for Tallies {
    fn from(small: Small) -> Self {
        let mut tallies = Self::default();
        for (stage, number, count) in small.0 {
            let tally = tallies.at_mut(stage);
            let mut counts = tally.counts();
            counts[usize::from(number)] = count.into();
            *tally = Tally::of_counts(counts);
        }
        tallies
    }
}

#[cfg(test)]
impl Small {
    /// What it takes besides itself.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.0)
    }
}

/// A sale that came to a stage when its block was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Late {
    /// Nobody can tell whether it may be there.
    Unknown,
    Found(Kind),
}

impl Done {
    /// Nothing is done. `returned`: whether `receipts` is watched.
    pub(crate) fn new(returned: bool) -> Self {
        Self { returned, ..Self::default() }
    }

    pub(crate) fn contains(&self, id: BlockId) -> bool {
        self.loaders.get(&(id.run, id.loader)).is_some_and(|loader| loader.blocks.contains(id.block))
            || self.odd.contains_key(&id)
    }

    /// Adds a block that is whole. `parameters`: what it is generated from.
    pub(crate) fn add_whole(&mut self, id: BlockId, tallies: &Tallies, parameters: &Parameters) {
        self.sum.add(tallies);
        let loader = self.fold(id, tallies, self.returned);
        if loader.parameters.is_null() {
            loader.parameters = serde_json::to_value(parameters).unwrap_or_default();
        }
    }

    pub(crate) fn add_odd(&mut self, id: BlockId, odd: Odd) {
        self.sum.add(&odd.tallies.clone().into());
        self.odd.insert(id, odd);
        self.changed.insert(Key::Block(id));
        if self.odd.len() > KEPT
            && let Some((id, odd)) = self.odd.pop_first()
        {
            self.changed.insert(Key::Block(id));
            self.fold(id, &odd.tallies.into(), odd.returned.is_some());
        }
    }

    fn fold(&mut self, id: BlockId, tallies: &Tallies, returned: bool) -> &mut Loader {
        self.changed.insert(Key::Loader(id.run, id.loader));
        let loader = self.loaders.entry((id.run, id.loader)).or_default();
        loader.blocks.insert(id.block);
        if returned {
            loader.returned.insert(id.block);
        }
        loader.tallies.add(tallies);
        loader
    }

    /// What a block is generated from that is no longer kept separately, if this release can read that.
    pub(crate) fn parameters(&self, id: BlockId) -> Option<Parameters> {
        if self.odd.contains_key(&id) {
            return None;
        }
        serde_json::from_value(self.loaders.get(&(id.run, id.loader))?.parameters.clone()).ok()
    }

    /// Counts a sale of a done block that came to a stage after all. `length`: how many sales the model has in the block,
    /// as far as that isn't kept here. `None` if the stage was not watched.
    pub(crate) fn late(&mut self, stage: Stage, id: SaleId, length: Option<u32>) -> Option<Late> {
        let block = id.block_id();
        let late = if let Some(odd) = self.odd.get_mut(&block) {
            odd.late(stage, id.index)?
        } else {
            let loader = self.loaders.get(&(id.run, id.loader))?;
            if stage == Stage::Returned && !loader.returned.contains(id.block) {
                return None;
            }
            let is_outside = length.is_some_and(|length| id.index >= length);
            Late::Found(if is_outside { Kind::NeverSent } else { Kind::Duplicate })
        };
        self.change(block, |tallies| {
            let tally = tallies.at_mut(stage);
            *(match late {
                Late::Unknown => &mut tally.unknown,
                Late::Found(kind) => tally.of_mut(kind),
            }) += 1;
        });
        Some(late)
    }

    /// Changes the account of a block, or of its loader if it is no longer kept separately, and the sum.
    fn change(&mut self, id: BlockId, change: impl Fn(&mut Tallies)) {
        if let Some(odd) = self.odd.get_mut(&id) {
            self.changed.insert(Key::Block(id));
            let mut tallies = std::mem::take(&mut odd.tallies).into();
            change(&mut tallies);
            odd.tallies = tallies.into();
        } else if let Some(loader) = self.loaders.get_mut(&(id.run, id.loader)) {
            self.changed.insert(Key::Loader(id.run, id.loader));
            change(&mut loader.tallies);
        } else {
            return;
        }
        change(&mut self.sum);
    }

    /// A fault that was counted at routed was there on `sales` already.
    pub(crate) fn was_accepted(&mut self, id: BlockId, kind: Kind) {
        self.change(id, |tallies| {
            let routed = tallies.at_mut(Stage::Routed).of_mut(kind);
            if *routed > 0 {
                *routed -= 1;
                *tallies.at_mut(Stage::Accepted).of_mut(kind) += 1;
            }
        });
    }

    /// Whether a sale of a done block may have lain on another state's topic.
    pub(crate) fn had_misrouted(&self, id: BlockId) -> bool {
        self.odd.get(&id).is_some_and(|odd| Tallies::from(odd.tallies.clone()).at(Stage::Routed).misrouted > 0)
    }

    pub(crate) fn count(&self) -> u64 {
        self.loaders.values().map(|loader| u64::from(loader.blocks.len())).sum::<u64>() + self.odd.len() as u64
    }

    pub(crate) fn tallies(&self) -> &Tallies {
        &self.sum
    }

    /// Begins to write what changed since the last write that succeeded. A block that was folded is removed.
    pub(crate) fn write(&mut self) -> anyhow::Result<Vec<Entry>> {
        self.writing.append(&mut self.changed);
        let written = |key: &Key| match key {
            Key::Loader(run, loader) => {
                Entry::new(format!("{LOADER}{run:08x}/{loader}"), self.loaders.get(&(*run, *loader)))
            }
            Key::Block(id) => Entry::new(format!("{BLOCK}{id}"), self.odd.get(id)),
        };
        self.writing.iter().map(written).collect()
    }

    /// Ends the write: it succeeded.
    pub(crate) fn written(&mut self) {
        self.writing.clear();
    }

    /// Whether a record with this key was written here.
    pub(crate) fn owns(key: &str) -> bool {
        key.starts_with(LOADER) || key.starts_with(BLOCK)
    }

    /// Takes what was written, if it is one of these; whether it was.
    pub(crate) fn restore(&mut self, key: &str, value: &[u8]) -> anyhow::Result<bool> {
        if let Some(id) = key.strip_prefix(BLOCK) {
            let odd: Odd = serde_json::from_slice(value)?;
            self.sum.add(&odd.tallies.clone().into());
            self.odd.insert(id.parse()?, odd);
        } else if let Some(id) = key.strip_prefix(LOADER) {
            // Such a key is a block's id without the block.
            let id: BlockId = format!("{id}/0").parse()?;
            let loader: Loader = serde_json::from_slice(value)?;
            self.sum.add(&loader.tallies);
            self.loaders.insert((id.run, id.loader), loader);
        }
        Ok(Self::owns(key))
    }
}

impl Odd {
    fn late(&mut self, stage: Stage, index: u32) -> Option<Late> {
        let was_routed = self.seen.contains(index);
        let seen = if stage == Stage::Returned { self.returned.as_mut()? } else { &mut self.seen };
        if self.length.is_some_and(|length| index >= length) {
            return Some(Late::Found(Kind::NeverSent));
        }
        if !seen.insert(index) {
            return Some(Late::Found(Kind::Duplicate));
        }
        // What is routed though it was never sent comes back by right.
        let never_sent = self.end.is_some_and(|end| index >= end) && !(stage == Stage::Returned && was_routed);
        Some(if never_sent { Late::Found(Kind::NeverSent) } else { Late::Unknown })
    }
}
