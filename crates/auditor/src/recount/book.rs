//! What was found of each sale, stage by stage. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use kafka::SaleHeader;
use kafka::blocks::BlockRecord;
use petstore::{Block, BlockId, Generated, Receipt, Sale, SaleId, SaleRef, State};
use pipeline::PerStage;
use stores::postgres::Conflict;

use super::account::Account;
use crate::audit::bits::Bits;
use crate::audit::findings::Stage;

/// Records that are not a sale, and blocks that the account did not have, that are remembered one by one.
const ODD: usize = 10_000;

/// The blocks of one pass.
pub(super) struct Book<'a> {
    /// The account at the cut.
    account: &'a Account,
    pub(super) watched: PerStage<bool>,
    /// How long Redis keeps a block.
    pub(super) redis_keeps_us: i64,
    pub(super) blocks: BTreeMap<BlockId, Page>,
    /// Whether what belongs to no block is noted: once is enough.
    is_first: bool,
    /// Bodies, with the header's state, that differ from the model: by sale, as they are on `sales`.
    pub(super) odd_on_sales: HashMap<SaleId, Vec<(Vec<u8>, State)>>,
    /// The same on the states' topics, with the topic.
    pub(super) odd_on_states: HashMap<SaleId, Vec<(Vec<u8>, State, State)>>,
    /// Sales of blocks that had not been reserved at the cut, by where they were found.
    pub(super) strangers: BTreeMap<(Stage, BlockId), Strangers>,
    /// The states' topics in which sales were found that are judged.
    pub(super) topics: BTreeSet<State>,
    /// Records without a sale's header: their places.
    pub(super) garbage: Vec<(Stage, String, String)>,
    pub(super) rejected: u64,
    /// The highest sale of each loader and store so far.
    order: HashMap<(Stage, u32, u32, u32), SaleId>,
    /// The latest time at which a log that has lost its beginning now begins, if there is one: unix time, microseconds.
    begins_us: Option<i64>,
    /// The blocks that are set aside, since a log no longer reaches back to them.
    pub(super) beyond: Vec<BlockId>,
    pub(super) conflicts: Vec<Conflict>,
}

/// Sales of one block that had not been reserved at the cut.
#[derive(Clone, Debug, Default)]
pub(super) struct Strangers {
    seen: Bits,
    /// Those that came again, once for each time.
    again: Vec<u32>,
}

impl Strangers {
    /// Each sale, as often as it came.
    pub(super) fn all(&self) -> Vec<u32> {
        self.seen.to_ranges().iter().chain(self.again.iter().copied()).collect()
    }
}

/// One block.
pub(super) struct Page {
    pub(super) record: BlockRecord,
    pub(super) sales: Vec<Line>,
    /// Sales that came again to Redis and to Postgres.
    pub(super) repeated: [u64; 2],
    /// Indices beyond the block in a store.
    pub(super) outside: Vec<(Stage, u32)>,
}

impl Page {
    /// Whether a sale can be judged: it was acknowledged at the cut, or nothing more came of its block then.
    pub(super) fn judges(&self, index: u32) -> bool {
        self.record.phase.is_final() || self.record.acknowledged.contains(index)
    }

    fn due_s(&self) -> impl Iterator<Item = u32> {
        let judged = (0..).zip(&self.sales).filter(|(index, line)| self.judges(*index) && line.due_s > 0);
        judged.map(|(_, line)| line.due_s)
    }
}

/// One sale.
#[derive(Clone, Debug)]
pub(super) struct Line {
    state: State,
    store: u32,
    digest: u64,
    receipt: u64,
    /// When it was due: unix time, seconds; 0 if it was not found on a topic.
    pub(super) due_s: u32,
    /// How often it is on `sales`, as the fan-out takes it; on the states' topics; on `receipts`.
    pub(super) on_sales: u8,
    pub(super) routed: u8,
    pub(super) returned: u8,
    /// How often it is on the states' topics in a form that a sink takes.
    pub(super) storable: u8,
    flags: u16,
}

/// What else is known of a sale.
#[derive(Clone, Copy, Debug)]
#[repr(u16)]
pub(super) enum Flag {
    /// It is on `sales.rejected`.
    Rejected = 1,
    /// A record of it on `sales` is not what was sent.
    Spoilt = 1 << 1,
    /// It is on another state's topic.
    Misrouted = 1 << 2,
    Cached = 1 << 3,
    Stored = 1 << 4,
    AlteredStored = 1 << 5,
    AlteredReturned = 1 << 6,
    LateOnSales = 1 << 7,
    LateRouted = 1 << 8,
    LateReturned = 1 << 9,
    /// Its body on `receipts` is not a receipt.
    BrokenReturned = 1 << 10,
    /// It was altered when it was routed.
    AlteredRouted = 1 << 11,
}

