//! Blocks as the model generates them, kept while they are in use.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Context;
use petstore::{BlockId, Parameters, Sale, SaleId};

use super::{Chains, Truth};

pub(crate) type Generate = Box<dyn FnMut(&Parameters, BlockId) -> anyhow::Result<Vec<Sale>> + Send>;

/// Sales of all blocks that are kept: 37 bytes each where content is compared, so some 48 MB. A block that is needed
/// again is generated again, which takes milliseconds.
const KEPT_SALES: usize = 1_300_000;

/// Generates blocks, and keeps those last used.
pub(crate) struct Truths {
    generate: Generate,
    kept: HashMap<BlockId, Kept>,
    /// Of all that are kept.
    sales: usize,
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
        Self::new(Chains::default().generate())
    }
}

impl Truths {
    pub(crate) fn new(generate: Generate) -> Self {
        Self { generate, kept: HashMap::new(), sales: 0, uses: 0 }
    }

    /// What a block holds; `content`: whether bodies are to be compared. Asked for with another answer, the first counts
    /// for as long as the block is kept.
    pub(crate) fn of(&mut self, id: BlockId, parameters: &Parameters, content: bool) -> anyhow::Result<Arc<Truth>> {
        self.uses += 1;
        if let Some(kept) = self.kept.get_mut(&id) {
            kept.used = self.uses;
            return Ok(Arc::clone(&kept.truth));
        }
        let sales = (self.generate)(parameters, id).with_context(|| format!("generating block {id} again"))?;
        let truth = Arc::new(Truth::new(id, &sales, content));
        self.make_room(truth.len());
        self.sales += truth.len();
        self.kept.insert(id, Kept { truth: Arc::clone(&truth), used: self.uses });
        Ok(truth)
    }

    /// One sale, whole. Generates its block again: for the few that are shown.
    pub(crate) fn sale(&mut self, id: SaleId, parameters: &Parameters) -> Option<Sale> {
        let mut sales = (self.generate)(parameters, id.block_id()).ok()?;
        let at = id.index as usize;
        (at < sales.len()).then(|| sales.swap_remove(at))
    }

    fn make_room(&mut self, wanted: usize) {
        while self.sales + wanted > KEPT_SALES
            && let Some(oldest) = self.kept.iter().min_by_key(|(_, kept)| kept.used).map(|(id, _)| *id)
        {
            self.forget(oldest);
        }
    }

    pub(crate) fn forget(&mut self, id: BlockId) {
        if let Some(kept) = self.kept.remove(&id) {
            self.sales -= kept.truth.len();
        }
    }
}
