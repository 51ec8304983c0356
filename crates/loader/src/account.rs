//! The account of the blocks that are open: reserved, being sent, or waiting for Kafka's last acknowledgements.
//!
//! Pure. What changed since it was last published comes out as a [`Draft`]; once Kafka has committed that,
//! [`Account::committed`] remembers it. A draft that fails is simply drawn up again: every record is complete.

use std::collections::VecDeque;

use kafka::blocks::{BlockRecord, LoadRecord, Phase};
use petstore::{BlockId, Parameters};

use crate::bits::Bits;

/// A block's sales are guessed to be so many until some have been seen.
const FIRST_GUESS: u64 = 2_000;

/// Who keeps this account: a part of every record.
#[derive(Clone, Debug)]
pub struct Owner {
    /// The run whose blocks these are.
    pub run: u32,
    /// The loader's ordinal.
    pub loader: u32,
    /// This start of the loader.
    pub incarnation: u64,
    /// What the blocks are generated from.
    pub parameters: Parameters,
    /// The load that they are sent for.
    pub load: LoadRecord,
}

/// The open blocks, in the order of their numbers.
#[derive(Debug)]
pub struct Account {
    owner: Owner,
    /// The number of the first of `blocks`, and so of the next one to be reserved if there is none.
    first: u32,
    blocks: VecDeque<Block>,
    /// Blocks that were sent to their end, and their sales.
    seen: (u64, u64),
    /// Blocks in all that are committed as reserved, and as closed.
    counts: Counts,
    /// Nothing is reserved any more.
    stopped: bool,
}

/// How many blocks Kafka knows of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Reserved.
    pub reserved: u64,
    /// Closed, with all that was acknowledged of them.
    pub closed: u64,
}

#[derive(Debug)]
struct Block {
    reserved_at_us: i64,
    acknowledged: Bits,
    /// Sales handed to the client that Kafka refused, or whose outcome is unknown.
    failed: u32,
    /// The schedule's number for the block's first sale, once it is about to be sent.
    begins_at: Option<u64>,
    /// How many sales were handed over, once no more will be.
    handed: Option<u32>,
    /// Whether that is fewer than the block has.
    cut_short: bool,
    /// Whether answers are no longer waited for.
    given_up: bool,
    /// Grows with every change; `published` is the version that Kafka has.
    version: u64,
    published: Option<u64>,
    closed: bool,
}

/// Records to be committed together.
#[derive(Debug)]
pub struct Draft {
    /// The records, with the id that is their key.
    pub records: Vec<(BlockId, BlockRecord)>,
    versions: Vec<u64>,
}

impl Account {
    /// Opens an account whose first block has the number `next`.
    pub fn new(owner: Owner, next: u32) -> Self {
        Self { owner, first: next, blocks: VecDeque::new(), seen: (0, 0), counts: Counts::default(), stopped: false }
    }

