//! Blocks that nobody reserved, and where sales of them were found.

use std::collections::BTreeMap;

use petstore::BlockId;
use serde::{Deserialize, Serialize};

use super::Audit;
use crate::audit::findings::{Kind, Stage};

/// Strange blocks that are told apart. Sales of more are counted, and that they came from an earlier stage isn't known.
const KNOWN: usize = 1_000;

/// Sales of strange blocks, by the stage where they were found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Strangers {
    blocks: BTreeMap<Stage, BTreeMap<BlockId, u64>>,
    more: BTreeMap<Stage, u64>,
    /// Found in a store, and not known as yet to be strange.
    #[serde(skip)]
    waiting: Vec<(Stage, BlockId, u64)>,
}

impl Strangers {
    /// Counts a sale; whether it is to be shown.
    pub(super) fn came(&mut self, stage: Stage, id: BlockId) -> bool {
        self.add(stage, id, 1);
        !self.came_before(stage, id)
    }

    fn add(&mut self, stage: Stage, id: BlockId, sales: u64) {
        let known = self.blocks.entry(stage).or_default();
        if known.len() < KNOWN || known.contains_key(&id) {
            *known.entry(id).or_default() += sales;
        } else {
            *self.more.entry(stage).or_default() += sales;
        }
    }

    fn has(&self, stage: Stage, id: BlockId) -> bool {
        self.blocks.get(&stage).is_some_and(|known| known.contains_key(&id))
    }

    /// Whether the block was strange at an earlier stage.
    fn came_before(&self, stage: Stage, id: BlockId) -> bool {
        // What was on `sales` already is taken off what was counted at routed.
        stage > Stage::Routed && stage.before().any(|before| self.has(before, id))
    }

    /// One of those that were counted at routed was on `sales` already.
    pub(super) fn was_accepted(&mut self, id: BlockId) {
        let routed = self.blocks.entry(Stage::Routed).or_default();
        if let Some(count) = routed.get_mut(&id) {
            *count -= 1;
            if *count == 0 {
                routed.remove(&id);
            }
            self.add(Stage::Accepted, id, 1);
        }
    }

    /// Sales at a stage that were not strange before.
    pub(super) fn count(&self, stage: Stage) -> u64 {
        let known = self.blocks.get(&stage).into_iter().flatten();
        known.filter(|(id, _)| !self.came_before(stage, **id)).map(|(_, sales)| sales).sum::<u64>()
            + self.more.get(&stage).copied().unwrap_or(0)
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

impl Audit {
    /// Of the blocks that a store has, those that are not on the account and not yet found strange there.
    pub(crate) fn strange_blocks(&self, stage: Stage, blocks: &[BlockId]) -> Vec<BlockId> {
        let strange = |id: &&BlockId| {
            !self.knows(**id)
                && !self.lasting.strangers.has(stage, **id)
                && !self.lasting.strangers.waiting.iter().any(|(at, waiting, _)| (*at, *waiting) == (stage, **id))
        };
        blocks.iter().filter(strange).copied().take(KNOWN - self.lasting.strangers.waiting.len().min(KNOWN)).collect()
    }

    /// Takes how many sales of such a block a store has. Judged when the account of blocks was read so far.
    pub(crate) fn strange_block(&mut self, stage: Stage, id: BlockId, sales: u64) {
        self.lasting.strangers.waiting.push((stage, id, sales));
    }

    pub(super) fn judge_strange_blocks(&mut self, count: usize) {
        let count = count.min(self.lasting.strangers.waiting.len());
        for (stage, id, sales) in self.lasting.strangers.waiting.drain(..count).collect::<Vec<_>>() {
            if sales > 0 && !self.knows(id) {
                self.lasting.strangers.add(stage, id, sales);
                if !self.lasting.strangers.came_before(stage, id) {
                    let detail = format!("{sales} sales of a block that nobody reserved");
                    self.lasting.findings.add(stage, Kind::NeverSent, &format!("block {id}"), &detail);
                }
            }
        }
    }

    fn knows(&self, id: BlockId) -> bool {
        self.is_open(id) || self.done.contains(id) || self.unreadable.contains(id) || self.others.contains(id)
    }
}
