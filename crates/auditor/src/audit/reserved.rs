//! Blocks of which nothing was seen yet: all that is known is their record. A store that is away for hours, or an auditor
//! that was, leaves many of them.

use kafka::blocks::BlockRecord;
use petstore::BlockId;

use super::{Audit, READ};
use crate::audit::block::Block;
use crate::audit::findings::{Stage, Tallies, Tally};

/// With so many, reading the account of blocks pauses: some 400 bytes each, so 40 MB.
const RESERVED: usize = 100_000;

/// See the module.
#[derive(Debug)]
pub(super) struct Reserved {
    /// Its place among the blocks that were reserved.
    pub(super) number: i64,
    pub(super) record: BlockRecord,
    /// A log was deleted ahead of the auditor: the states' topics, and `receipts`.
    pub(super) suspect: [bool; 2],
}

impl Reserved {
    /// Its account: whatever was acknowledged is late.
    pub(super) fn tallies(&self) -> Tallies {
        let expected = u64::from(self.record.acknowledged.len());
        let mut tallies = Tallies::default();
        *tallies.at_mut(Stage::Accepted) = Tally { expected, found: expected, ..Tally::default() };
        *tallies.at_mut(Stage::Routed) = Tally { expected, late: expected, ..Tally::default() };
        tallies
    }
}

impl Audit {
    pub(super) fn open(&mut self, id: BlockId) {
        let Some(Reserved { number, record, suspect }) = self.reserved.remove(&id) else { return };
        let mut block = Box::new(Block::new(number, record, self.watched));
        for ((before_us, suspect), stage) in self.lasting.suspect_before_us.into_iter().zip(suspect).zip(READ) {
            if suspect || block.record.reserved_at_us < before_us {
                block.suspect(stage);
            }
        }
        if let Some(disorder) = self.disorder.remove(&id) {
            block.remember_disorder(disorder);
        }
        self.open.insert(id, block);
    }

    /// The blocks of which something was seen.
    pub(super) fn opened(&self) -> impl Iterator<Item = (BlockId, &Block)> {
        self.open.iter().map(|(id, block)| (*id, &**block))
    }

    /// Whether something can still come of a block.
    pub(super) fn is_open(&self, id: BlockId) -> bool {
        self.open.contains_key(&id) || self.reserved.contains_key(&id)
    }

    pub(super) fn forget(&mut self, id: BlockId) {
        self.open.remove(&id);
        self.reserved.remove(&id);
    }

    /// Whether reading the account of blocks should pause. Never while sales wait for it: nothing else goes on then.
    pub(crate) fn rests_account(&self) -> bool {
        !self.waiting.is_full() && (self.is_full() || self.reserved.len() >= RESERVED)
    }
}
