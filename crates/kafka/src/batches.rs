//! Some records at a time, in one transaction each: all of them are there, or none.

use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use crate::dispose::Disposed;
use crate::transactions::{END_LIMIT, connect};
use crate::{Config, flush, send};

/// Writes to one topic, and is the only one that can under its transactional id.
///
/// After an error it is of no more use: whether a commit that failed came to pass after all, nobody knows, and only a
/// new writer of the same id settles it.
pub struct Batches {
    topic: String,
    producer: Disposed<BaseProducer>,
}

impl Batches {
    /// Connects; an older writer of this id is fenced, and its transaction settled, when this returns. Blocks.
    pub fn connect(config: &Config, id: &str, topic: String) -> anyhow::Result<Self> {
        Ok(Self { topic, producer: connect(config, id)? })
    }

    /// Writes all of these keys and values, or nothing; a key without a value is removed from a compacted topic. Blocks.
    pub fn write<'a>(&self, records: impl IntoIterator<Item = (&'a str, Option<&'a [u8]>)>) -> Result<(), KafkaError> {
        self.producer.begin_transaction()?;
        for (key, value) in records {
            let mut record: BaseRecord<'_, str, [u8]> = BaseRecord::to(&self.topic).key(key);
            record.payload = value;
            send(&self.producer, record)?;
        }
        flush(&self.producer, END_LIMIT)?;
        self.producer.commit_transaction(END_LIMIT)
    }

    /// Whether the client gave up for good, as it does when a newer writer of its id has fenced it.
    pub fn has_given_up(&self) -> bool {
        self.producer.client().fatal_error().is_some()
    }
}
