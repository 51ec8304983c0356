//! All that the live auditor knows: every block, open or done, and what was found wrong. Pure.
//!
//! One [`Audit`] behind one lock. The reader puts in what it reads ([`Audit::record`], [`Audit::sale`]); the judge
//! proves that the fan-out has passed something ([`routed`]), or the spout ([`returned`]), looks up where a fault was
//! made ([`origins`]), and closes what is done ([`checkpoint`]); the stores are asked meanwhile ([`storage`]); the API reads
//! the account ([`account`]).

mod account;
pub(crate) mod bits;
pub(crate) mod block;
mod checkpoint;
mod done;
mod entry;
pub(crate) mod findings;
mod gone;
#[cfg(test)]
mod gone_tests;
#[cfg(test)]
mod memory_tests;
pub(crate) mod order;
mod origins;
mod pace;
mod reading;
pub(crate) mod record;
mod remarks;
mod reserved;
#[cfg(test)]
mod restart_tests;
mod returned;
mod routed;
mod sampling;
mod silence;
pub(crate) mod source;
mod storage;
mod strangers;
#[cfg(test)]
pub(crate) mod tests;
mod waiting;

use std::collections::{BTreeMap, HashMap};

use kafka::blocks::BlockRecord;
use petstore::{BlockId, SaleId};
use pipeline::PerStage;

pub(crate) use account::Account;
use checkpoint::Lasting;
pub(crate) use checkpoint::Restoring;
pub(crate) use done::{BlockSet, Done, Late};
pub(crate) use entry::Entry;
pub(crate) use gone::{Gone, HeldByStores};
pub(crate) use origins::{Case, Evidence, Origin};
pub(crate) use reading::{Rejected, Unknown};
pub(crate) use returned::Unreturned;
pub(crate) use routed::{Missing, Suspects};
pub(crate) use storage::{Asked, Held, STORES};

use crate::audit::block::{Behind, Block, Seen};
use crate::audit::findings::{Kind, Stage};
use crate::audit::order::Order;
use crate::audit::record::Record;
use crate::audit::source::{Positions, Source};
use crate::model::{Body, Model, Truths, difference};
use pace::Pace;
use reserved::Reserved;
use sampling::Sampling;
use silence::Silence;
use waiting::Waiting;

/// Open blocks that may wait for a store before reading pauses: about 4 KB each, so 50 MB.
const WAITING_BLOCKS: usize = 12_000;

/// The stages whose topics the auditor reads itself. What there is one of for each is in this order.
pub(crate) const READ: [Stage; 2] = [Stage::Routed, Stage::Returned];

/// See the module.
#[derive(Default)]
pub(crate) struct Audit {
    truths: Truths,
    watched: PerStage<bool>,
    sampling: Sampling,
    /// Blocks of which nothing was seen yet.
    reserved: HashMap<BlockId, Reserved>,
    /// The others, until they are done.
    open: HashMap<BlockId, Box<Block>>,
    done: Done,
    /// Blocks whose record or parameters this program does not understand.
    unreadable: BlockSet,
    /// Blocks of another release's model.
    others: BlockSet,
    waiting: Waiting,
    /// At routed and at returned.
    order: [Order; 2],
    /// What an earlier auditor found to be out of order in blocks that are open.
    disorder: HashMap<BlockId, [Behind; 2]>,
    silence: Silence,
    /// Faults whose origin is to be looked up.
    cases: Vec<Case>,
    lasting: Lasting,
    /// All that is read.
    sources: Vec<Source>,
    /// The next offset of each source.
    read: Positions,
    pace: Pace,
    /// Up to where the last checkpoint had counted what belongs to no open block.
    counted: Positions,
    /// Which Kafka this is the account of.
    installation: String,
    /// The accounts of earlier ones, by their names.
    gone: BTreeMap<String, Gone>,
    /// How many Kafkas a store has adopted.
    adopted: u64,
    /// What an earlier auditor wrote could not be read.
    begins_again: bool,
    /// Its keys, until they are removed.
    stale: Vec<String>,
}

