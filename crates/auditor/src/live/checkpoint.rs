//! Results and checkpoint on `kapture.audit`, each written whole in one Kafka transaction.

use std::time::Duration;

use anyhow::Context;
use kafka::transactions::{CALL_LIMIT, INIT_LIMIT};
use kafka::{flush, read_to_end};
use rdkafka::Message;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use crate::ledger::{Entry, Ledger};

/// Reading the whole topic, which is compacted.
const READ_LIMIT: Duration = Duration::from_mins(1);
/// Sending some thousand small records.
const FLUSH_LIMIT: Duration = Duration::from_secs(10);

/// Puts into the ledger what an earlier auditor wrote; true if there was a checkpoint.
pub(super) fn restore(kafka: &kafka::Config, ledger: &mut Ledger) -> anyhow::Result<bool> {
    let mut checkpoint = None;
    read_to_end(kafka, &kafka.names().audit(), READ_LIMIT, |message| {
        if let (Some(key), Some(value)) = (message.key(), message.payload()) {
            let key = str::from_utf8(key).context("reading a key of the audit")?;
            checkpoint = ledger.restore(key, value)?.or(checkpoint.take());
        }
        Ok(())
    })?;
    let found = checkpoint.is_some();
    if let Some(checkpoint) = checkpoint {
        ledger.resume(checkpoint);
    }
    Ok(found)
}

/// Writes checkpoints; a newer auditor fences it.
pub(super) struct Writer {
    kafka: kafka::Config,
    producer: Option<BaseProducer>,
}

impl Writer {
    /// Connects when it is used, and anew after every error: of a commit that failed, nobody knows whether it did.
    pub(super) fn new(kafka: &kafka::Config) -> Self {
        Self { kafka: kafka.clone(), producer: None }
    }

    /// Writes all entries, or none.
    pub(super) fn write(&mut self, entries: &[Entry]) -> anyhow::Result<()> {
        let producer = match self.producer.take() {
            Some(producer) => producer,
            None => self.connect()?,
        };
        let topic = self.kafka.names().audit();
        producer.begin_transaction().context("beginning a checkpoint")?;
        for entry in entries {
            let mut record: BaseRecord<'_, str, [u8]> = BaseRecord::to(&topic).key(&entry.key);
            if let Some(value) = &entry.value {
                record = record.payload(value);
            }
            while let Err((err, refused)) = producer.send(record) {
                if !matches!(err, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)) {
                    return Err(err).context("sending a checkpoint");
                }
                record = refused;
                producer.poll(Duration::from_millis(1));
            }
        }
        flush(&producer, FLUSH_LIMIT).context("sending a checkpoint")?;
        producer.commit_transaction(CALL_LIMIT).context("committing a checkpoint")?;
        self.producer = Some(producer);
        Ok(())
    }

    fn connect(&self) -> anyhow::Result<BaseProducer> {
        let id = self.kafka.names().transactional_id("auditor", "0");
        let producer: BaseProducer =
            self.kafka.transactional_producer(&id).create().context("making the producer of checkpoints")?;
        producer.init_transactions(INIT_LIMIT).context("beginning to use transactions")?;
        Ok(producer)
    }
}
