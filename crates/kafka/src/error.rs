//! An error of the client's.

use std::fmt;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// What Kafka, or the client, gave as the reason why something can't be done.
#[derive(Debug)]
pub struct Error(KafkaError);

impl From<KafkaError> for Error {
    fn from(err: KafkaError) -> Self {
        Self(err)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.0)
    }
}

/// Whether Kafka refuses this client for good, as a producer or as a member: it was silent for too long, or another one has
/// taken its id. The client has one code for both of a producer's.
pub(crate) fn is_fencing(code: RDKafkaErrorCode) -> bool {
    matches!(code, RDKafkaErrorCode::Fenced | RDKafkaErrorCode::FencedInstanceId)
}
