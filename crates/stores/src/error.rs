//! What a caller must tell apart: try again, or stop.

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its positions count in another Kafka, or in this one before it was emptied. Waiting mends nothing.
    #[error(
        "the positions in {store} belong to another Kafka, or to this one before it was emptied \
         (they say {stored}, Kafka says {kafka}): what {store} holds can't be continued. \
         To begin anew, delete what it holds: {reset}"
    )]
    OtherKafka {
        /// Which store, with its address.
        store: String,
        /// The Kafka that the store knows.
        stored: String,
        /// The Kafka that is there.
        kafka: String,
        /// The command that deletes what the store holds.
        reset: String,
    },
    /// It could not be reached, took too long or refused. Whether it did what it was asked is not known.
    #[error("{0:#}")]
    Unavailable(#[from] anyhow::Error),
}
