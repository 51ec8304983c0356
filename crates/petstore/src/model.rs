//! The generative model.

mod block;
mod customers;
mod names;
mod places;
mod products;
mod random;
mod stores;
mod taste;
mod uses;
mod year;

use std::sync::Arc;

pub use self::block::{Block, Generated};
use self::stores::Chain;
use crate::{BlockId, Parameters, ParametersError};

/// The chain of stores, from which any block of sales can be generated.
#[derive(Debug)]
pub struct Petstore {
    parameters: Parameters,
    chain: Arc<Chain>,
}

impl Petstore {
    /// Opens the chain that `parameters` describe.
    pub fn new(parameters: Parameters) -> Result<Self, ParametersError> {
        let parameters = parameters.checked()?;
        let chain = Arc::new(Chain::new(&parameters));
        Ok(Self { parameters, chain })
    }

    /// Returns what this chain was made from.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Generates one block: the sales to one cohort of [`COHORT`](crate::COHORT) customers in one simulated year (of
    /// [`Parameters::days`]), in order of simulated time; a few thousand with the default days.
    ///
    /// The loader's customers are divided into cohorts, which take turns: of c cohorts, block b holds
    /// cohort b mod c in year b div c. A customer is the same person each year; each year is simulated
    /// separately, so that any block can be generated without those before it. Sales at the same second
    /// are ordered by customer, then as the customer made them.
    ///
    /// The run is only copied into the ids: it changes nothing else.
    pub fn block(&self, id: BlockId) -> Block {
        Block::generate(&self.parameters, &self.chain, id)
    }
}
