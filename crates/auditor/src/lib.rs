//! The account of every sale: what was acknowledged, where it was found, and who lost it.
//!
//! The auditor trusts nobody's counters. The loaders publish on `kapture.blocks` what Kafka acknowledged to them; what a
//! block held is generated again from its parameters; where it is found the auditor sees for itself: it reads every
//! state's topic, and asks Redis and Postgres block by block.
//!
//! # What it proves
//!
//! Of every sale that Kafka acknowledged: it is on its state's topic, in every store that is watched, and back on
//! `receipts`; once, with the content that the model gives it, and in the order of its store. Of every sale that was
//! never sent: it is nowhere. What is wrong is named by kind, stage and sale. "Lost" is never a matter of time: a sale is
//! late until the stage has provably passed it; see `audit`.
//!
//! What it has given account of, and Kafka's logs no longer hold, it deletes from Postgres and from `kapture.blocks`.
//!
//! Content is compared of every block while the auditor keeps up, and of one in so many (the account tells of how many)
//! while it doesn't. Memory is bounded whatever happens, also while a store is away for hours: reading pauses then, and what
//! waits in Kafka is judged later. See `model`, `audit::order` and the constants beside each queue. Where Kafka's retention
//! overtakes the auditor, the account tells so in words, and judges the next block that it can.
//!
//! A Kafka that is emptied or replaced takes its logs and this account with it. The auditor that runs then asks the stores once
//! more, writes what it knew to the new Kafka, and ends; the next one has that in its account. What had been acknowledged and
//! is neither on a topic that was read nor in a store is lost.
//!
//! [`recount`] proves the same of all that the logs still hold, from scratch, on a running pipeline as well. It shares with
//! the live account the model, what a store takes, the readers of the protocols and the names of findings. [`helm_test`] is
//! what `helm test` runs: the recount of the newest blocks, with deadlines.
//!
//! # What can still go wrong, and what it can't see
//!
//! - What a log deleted before it was read, or before the auditor's own position, is "not auditable", never lost.
//! - A loader that wrote nothing for two minutes is taken for gone, and its blocks are judged. If it goes on after all, what
//!   it sends of blocks that are done is "unknown".
//! - A block of another release's model is not judged, and counted apart. What Redis may have forgotten is left out there.
//! - Redis only counts: there, what was sold to whom is not compared, and a duplicate names its block, not its sale.
//! - Of a Kafka that was replaced while no auditor ran, nothing is known: a remark tells of it if Postgres was kept. What came back
//!   on `receipts` and had not been read counts as lost there.
//! - A row of Postgres, or a bit of Redis, that is changed after its block is done is seen by a recount only. Of a row, what
//!   is not part of a receipt (topic, offset, due time) is not compared; nor is the due time in a header, which the model
//!   does not know.
//! - A sale that was sent and never acknowledged may be there once: "unknown". Its order is not judged, since a loader that
//!   had been given up for dead may have sent it behind its successor's.
//! - Of a done block's sale that comes again, neither content nor order is judged. Order is forgotten beyond two million
//!   stores times loaders, and where a restart no longer reads what came before: then a sale counts as in order.
//! - Of more faults than some thousand at once, the stage that is named is the one where they were seen, though they may
//!   have been there on `sales`.
//! - Two different contents have the same 64-bit digest once in 10^19.
//! - Anyone who can write to `kapture.blocks` can claim that a sale was never sent.

pub(crate) mod audit;
mod config;
pub mod helm_test;
pub mod live;
pub(crate) mod model;
pub mod recount;
mod store;

/// What is freed in one thread must be there for the others: of glibc's, after a backlog was read, each had a part of the limit.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

pub use config::{Config, Stores};
pub use store::Store;