impl Line {
    pub(super) fn has(&self, flag: Flag) -> bool {
        self.flags & flag as u16 != 0
    }

    /// The state that it belongs to.
    pub(super) fn state(&self) -> State {
        self.state
    }

    /// Whether that is what was sent.
    pub(super) fn is(&self, sale: &Sale) -> bool {
        petstore::digest(sale) == self.digest
    }

    fn due(&mut self, due_us: i64) {
        self.due_s = u32::try_from(due_us / 1_000_000).unwrap_or_default();
    }

    fn set(&mut self, flag: Flag) {
        self.flags |= flag as u16;
    }
}

/// A record as it was read.
#[derive(Clone, Copy)]
pub(super) struct Record<'a> {
    pub(super) header: SaleHeader,
    pub(super) body: &'a [u8],
}

impl<'a> Book<'a> {
    pub(super) fn new(account: &'a Account, watched: PerStage<bool>, redis_keeps_us: i64, is_first: bool) -> Self {
        Self {
            account,
            watched,
            redis_keeps_us,
            blocks: BTreeMap::new(),
            is_first,
            odd_on_sales: HashMap::new(),
            odd_on_states: HashMap::new(),
            strangers: BTreeMap::new(),
            topics: BTreeSet::new(),
            garbage: Vec::new(),
            rejected: 0,
            order: HashMap::new(),
            begins_us: None,
            beyond: Vec::new(),
            conflicts: Vec::new(),
        }
    }

