//! How sales are stored in Redis and in Postgres. Nothing outside of this crate knows.
//!
//! The promise is "effectively once": a sale that Kafka delivers again, to whichever writer, changes nothing. For that
//! the position in Kafka is stored *with* the data. Every write names the position that it starts from; the store
//! compares that with its own and takes all of the part or nothing of it ([`Outcome::Moved`]), in one SQL transaction
//! or one Lua script. So a writer that was paused, replaced or told of an assignment too late does no harm, and nothing
//! here relies on who is a member of which group.
//!
//! A sale that arrives twice all the same (one id at two offsets) never goes unnoticed: Postgres keeps the second in
//! `conflicts`, and in Redis the counter of its block exceeds the bits set.
//!
//! Positions include the Kafka that they count in ([`Error::OtherKafka`]): offsets of an emptied Kafka mean other records. A
//! writer can be told to go on with the new Kafka ([`Adopt`]).
//!
//! Writers and readers connect at their first use, and reconnect after every failure. After [`Error::Unavailable`], the caller
//! decides when to try again; after [`Error::TooMuch`], it must ask for less. Every wait inside has a limit.

mod batch;
mod error;
mod position;
pub mod postgres;
pub mod redis;
mod shell;
#[cfg(test)]
#[path = "../../petstore/tests/strange/mod.rs"]
mod strange;

pub use batch::{Outcome, Part, Record};
pub use error::Error;
pub use petstore::MAX_INDEX;
pub use position::{Counts, Listed, Partition, Positions};

/// A store that sales are written to. Several writers may write at once, even to the same partitions: the stored positions
/// decide which of them succeeds.
pub trait Store: Send {
    /// The command that deletes everything that the store holds, for a person who has to start over.
    fn reset(&self) -> String;

    /// Reads where the store is in each of `partitions`, 0 where it never was.
    fn positions(&mut self, partitions: &[Partition]) -> impl Future<Output = Result<Vec<i64>, Error>> + Send;

    /// Writes each part whose `expected` is the stored position. Returns the outcome of each part.
    ///
    /// A partition must not be in `parts` twice. After an error, some parts may have been written; if so, writing them again
    /// returns [`Outcome::Moved`] with their own `next`.
    fn write(&mut self, parts: &[Part]) -> impl Future<Output = Result<Vec<Outcome>, Error>> + Send;
}

/// A store that can go on with another Kafka: its rows stay, its positions are dropped.
pub trait Adopt: Store {
    /// In one step, replaces all positions that belong to the Kafka `stored` by 0 in the writer's own. False if there are none,
    /// because another writer was first.
    ///
    /// `stored` must be older than the writer's Kafka, or positions that are still valid are lost. That is certain if
    /// `stored` was read from the store ([`Error::OtherKafka`]) before Kafka itself was last asked which one it is.
    fn adopt(&mut self, stored: &str) -> impl Future<Output = Result<bool, Error>> + Send;
}