    /// Reserves blocks until `sales` sales, but at least one block, are reserved and not begun.
    pub fn reserve(&mut self, sales: f64, now_us: i64) {
        if self.stopped {
            return;
        }
        let (blocks, seen) = self.seen;
        let size = if blocks == 0 { FIRST_GUESS as f64 } else { (seen as f64 / blocks as f64).max(1.0) };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "5 s at 1e6/s: far below")]
        let wanted = 1 + (sales / size).ceil() as usize;
        while self.blocks.iter().rev().take_while(|block| block.is_unused()).count() < wanted {
            self.blocks.push_back(Block::reserved(now_us));
        }
    }

    /// Block `number` is to be sent from now on; its first sale is the schedule's sale `begins_at`.
    pub fn begin(&mut self, number: u32, begins_at: u64) {
        self.change(number, |block| block.begins_at = Some(begins_at));
    }

    /// All sales of the block were handed over.
    pub fn finish(&mut self, number: u32, sales: u32) {
        self.seen = (self.seen.0 + 1, self.seen.1 + u64::from(sales));
        self.change(number, |block| block.handed = Some(sales));
    }

    /// The load ends: of block `current`, if one was begun, only the first `handed` sales were handed over, and of later
    /// ones none.
    pub fn stop(&mut self, current: Option<(u32, u32)>) {
        self.stopped = true;
        for (number, block) in (self.first..).zip(&mut self.blocks) {
            if block.handed.is_none() {
                block.handed = Some(current.filter(|(begun, _)| *begun == number).map_or(0, |(_, handed)| handed));
                block.cut_short = true;
                block.version += 1;
            }
        }
    }

    /// Answers are no longer waited for: sales without one stay unknown.
    pub fn give_up(&mut self) {
        for block in &mut self.blocks {
            block.given_up = true;
        }
    }

    /// Kafka acknowledged a sale. Returns the schedule's number of it.
    pub fn acknowledged(&mut self, number: u32, index: u32) -> Option<u64> {
        self.change(number, |block| block.acknowledged.insert(index));
        Some(self.block(number)?.begins_at? + u64::from(index))
    }

    /// A sale was refused for good, or its outcome is unknown.
    pub fn failed(&mut self, number: u32) {
        self.change(number, |block| block.failed += 1);
    }

    /// The records that Kafka doesn't have yet. With `even_if_nothing_changed`, the oldest open block's at least: a
    /// loader that publishes nothing for long is taken for dead.
    pub fn draft(&self, now_us: i64, even_if_nothing_changed: bool) -> Draft {
        let mut draft = Draft { records: Vec::new(), versions: Vec::new() };
        for (number, block) in (self.first..).zip(&self.blocks) {
            if !block.closed && (block.has_news() || (even_if_nothing_changed && draft.records.is_empty())) {
                draft.records.push((self.id(number), self.record(block, now_us)));
                draft.versions.push(block.version);
            }
        }
        draft
    }

    /// Kafka committed the draft. Returns the blocks of it that were not known before: they may be sent now.
    pub fn committed(&mut self, draft: &Draft) -> Vec<BlockId> {
        let mut new = Vec::new();
        for ((id, record), version) in draft.records.iter().zip(&draft.versions) {
            let Some(block) = self.block_mut(id.block) else { continue };
            let known = block.published.replace(*version).is_some();
            block.closed = record.phase == Phase::Closed;
            self.counts.reserved += u64::from(!known);
            self.counts.closed += u64::from(record.phase == Phase::Closed);
            if !known {
                new.push(*id);
            }
        }
        while self.blocks.front().is_some_and(|block| block.closed) {
            self.blocks.pop_front();
            self.first += 1;
        }
        new
    }

    /// Whether every block is committed as closed.
    pub fn is_closed(&self) -> bool {
        self.blocks.is_empty()
    }

    /// How many blocks Kafka knows of.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// How many sales of the schedule, from its first on without a gap, have their answer; none is known if no block
    /// that was begun is open.
    pub fn settled(&self) -> Option<u64> {
        let block = self.blocks.iter().find(|block| block.begins_at.is_some() && !block.is_settled())?;
        Some(block.begins_at? + u64::from(block.acknowledged.prefix()))
    }

    /// Whether a block is reserved for certain and not begun.
    pub fn has_unused(&self) -> bool {
        self.blocks.iter().any(|block| block.is_unused() && block.published.is_some())
    }

    fn id(&self, number: u32) -> BlockId {
        BlockId { run: self.owner.run, loader: self.owner.loader, block: number }
    }

    fn record(&self, block: &Block, now_us: i64) -> BlockRecord {
        let phase = match block {
            block if block.is_settled() || (block.given_up && block.handed.is_some()) => Phase::Closed,
            block if block.acknowledged.is_empty() => Phase::Reserved,
            _ => Phase::Progress,
        };
        BlockRecord {
            incarnation: self.owner.incarnation,
            parameters: self.owner.parameters.clone(),
            phase,
            acknowledged: block.acknowledged.ranges(),
            end: block.handed.filter(|_| block.cut_short && phase == Phase::Closed),
            load: Some(self.owner.load),
            reserved_at_us: block.reserved_at_us,
            updated_at_us: now_us,
        }
    }

    fn change<T>(&mut self, number: u32, change: impl FnOnce(&mut Block) -> T) {
        if let Some(block) = self.block_mut(number) {
            change(block);
            block.version += 1;
        }
    }

    fn block(&self, number: u32) -> Option<&Block> {
        self.blocks.get(number.checked_sub(self.first)? as usize)
    }

    fn block_mut(&mut self, number: u32) -> Option<&mut Block> {
        self.blocks.get_mut(number.checked_sub(self.first)? as usize)
    }
}

impl Block {
    fn reserved(now_us: i64) -> Self {
        Self {
            reserved_at_us: now_us,
            acknowledged: Bits::default(),
            failed: 0,
            begins_at: None,
            handed: None,
            cut_short: false,
            given_up: false,
            version: 0,
            published: None,
            closed: false,
        }
    }

    fn is_unused(&self) -> bool {
        self.begins_at.is_none() && self.handed.is_none()
    }

    /// Whether every sale that was and will be handed over has its answer.
    fn is_settled(&self) -> bool {
        self.handed.is_some_and(|handed| self.acknowledged.len() + self.failed >= handed)
    }

    fn has_news(&self) -> bool {
        // Giving up turns an open block into a closed one, whatever was published of it.
        self.published != Some(self.version) || (self.given_up && self.handed.is_some())
    }
}

#[cfg(test)]
#[path = "account_tests.rs"]
mod tests;
