//! The chain of pet stores, and the model that generates its sales.
//!
//! A block of sales is a pure function of its [`Parameters`], the loader and the block's number:
//! there is no I/O here, no clock and no state that outlives a call. Whoever wants to know what a
//! loader sent generates the block again and compares: the pipeline can't fool that.

mod ids;
mod model;
mod parameters;
mod sale;
mod state;

pub use ids::{BlockId, ParseIdError, SaleId};
pub use model::Petstore;
pub use parameters::{COHORT, MODEL, Parameters, ParametersError};
pub use sale::{Customer, Item, Pets, Sale, Store, digest};
pub use state::{ParseStateError, State};