impl Audit {
    pub(crate) fn new(watched: PerStage<bool>, model: Box<dyn Model>) -> Self {
        Self {
            truths: Truths::new(model),
            watched,
            done: Done::new(watched[Stage::Returned]),
            sources: Source::all(0),
            lasting: Lasting { suspect_before_us: [i64::MIN; 2], ..Lasting::default() },
            ..Self::default()
        }
    }

    /// Says which logs are read, before any is.
    pub(crate) fn follow(&mut self, sources: Vec<Source>) {
        self.sources = sources;
    }

    /// Takes a block's record from the loaders' account.
    pub(crate) fn record(&mut self, id: BlockId, record: BlockRecord) {
        self.silence.heard(id);
        if self.done.contains(id) {
            return;
        }
        if let Some(block) = self.open.get_mut(&id) {
            block.update(record);
            self.accuse(id, Stage::Routed);
            self.accuse(id, Stage::Returned);
            return;
        }
        if let Some(reserved) = self.reserved.get_mut(&id) {
            reserved.record = record;
            return;
        }
        let number = self.pace.count();
        self.reserved.insert(id, Reserved { number, record, suspect: [false; 2] });
        for waiting::Sale { record, body, .. } in self.waiting.of(id) {
            self.sale(Record { body: Body::new(&body), ..record });
        }
    }

    /// Takes note of a block whose record can't be read: its sales are not judged.
    pub(crate) fn unreadable(&mut self, id: BlockId) {
        if self.done.contains(id) {
            return;
        }
        self.forget(id);
        self.unreadable.insert(id);
    }

    /// Takes note of a block that only another release can generate again: its sales are not judged.
    pub(crate) fn of_another_release(&mut self, id: BlockId) {
        if self.done.contains(id) {
            return;
        }
        self.forget(id);
        self.others.insert(id);
        self.waiting.of(id);
    }

    /// Takes a sale from a state's topic, or a receipt.
    pub(crate) fn sale(&mut self, record: Record<'_>) {
        let id = record.id.block_id();
        let stage = stage(record.source);
        let new = record.offset >= self.counted.at(record.source);
        if self.is_open(id) {
            match self.see(&record, new) {
                Ok(seen) => self.note(stage, &record, &seen, true),
                Err(err) => {
                    tracing::error!("{err:#}");
                    self.unreadable(id);
                }
            }
        } else if self.done.contains(id) {
            // What a checkpoint has counted is read again after a restart.
            if new {
                self.late(stage, &record);
            }
        } else if self.others.contains(id) {
            // Not judged.
        } else if self.unreadable.contains(id) {
            self.lasting.strays[strays(stage)].not_auditable += u64::from(new);
        } else {
            self.waiting.push(&record);
        }
    }

    /// Takes a record of a block that is done.
    fn late(&mut self, stage: Stage, record: &Record<'_>) {
        let id = record.id.block_id();
        let truth = self.done.parameters(id).and_then(|parameters| self.truths.of(id, &parameters, false).ok());
        let length = truth.and_then(|truth| u32::try_from(truth.len()).ok());
        if let Some(Late::Found(kind)) = self.done.late(stage, record.id, length) {
            let seen = Seen { faults: vec![kind], ..Seen::default() };
            self.note(stage, record, &seen, false);
        }
    }

    /// `new`: not read before a restart as well.
    fn see(&mut self, record: &Record<'_>, new: bool) -> anyhow::Result<Seen> {
        self.open(record.id.block_id());
        let Some(block) = self.open.get_mut(&record.id.block_id()) else { return Ok(Seen::default()) };
        self.pace.reach(record.source, block.number);
        let compares = block.compares(|| self.sampling.picks(record.id.block_id()));
        let truth = self.truths.of(record.id.block_id(), &block.record.parameters, compares)?;
        let at = strays(stage(record.source));
        // What was read before is only followed: whether it was out of order is remembered.
        let (order, is_in_order) = (&mut self.order[at], block.record.is_in_order());
        let later = |store| is_in_order.then(|| order.came(record.id, store)).flatten().filter(|_| new);
        Ok(match record.source {
            Source::Receipts(_) => block.come_back(&truth, record, later).unwrap_or_default(),
            _ => block.route(&truth, record, later),
        })
    }

