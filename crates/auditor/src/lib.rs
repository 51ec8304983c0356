//! The account of every sale: what was acknowledged, where it was found, and who lost it.
//!
//! The auditor trusts nobody's counters. The loaders say on `kapture.blocks` what Kafka acknowledged to them; what a
//! block held is generated again from its parameters; where it is found the auditor sees for itself: it reads every
//! state's topic, and asks Redis and Postgres block by block.
//!
//! "Lost" is never a matter of time. A sale is late until the stage has provably passed it; see [`ledger`].
//!
//! What it cannot see in this version: that a sale was altered on its way, or that the order changed.

pub mod bits;
pub mod block;
pub mod check;
mod config;
pub mod findings;
pub mod ledger;
pub mod live;
pub mod order;
pub mod record;
pub mod source;
mod store;
pub mod truth;

pub use config::{Config, Stores};
pub use store::Store;
