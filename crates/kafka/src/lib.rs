//! The only place that calls librdkafka: its clients and their settings, the topics and what is on them, and the
//! exactly-once loop.
//!
//! Programs ask for what they want ([`Member`], [`Logs`], [`exactly_once::run`]), and their sources name neither the binding
//! nor a setting of librdkafka: each setting here answers a failure that was met elsewhere, with the reason beside it.
//!
//! What two programs must agree on about Kafka has its home here too: topic names ([`Names`]), the header of a sale
//! ([`SaleHeader`]), the account of blocks ([`blocks`]), and the mark by which a store knows that Kafka was emptied
//! ([`Installation`]), which every program watches ([`Watch`]).

mod address;
mod admin;
mod asker;
mod batches;
mod block_entry;
pub mod blocks;
mod bulk;
mod committed;
mod config;
mod contact;
mod dispose;
mod error;
pub mod exactly_once;
mod fit;
mod flush;
mod forward;
mod guard;
mod header;
mod headers;
mod installation;
mod log_reader;
mod logs;
mod member;
mod metadata;
mod names;
mod offsets;
mod partitions;
mod producer;
mod queue;
mod range_check;
mod ranges;
mod read;
mod record;
pub mod results;
pub mod task;
mod topics;
pub mod transactions;
mod watch;

pub use address::{BootstrapServers, Prefix};
pub use admin::Admin;
pub use asker::Asker;
pub use batches::Batches;
pub use block_entry::BlockEntry;
pub use bulk::BulkProducer;
pub use committed::Committed;
pub use config::{Config, Copies, RetentionBytes, SalesPartitions, TransactionInterval, transaction_interval};
pub use contact::Contact;
pub use error::Error;
pub use flush::flush;
pub use guard::guard;
pub use header::{Malformed, SaleHeader};
pub use headers::Headers;
pub(crate) use headers::raw_headers;
pub use installation::Installation;
pub use log_reader::{LogReader, Next, ReadParts, read_parts};
pub use logs::{Logs, Part};
pub use member::{Member, Membership, Polled};
pub use metadata::{Broker, Metadata, PartitionMetadata};
pub use names::Names;
pub use partitions::Partition;
pub use pipeline::Topic;
pub use producer::{Batching, Compression, Deliveries, Linger, NotSent, Producer};
pub use queue::send;
pub use range_check::{Beyond, Checked, Gap, RangeCheck};
pub use ranges::Ranges;
pub use read::read_committed;
pub use record::Record;
pub use watch::Watch;
