//! The account of every sale: what was acknowledged, where it was found, and who lost it.
//!
//! The auditor trusts nobody's counters. The loaders say on `kapture.blocks` what Kafka acknowledged to them; what a
//! block held is generated again from its parameters; where it is found the auditor sees for itself: it reads every
//! state's topic, and asks Redis and Postgres block by block.
//!
//! # What it proves
//!
//! Of every sale that Kafka acknowledged: it is on its state's topic, in every store that is watched, and back on
//! `receipts`; once, with the content that the model gives it, and in the order of its store. Of every sale that was
//! never sent: it is nowhere. What is wrong is named by kind, stage and sale. "Lost" is never a matter of time: a sale is
//! late until the stage has provably passed it; see [`ledger`].
//!
//! What it has given account of, and Kafka's logs no longer hold, it deletes from Postgres and from `kapture.blocks`.
//!
//! Content is compared of every block while the auditor keeps up, and of one in so many (the account says of how many)
//! while it doesn't. Memory is bounded whatever happens, also while a store is away for hours: reading pauses then, and what
//! waits in Kafka is judged later. See [`truth`], [`order`] and the constants beside each queue. Where Kafka's retention
//! overtakes the auditor, it says so in words, and judges the next block that it can.
//!
//! [`recount`] says the same of all that the logs still hold, from scratch, on a running pipeline as well. It shares with
//! the live account the model, what a store takes, the readers of the protocols and the names of findings. [`check`] is
//! what `helm test` runs: the recount of the newest blocks, with deadlines.
//!
//! # What can still go wrong, and what it can't see
//!
//! - What a log deleted before it was read, or before the auditor's own position, is "not auditable", never lost.
//! - A loader that said nothing for two minutes is taken for gone, and its blocks are judged. If it goes on after all, what
//!   it sends of blocks that are done is "unknown".
//! - A block of another release's model is not judged, and counted apart. What Redis may have forgotten is left out there.
//! - Redis only counts: there, what was sold to whom is not compared, and a duplicate names its block, not its sale.
//! - A row of Postgres, or a bit of Redis, that is changed after its block is done is seen by a recount only. Of a row, what
//!   is no part of a receipt (topic, offset, due time) is not compared; nor is the due time in a header, which no model
//!   knows.
//! - A sale that was sent and never acknowledged may be there once: "unknown". Its order is not judged, since a loader that
//!   had been given up for dead may have sent it behind its successor's.
//! - Of a done block's sale that comes again, neither content nor order is judged. Order is forgotten beyond two million
//!   stores times loaders, and where a restart no longer reads what came before: then a sale passes for being in order.
//! - Of more faults than some thousand at once, the stage that is named is the one where they were seen, though they may
//!   have been there on `sales`.
//! - Two different contents have the same 64-bit digest once in 10^19.
//! - Whoever can write to `kapture.blocks` can say that a sale was never sent.

pub mod bits;
pub mod block;
pub mod check;
mod config;
pub mod findings;
pub mod ledger;
pub mod live;
pub mod order;
pub mod record;
pub mod recount;
pub mod source;
mod store;
pub mod truth;

pub use config::{Config, Stores};
pub use store::Store;
