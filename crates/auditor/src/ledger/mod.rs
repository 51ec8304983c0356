//! The whole account: every block, open or done, and what was found wrong.
//!
//! One [`Ledger`] behind one lock. The reader puts in what it reads ([`Ledger::record`], [`Ledger::sale`]); the judge
//! proves that the fan-out has passed something ([`judging`]), asks the stores ([`storing`]), and closes what is done
//! ([`closing`]); the API reads the account ([`account`]).

mod account;
mod closing;
mod done;
mod judging;
#[cfg(test)]
mod restart_tests;
mod storing;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};

use kafka::Ranges;
use kafka::blocks::BlockRecord;
use petstore::{BlockId, Parameters, SaleId, State};

pub use account::{Account, BlockView, Count, Position};
pub use closing::{Checkpoint, Entry, Log};
pub use done::Done;
pub use judging::{Missing, Suspects};
pub use storing::{Asked, STORES};

use crate::block::{Block, Seen};
use crate::findings::{Findings, Kind, Stage, Tally};

/// Sales of blocks that are not on the account as yet: it is read at the same time, and may be a moment behind.
const WAITING_SALES: usize = 65_536;

/// Open blocks that may wait for a store before reading pauses: about 2 KB each.
const WAITING_BLOCKS: usize = 20_000;

/// Says what a block holds: the state of each of its sales.
pub type Generate = Box<dyn FnMut(&Parameters, BlockId) -> anyhow::Result<Box<[State]>> + Send>;

/// See the module.
pub struct Ledger {
    generate: Generate,
    stores: [bool; 2],
    open: HashMap<BlockId, Block>,
    done: Done,
    /// Blocks whose record or parameters this program does not understand, by run and loader.
    unreadable: BTreeMap<(u32, u32), Ranges>,
    waiting: Vec<Waiting>,
    /// What belongs to no block.
    strays: Tally,
    findings: Findings,
    /// The next offset of each state's topic.
    read: [i64; 51],
    /// Up to where the last checkpoint had counted what belongs to no open block.
    counted: [i64; 51],
    /// Blocks reserved before this time may have lost records to retention: unix time, microseconds.
    suspect_before_us: i64,
    /// Rounds of proof that ended.
    rounds: u64,
}

/// A sale whose block is not known.
struct Waiting {
    id: SaleId,
    state: State,
    offset: i64,
}

impl Ledger {
    /// An empty account, with the stores (Redis, Postgres) that are to be watched.
    pub fn new(stores: [bool; 2], generate: Generate) -> Self {
        Self {
            generate,
            stores,
            open: HashMap::new(),
            done: Done::default(),
            unreadable: BTreeMap::new(),
            waiting: Vec::new(),
            strays: Tally::default(),
            findings: Findings::default(),
            read: [0; 51],
            counted: [0; 51],
            suspect_before_us: i64::MIN,
            rounds: 0,
        }
    }

    /// Takes a block's record from the loaders' account.
    pub fn record(&mut self, id: BlockId, record: BlockRecord) {
        if self.done.contains(id) {
            return;
        }
        let stores = self.stores;
        let suspect = record.reserved_at_us < self.suspect_before_us;
        let mut new = false;
        let block = self.open.entry(id).or_insert_with(|| {
            new = true;
            Block::new(record.clone(), stores)
        });
        if new {
            if suspect {
                block.suspect();
            }
            for sale in self.waiting.extract_if(.., |sale| sale.id.block_id() == id).collect::<Vec<_>>() {
                self.sale(sale.id, sale.state, sale.offset);
            }
        } else {
            block.update(record);
        }
    }

    /// Takes note of a block whose record can't be read: nothing is said about its sales.
    pub fn unreadable(&mut self, id: BlockId) {
        self.open.remove(&id);
        self.unreadable.entry((id.run, id.loader)).or_default().insert(id.block);
    }