    /// Opens a block with the sales that the model generates for it.
    pub(super) fn open(&mut self, id: BlockId, record: BlockRecord, block: &Block) {
        let line = |sale: Generated<'_>| Line {
            state: sale.state(),
            store: sale.store().id,
            digest: sale.digest(),
            receipt: sale.receipt_digest(),
            due_s: 0,
            on_sales: 0,
            routed: 0,
            returned: 0,
            storable: 0,
            flags: 0,
        };
        let sales = block.iter().map(line).collect();
        self.blocks.insert(id, Page { record, sales, repeated: [0; 2], outside: Vec::new() });
    }

    /// The first and the last due time of what is judged, if anything of it was found: unix time, seconds.
    pub(super) fn span_s(&self) -> Option<(u32, u32)> {
        let due = || self.blocks.values().flat_map(Page::due_s);
        due().min().zip(due().max())
    }

    /// The time before which none of the sales was sent: unix time, microseconds.
    pub(super) fn since_us(&self) -> i64 {
        self.blocks.values().map(|page| page.record.reserved_at_us).min().unwrap_or(0)
    }

    /// Notes when a log that has lost its beginning now begins, if there is one.
    pub(super) fn begin_at(&mut self, time_us: Option<i64>) {
        self.begins_us = self.begins_us.max(time_us);
    }

    /// Sets aside what was reserved before a log begins.
    pub(super) fn set_aside(&mut self) {
        let begins_us = self.begins_us;
        let beyond = self.blocks.extract_if(.., |_, page| Some(page.record.reserved_at_us) < begins_us);
        self.beyond.extend(beyond.map(|(id, _)| id));
    }

    fn line(&mut self, stage: Stage, id: SaleId) -> Option<&mut Line> {
        if !self.blocks.contains_key(&id.block_id()) {
            self.stranger(stage, id);
            return None;
        }
        let page = self.blocks.get_mut(&id.block_id())?;
        let index = id.index as usize;
        if index >= page.sales.len() && page.outside.len() < ODD {
            page.outside.push((stage, id.index));
        }
        page.sales.get_mut(index)
    }

    /// Notes a sale whose block had not been reserved at the cut: whether it was since, the later account tells.
    fn stranger(&mut self, stage: Stage, id: SaleId) {
        let key = (stage, id.block_id());
        if !self.is_first
            || self.account.has_reserved(id.block_id())
            || (self.strangers.len() >= ODD && !self.strangers.contains_key(&key))
        {
            return;
        }
        let strangers = self.strangers.entry(key).or_default();
        // No writer goes beyond; an index of somebody else's must not cost its size in memory.
        let index = id.index.min(stores::MAX_INDEX + 1);
        if !strangers.seen.insert(index) && strangers.again.len() < ODD {
            strangers.again.push(index);
        }
    }

    /// Notes a record without a sale's header.
    pub(super) fn garbage(&mut self, stage: Stage, place: String, reason: String) {
        if self.is_first && self.garbage.len() < ODD {
            self.garbage.push((stage, place, reason));
        }
    }

    /// Takes a record from `sales`.
    pub(super) fn accepted(&mut self, Record { header: SaleHeader { id, state, due_us }, body }: Record<'_>) {
        let Some(line) = self.line(Stage::Accepted, id) else { return };
        let sale = petstore::from_json::<Sale>(body).ok();
        let passes = SaleRef::parse(body).is_ok_and(|sale| sale.id == id && sale.store.state == state);
        let right = sale.is_some_and(|sale| petstore::digest(&sale) == line.digest) && state == line.state;
        let (store, first) = (line.store, line.on_sales == 0);
        line.due(due_us);
        if !right {
            line.set(Flag::Spoilt);
        }
        if passes {
            line.on_sales = line.on_sales.saturating_add(1);
        }
        if passes && first && self.is_late(Stage::Accepted, id, store) {
            self.flag(id, Flag::LateOnSales);
        }
        if !right && self.odd_on_sales.len() < ODD {
            self.odd_on_sales.entry(id).or_default().push((body.to_vec(), state));
        }
    }

    /// Takes a record from the topic of a state. Whether the sale is judged: what comes after must pass it, too.
    pub(super) fn routed(
        &mut self,
        topic: State,
        Record { header: SaleHeader { id, state, due_us }, body }: Record<'_>,
    ) -> bool {
        let Some(line) = self.line(Stage::Routed, id) else { return false };
        let sale = petstore::from_json::<Sale>(body).ok().filter(|sale| sale.id == id);
        let (home, store, first) = (line.state, line.store, line.routed == 0);
        let right = sale.as_ref().is_some_and(|sale| petstore::digest(sale) == line.digest);
        line.due(due_us);
        line.routed = line.routed.saturating_add(1);
        let altered = sale.is_some() && (!right || (state != home && topic == home));
        if sale.is_some_and(|sale| stores::Record::new(sale, 0, 0).is_ok()) {
            line.storable = line.storable.saturating_add(1);
        }
        if topic != home {
            line.set(Flag::Misrouted);
        }
        if altered {
            line.set(Flag::AlteredRouted);
        }
        if topic == home && first && self.is_late(Stage::Routed, id, store) {
            self.flag(id, Flag::LateRouted);
        }
        if (!right || altered || topic != home) && self.odd_on_states.len() < ODD {
            self.odd_on_states.entry(id).or_default().push((body.to_vec(), state, topic));
        }
        let judged = self.blocks.get(&id.block_id()).is_some_and(|page| page.judges(id.index));
        if judged {
            self.topics.insert(topic);
        }
        judged
    }

    /// Takes a record from `sales.rejected`.
    pub(super) fn rejected(&mut self, id: Option<SaleId>) {
        self.rejected += u64::from(self.is_first);
        if let Some(id) = id {
            self.flag(id, Flag::Rejected);
        }
    }

    /// Takes a record from `receipts`.
    pub(super) fn returned(&mut self, Record { header: SaleHeader { id, .. }, body }: Record<'_>) {
        let Some(line) = self.line(Stage::Returned, id) else { return };
        let receipt = petstore::from_json::<Receipt>(body).ok().filter(|receipt| receipt.id == id);
        match receipt {
            None => line.set(Flag::BrokenReturned),
            Some(receipt) if petstore::receipt_digest(&receipt) == line.receipt => {}
            Some(_) => line.set(Flag::AlteredReturned),
        }
        let (store, first, misrouted) = (line.store, line.returned == 0, line.has(Flag::Misrouted));
        line.returned = line.returned.saturating_add(1);
        // The states' topics were read before.
        if first && !misrouted && self.is_late(Stage::Returned, id, store) {
            self.flag(id, Flag::LateReturned);
        }
    }

    /// Takes a row of Postgres.
    pub(super) fn stored(&mut self, id: SaleId, digest: u64, receipt: Option<&Receipt>) {
        let Some(page) = self.blocks.get_mut(&id.block_id()) else { return };
        let Some(line) = page.sales.get_mut(id.index as usize) else {
            page.outside.push((Stage::Stored, id.index));
            return;
        };
        line.set(Flag::Stored);
        let right =
            digest == line.digest && receipt.is_some_and(|receipt| petstore::receipt_digest(receipt) == line.receipt);
        if !right {
            line.set(Flag::AlteredStored);
        }
    }

    /// Takes a bit of Redis.
    pub(super) fn cached(&mut self, id: SaleId) {
        let Some(page) = self.blocks.get_mut(&id.block_id()) else { return };
        match page.sales.get_mut(id.index as usize) {
            Some(line) => line.set(Flag::Cached),
            None => page.outside.push((Stage::Cached, id.index)),
        }
    }

    fn flag(&mut self, id: SaleId, flag: Flag) {
        if let Some(line) = self.blocks.get_mut(&id.block_id()).and_then(|page| page.sales.get_mut(id.index as usize)) {
            line.set(flag);
        }
    }

    /// Whether a later sale of the same loader and store came before.
    fn is_late(&mut self, stage: Stage, id: SaleId, store: u32) -> bool {
        let last = self.order.entry((stage, id.run, id.loader, store)).or_insert(id);
        let late = id < *last;
        *last = id.max(*last);
        late
    }
}
