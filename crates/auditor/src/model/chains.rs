//! The chains of pet stores that blocks are generated from again, by what their reservation tells, never by what this program
//! was given.

use std::collections::HashMap;

use anyhow::Context;
use petstore::{Block, BlockId, Parameters, Petstore, Sale, SaleId};

use super::{Model, Truth};

/// Parameters in use at once: one, and for a while two, after an upgrade that changed them.
const CHAINS: usize = 8;

/// See the module.
#[derive(Default)]
pub(crate) struct Chains(HashMap<Parameters, Petstore>);

impl Chains {
    pub(crate) fn block(&mut self, parameters: &Parameters, id: BlockId) -> anyhow::Result<Block> {
        if let Some(chain) = self.0.get(parameters) {
            return Ok(chain.block(id));
        }
        if self.0.len() >= CHAINS {
            self.0.clear();
        }
        let chain = Petstore::new(parameters.clone()).with_context(|| format!("generating block {id}"))?;
        Ok(self.0.entry(parameters.clone()).or_insert(chain).block(id))
    }
}

impl Model for Chains {
    fn truth(&mut self, parameters: &Parameters, id: BlockId, content: bool) -> anyhow::Result<Truth> {
        Ok(Truth::new(id, self.block(parameters, id)?.iter(), content))
    }

    fn sale(&mut self, parameters: &Parameters, id: SaleId) -> anyhow::Result<Option<Sale>> {
        Ok(self.block(parameters, id.block_id())?.get(id.index).map(|sale| sale.to_sale()))
    }
}
