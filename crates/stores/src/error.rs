//! The errors that a caller handles differently: it stops, tries again, or asks for less.

use tokio_postgres::error::SqlState;

/// Why a request to a store failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its positions count in another Kafka, or in this one before it was emptied. Waiting does not help.
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
    /// The store could not be reached, or it returned an error. Whether it carried out the request is unknown.
    #[error("{0:#}")]
    Unavailable(#[from] anyhow::Error),
    /// The request was too large: it ran into a limit of time or of bytes. The same request may do so for ever; smaller ones
    /// make progress.
    #[error("{0:#}")]
    TooMuch(anyhow::Error),
}

impl Error {
    /// Adds what was being done to an error that the caller can recover from.
    pub(crate) fn context(self, what: &str) -> Self {
        match self {
            Self::Unavailable(err) if was_canceled(&err) => Self::TooMuch(err.context(what.to_owned())),
            Self::Unavailable(err) => Self::Unavailable(err.context(what.to_owned())),
            Self::TooMuch(err) => Self::TooMuch(err.context(what.to_owned())),
            Self::OtherKafka { .. } => self,
        }
    }
}

/// Whether Postgres cancelled a statement that took too long.
fn was_canceled(err: &anyhow::Error) -> bool {
    err.chain()
        .filter_map(|cause| cause.downcast_ref::<tokio_postgres::Error>())
        .any(|err| err.code() == Some(&SqlState::QUERY_CANCELED))
}
