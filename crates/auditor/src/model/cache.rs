//! Blocks as the model generates them, kept while they are in use.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Context;
use petstore::{BlockId, Parameters, Sale, SaleId};

use super::{Chains, Truth};

/// Knows what blocks hold, by what they were generated from.
pub(crate) trait Model: Send {
    /// What a block holds; `content`: whether bodies are to be compared.
    fn truth(&mut self, parameters: &Parameters, id: BlockId, content: bool) -> anyhow::Result<Truth>;

    /// One sale, whole, if the block has so many.
    fn sale(&mut self, parameters: &Parameters, id: SaleId) -> anyhow::Result<Option<Sale>>;
}

/// What is kept takes no more than this: some 390 blocks where content is compared, and 2,800 where it isn't. A block that is
/// needed again is generated again, which takes milliseconds: too long for each record of a log in which blocks are mixed, as in
/// `receipts` when the spout goes through a backlog.
const KEPT_BYTES: usize = 48 << 20;

/// Generates blocks, and keeps those last used.
pub(crate) struct Truths {
    model: Box<dyn Model>,
    kept: HashMap<BlockId, Kept>,
    /// What all that are kept take, and may take.
    bytes: usize,
    room: usize,
    /// Counts uses: the least recent one goes first.
    uses: u64,
}

struct Kept {
    truth: Arc<Truth>,
    used: u64,
}

/// Generates them as the model does.
impl Default for Truths {
    fn default() -> Self {
        Self::new(Box::new(Chains::default()))
    }
}

impl Truths {
    pub(crate) fn new(model: Box<dyn Model>) -> Self {
        Self::with_room(model, KEPT_BYTES)
    }

    pub(super) fn with_room(model: Box<dyn Model>, room: usize) -> Self {
        Self { model, kept: HashMap::new(), bytes: 0, room, uses: 0 }
    }

    /// What a block holds; `content`: whether bodies are to be compared. Asked for with another answer, the first counts
    /// for as long as the block is kept.
    pub(crate) fn of(&mut self, id: BlockId, parameters: &Parameters, content: bool) -> anyhow::Result<Arc<Truth>> {
        self.uses += 1;
        if let Some(kept) = self.kept.get_mut(&id) {
            kept.used = self.uses;
            return Ok(Arc::clone(&kept.truth));
        }
        let truth = self.model.truth(parameters, id, content);
        let truth = Arc::new(truth.with_context(|| format!("generating block {id} again"))?);
        self.make_room(truth.bytes());
        self.bytes += truth.bytes();
        self.kept.insert(id, Kept { truth: Arc::clone(&truth), used: self.uses });
        Ok(truth)
    }

    /// One sale, whole. Generates its block again: for the few that are shown.
    pub(crate) fn sale(&mut self, id: SaleId, parameters: &Parameters) -> Option<Sale> {
        self.model.sale(parameters, id).ok()?
    }

    fn make_room(&mut self, wanted: usize) {
        while self.bytes + wanted > self.room
            && let Some(oldest) = self.kept.iter().min_by_key(|(_, kept)| kept.used).map(|(id, _)| *id)
        {
            self.forget(oldest);
        }
    }

    pub(crate) fn forget(&mut self, id: BlockId) {
        if let Some(kept) = self.kept.remove(&id) {
            self.bytes -= kept.truth.bytes();
        }
    }
}
