//! The chains of pet stores that blocks are generated from again, by what their reservation tells, never by what this program
//! was given.

use std::collections::HashMap;

use anyhow::Context;
use petstore::{BlockId, Parameters, Petstore, Sale};

use super::Generate;

/// Parameters in use at once: one, and for a while two, after an upgrade that changed them.
const CHAINS: usize = 8;

/// See the module.
#[derive(Default)]
pub(crate) struct Chains(HashMap<Parameters, Petstore>);

impl Chains {
    pub(crate) fn block(&mut self, parameters: &Parameters, id: BlockId) -> anyhow::Result<Vec<Sale>> {
        if !self.0.contains_key(parameters) {
            if self.0.len() >= CHAINS {
                self.0.clear();
            }
            let chain = Petstore::new(parameters.clone()).with_context(|| format!("generating block {id}"))?;
            self.0.insert(parameters.clone(), chain);
        }
        Ok(self.0.get(parameters).map(|chain| chain.block(id)).unwrap_or_default())
    }

    pub(crate) fn generate(mut self) -> Generate {
        Box::new(move |parameters, id| self.block(parameters, id))
    }
}
