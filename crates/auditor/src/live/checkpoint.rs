//! Results and checkpoint on `kapture.audit`, each written whole in one Kafka transaction.

use std::time::Duration;

use anyhow::Context;
use kafka::{Batches, read_to_end};
use rdkafka::Message;

use crate::ledger::{Entry, Ledger};

/// Reading the whole topic, which is compacted.
const READ_LIMIT: Duration = Duration::from_mins(1);

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
    batches: Option<Batches>,
}

impl Writer {
    /// Connects when it is used, and anew after every error: of a commit that failed, nobody knows whether it did.
    pub(super) fn new(kafka: &kafka::Config) -> Self {
        Self { kafka: kafka.clone(), batches: None }
    }

    /// Writes all entries, or none.
    pub(super) fn write(&mut self, entries: &[Entry]) -> anyhow::Result<()> {
        let names = self.kafka.names();
        let batches = match self.batches.take() {
            Some(batches) => batches,
            None => Batches::connect(&self.kafka, &names.transactional_id("auditor", "0"), names.audit())?,
        };
        batches
            .write(entries.iter().map(|entry| (entry.key.as_str(), entry.value.as_deref())))
            .context("writing a checkpoint")?;
        self.batches = Some(batches);
        Ok(())
    }
}
