//! Some records at a time, in one transaction each: all of them are there, or none.

use std::time::Duration;

use anyhow::Context;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use crate::transactions::{CALL_LIMIT, INIT_LIMIT};
use crate::{Config, flush};

/// The transaction timeout bounds the wait for Kafka; this bounds the loop if that fails.
const FLUSH_LIMIT: Duration = Duration::from_secs(30);

/// Writes to one topic, and is the only one that can under its transactional id.
///
/// After an error it is of no more use: whether a commit that failed came to pass after all, nobody knows, and only a
/// new writer of the same id settles it.
pub struct Batches {
    topic: String,
    producer: BaseProducer,
}

impl Batches {
    /// Connects; an older writer of this id is fenced, and its transaction settled, when this returns. Blocks.
    pub fn connect(config: &Config, id: &str, topic: String) -> anyhow::Result<Self> {
        let producer: BaseProducer = config.transactional_producer(id).create().context("making the producer")?;
        producer.init_transactions(INIT_LIMIT).context("beginning to use transactions")?;
        Ok(Self { topic, producer })
    }

    /// Writes all of these keys and values, or nothing; a key without a value is removed from a compacted topic. Blocks.
    pub fn write<'a>(&self, records: impl IntoIterator<Item = (&'a str, Option<&'a [u8]>)>) -> Result<(), KafkaError> {
        self.producer.begin_transaction()?;
        for (key, value) in records {
            let mut record: BaseRecord<'_, str, [u8]> = BaseRecord::to(&self.topic).key(key);
            record.payload = value;
            while let Err((err, refused)) = self.producer.send(record) {
                if !matches!(err, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)) {
                    return Err(err);
                }
                record = refused;
                self.producer.poll(Duration::from_millis(1));
            }
        }
        flush(&self.producer, FLUSH_LIMIT)?;
        self.producer.commit_transaction(CALL_LIMIT)
    }

    /// Whether the client gave up for good, as it does when a newer writer of its id has fenced it.
    pub fn has_given_up(&self) -> bool {
        self.producer.client().fatal_error().is_some()
    }
}
