//! What a caller must tell apart: try again, try less, or stop.

use tokio_postgres::error::SqlState;

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
    /// It could not be reached or refused. Whether it did what it was asked is not known.
    #[error("{0:#}")]
    Unavailable(#[from] anyhow::Error),
    /// It was asked for more than it does at once: a limit of time or of bytes ended the call. Asked again for the same
    /// it may end so for ever; asked for less it makes progress.
    #[error("{0:#}")]
    TooMuch(anyhow::Error),
}

impl Error {
    /// Puts what was being done in front of an error that need not be the end.
    pub(crate) fn context(self, what: &str) -> Self {
        match self {
            Self::Unavailable(err) if was_canceled(&err) => Self::TooMuch(err.context(what.to_owned())),
            Self::Unavailable(err) => Self::Unavailable(err.context(what.to_owned())),
            Self::TooMuch(err) => Self::TooMuch(err.context(what.to_owned())),
            Self::OtherKafka { .. } => self,
        }
    }
}

/// Whether Postgres ended a statement because it took too long.
fn was_canceled(err: &anyhow::Error) -> bool {
    err.chain()
        .filter_map(|cause| cause.downcast_ref::<tokio_postgres::Error>())
        .any(|err| err.code() == Some(&SqlState::QUERY_CANCELED))
}
