//! Results and checkpoint on `kapture.audit`, each written whole in one Kafka transaction.

use std::time::Duration;

use anyhow::Context;
use kafka::{Batches, read_to_end};
use rdkafka::Message;

use crate::ledger::{Entry, Ledger, Restoring};

/// Reading the whole topic, which is compacted.
const READ_LIMIT: Duration = Duration::from_mins(1);

/// What an earlier auditor wrote, and whether there was anything; `fresh` makes an empty account.
pub(super) fn restore(kafka: &kafka::Config, fresh: impl Fn() -> Ledger) -> anyhow::Result<(Ledger, bool)> {
    let mut restoring = Restoring::new(fresh());
    read_to_end(kafka, &kafka.names().audit(), READ_LIMIT, |message| {
        if let Some(key) = message.key() {
            restoring.take(&String::from_utf8_lossy(key), message.payload());
        }
        Ok(())
    })?;
    Ok(restoring.finish(fresh()))
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