    /// Adds to the list what a record turned out to be. The counts are the block's.
    fn note(&mut self, stage: Stage, record: &Record<'_>, seen: &Seen, is_open: bool) {
        self.accuse(record.id.block_id(), stage);
        if seen.is_back {
            let losing = if stage == Stage::Returned { &[stage][..] } else { &[Stage::Accepted, Stage::Routed] };
            for (stage, kind) in losing.iter().flat_map(|stage| [(*stage, Kind::Lost), (*stage, Kind::Rejected)]) {
                self.lasting.findings.retract(stage, kind, &record.id);
            }
        }
        for kind in &seen.faults {
            let detail = format!("{}{}", place(record), self.reason(stage, record, *kind, &seen.reason));
            self.lasting.findings.add(stage, *kind, &record.id, &detail);
            if stage == Stage::Routed {
                if *kind == Kind::Altered {
                    // It came back so, and `receipts` may have been read earlier.
                    self.lasting.findings.retract(Stage::Returned, Kind::Altered, &record.id);
                }
                self.open_case(record.id, *kind, Evidence::of(record), is_open);
            }
        }
    }

    /// What is wrong with a body, while there is room to show it.
    fn reason(&mut self, stage: Stage, record: &Record<'_>, kind: Kind, reason: &str) -> String {
        let reason = match kind {
            Kind::Altered | Kind::Malformed if !reason.is_empty() => reason.to_owned(),
            Kind::Altered if self.lasting.findings.has_room(stage, kind) => {
                let block = self.open.get(&record.id.block_id());
                let sale = block.and_then(|block| self.truths.sale(record.id, &block.record.parameters));
                let found: serde_json::Value = serde_json::from_slice(record.body.bytes).unwrap_or_default();
                match (sale, stage) {
                    (Some(sale), Stage::Returned) => difference(&sale.receipt(), &found),
                    (Some(sale), _) => difference(&sale, &found),
                    (None, _) => return String::new(),
                }
            }
            _ => return String::new(),
        };
        format!(": {reason}")
    }

    /// Judges sales of a block that seem to be out of order.
    fn accuse(&mut self, id: BlockId, stage: Stage) {
        let seeming = self.open.get(&id).map(|block| block.disordered(stage)).unwrap_or_default();
        for (index, (block, later)) in seeming {
            let (sale, later) = (id.sale(index), BlockId { block, ..id }.sale(later));
            // On the topic of another state it had no order to keep.
            let innocent = match self.open.get(&later.block_id()) {
                Some(block) => block.routed.misrouted.contains(later.index),
                None => self.done.had_misrouted(later.block_id()),
            };
            let Some(block) = self.open.get_mut(&id) else { return };
            if stage == Stage::Returned && innocent {
                block.acquit(index);
                continue;
            }
            block.accuse(stage, index);
            let detail = format!("behind {later}, which is of the same store");
            self.lasting.findings.add(stage, Kind::OutOfOrder, &sale, &detail);
            if stage == Stage::Routed {
                self.open_case(sale, Kind::OutOfOrder, Evidence::Behind(later), true);
            }
        }
    }

    /// Whether nothing more can come of a block, and all of it was found wherever it had to be, or found to be lost.
    pub(crate) fn is_done(&self, id: BlockId) -> bool {
        self.done.contains(id)
    }

    /// Whether so many blocks wait for a store that reading should pause.
    pub(crate) fn is_full(&self) -> bool {
        self.open.len() > WAITING_BLOCKS && self.open.values().filter(|block| block.is_routed).count() > WAITING_BLOCKS
    }

    /// Looks up a sale of the model, whole. `None` if its block isn't open, or doesn't hold it.
    pub(crate) fn model(&mut self, id: SaleId) -> Option<petstore::Sale> {
        self.open(id.block_id());
        let block = self.open.get(&id.block_id())?;
        self.truths.sale(id, &block.record.parameters)
    }
}

/// The stage whose account a source is part of.
fn stage(source: Source) -> Stage {
    match source {
        Source::Receipts(_) => Stage::Returned,
        _ => Stage::Routed,
    }
}

fn strays(stage: Stage) -> usize {
    usize::from(stage == Stage::Returned)
}

/// Where a record is, for the list.
fn place(record: &Record<'_>) -> String {
    format!("{}, offset {}", record.source, record.offset)
}
