//! The chain of pet stores, and the model that generates its sales.
//!
//! A block of sales is a pure function of its [`Parameters`], the loader and the block's number, the
//! same on every machine: there is no I/O here, no clock, no thread and no state that outlives a
//! call, and floats are computed only by operations whose result is fixed to the bit. So to know what
//! a loader sent, generate the block again and compare [`digest`]s: no bug of the pipeline can falsify
//! that.
//!
//! The model is `BigPetStore`'s (R. J. Nowling, J. Vyas, "A Domain-Driven, Generative Data Model for
//! `BigPetStore`", IEEE `BDCloud` 2014): customers buy for their pets before the food runs out. Where its
//! published versions differ, the modules of the model describe what is done here.
//!
//! ```
//! use petstore::{BlockId, Parameters, Petstore, Sale, digest};
//!
//! let petstore = Petstore::new(Parameters { days: 30, ..Parameters::default() })?;
//! let block = petstore.block(BlockId { run: 0x9f3a_1c22, loader: 0, block: 3 });
//!
//! let (sent, mut body) = (block.get(7).ok_or("a month has more sales")?, Vec::new());
//! sent.write_json(&mut body);
//! let received: Sale = serde_json::from_slice(&body)?;
//! assert_eq!(received.id.to_string(), "9f3a1c22/0/3/7");
//! assert_eq!(digest(&received), sent.digest());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod compact;
mod ids;
mod model;
mod parameters;
mod sale;
mod sale_ref;
mod state;
mod valid;

pub use ids::{BlockId, ParseIdError, SaleId};
pub use model::{Block, Generated, Petstore};
pub use parameters::{
    COHORT, CUSTOMERS, DAYS, GREATEST_SEED, HOT_STORE, MODEL, Parameters, ParametersError, SKEW, STORES,
};
pub use sale::{Customer, Item, Pets, Receipt, Sale, Store, digest, receipt_digest};
pub use sale_ref::SaleRef;
pub use state::{ParseStateError, State};
pub use valid::{
    Invalid, MAX_DUE_US, MAX_HEADERS_BYTES, MAX_INDEX, MAX_KEY_BYTES, MAX_SALE_BYTES, check_due, check_sizes, from_json,
};