    /// Takes a sale from the topic of `state`.
    pub fn sale(&mut self, id: SaleId, state: State, offset: i64) {
        let block_id = id.block_id();
        if let Some(block) = self.open.get_mut(&block_id) {
            if !block.knows_truth() {
                match (self.generate)(&block.record().parameters, block_id) {
                    Ok(truth) => block.learn(truth),
                    Err(err) => {
                        tracing::error!("generating block {block_id} again: {err:#}");
                        return self.unreadable(block_id);
                    }
                }
            }
            let (seen, misrouted) = block.see(id.index, state, offset);
            self.note(id, state, offset, seen, misrouted);
        } else if self.done.contains(block_id) {
            // What a checkpoint has counted is read again after a restart.
            if offset >= self.counted[state.index()]
                && let Some(seen) = self.done.late(id)
            {
                self.note(id, state, offset, seen, false);
            }
        } else if self.unreadable.get(&(id.run, id.loader)).is_some_and(|blocks| blocks.contains(id.block)) {
            self.strays.not_auditable += u64::from(offset >= self.counted[state.index()]);
        } else if self.waiting.len() < WAITING_SALES {
            self.waiting.push(Waiting { id, state, offset });
        } else {
            self.stray(id, state, offset);
        }
    }

    /// Takes a record on the topic of `state` that is no sale.
    pub fn malformed(&mut self, state: State, offset: i64, reason: &str) {
        if offset >= self.counted[state.index()] {
            self.strays.malformed += 1;
            self.findings.add(Stage::Routed, Kind::Malformed, &place(state, offset), reason);
        }
    }

    /// Says that the account of blocks was read to an end that was taken after everything until now had been read: a
    /// sale that still has no block was never sent.
    pub fn blocks_are_known(&mut self, waiting: usize) {
        for sale in self.waiting.drain(..waiting.min(self.waiting.len())).collect::<Vec<_>>() {
            self.stray(sale.id, sale.state, sale.offset);
        }
    }

    /// How many sales have no block.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Says how far the states' topics were read, everything below having been put in.
    pub fn read_to(&mut self, state: State, next: i64) {
        let read = &mut self.read[state.index()];
        *read = next.max(*read);
    }

    /// How far each state's topic was read.
    pub fn positions(&self) -> [i64; 51] {
        self.read
    }

    /// Where to begin, or to go on, in the topic of a state that now reaches from `beginning` to `end`.
    ///
    /// If that is elsewhere than it was to be, records were deleted before they were read: what is missing of any block
    /// so far may have been there.
    pub fn begin(&mut self, state: State, beginning: i64, end: i64, now_us: i64) -> i64 {
        let next = self.read[state.index()];
        let start = next.clamp(beginning, end.max(beginning));
        self.read[state.index()] = start;
        let counted = &mut self.counted[state.index()];
        *counted = end.min(*counted);
        if start != next {
            tracing::warn!(%state, next, beginning, end, "records were deleted before they were read: blocks until now can't be judged");
            self.suspect_before_us = self.suspect_before_us.max(now_us);
            self.open.values_mut().for_each(Block::suspect);
        }
        start
    }

    /// Whether so many blocks wait for a store that reading should pause.
    pub fn is_full(&self) -> bool {
        self.open.len() > WAITING_BLOCKS
            && self.open.values().filter(|block| block.is_routed()).count() > WAITING_BLOCKS
    }

    fn stray(&mut self, id: SaleId, state: State, offset: i64) {
        if offset >= self.counted[state.index()] {
            self.strays.never_sent += 1;
            self.findings.add(Stage::Routed, Kind::NeverSent, &id.to_string(), &place(state, offset));
        }
    }

    /// Adds to the list what a record turned out to be. The counts are the block's.
    fn note(&mut self, id: SaleId, state: State, offset: i64, seen: Seen, misrouted: bool) {
        if seen == Seen::New && !misrouted {
            return;
        }
        let (id, place) = (id.to_string(), place(state, offset));
        match seen {
            Seen::New => {}
            Seen::Returned => {
                for (stage, kind) in
                    [(Stage::Accepted, Kind::Lost), (Stage::Routed, Kind::Lost), (Stage::Routed, Kind::Rejected)]
                {
                    self.findings.retract(stage, kind, &id);
                }
            }
            Seen::Duplicate => self.findings.add(Stage::Routed, Kind::Duplicate, &id, &place),
            Seen::NeverSent => self.findings.add(Stage::Routed, Kind::NeverSent, &id, &place),
        }
        if misrouted {
            self.findings.add(Stage::Routed, Kind::Misrouted, &id, &place);
        }
    }
}

/// Where a record lies, for the list.
fn place(state: State, offset: i64) -> String {
    format!("topic of {state}, offset {offset}")
}
