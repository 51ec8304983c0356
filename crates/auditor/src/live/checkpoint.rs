//! Results and checkpoint on `kapture.audit`, each written whole in one Kafka transaction.

use std::time::Duration;

use anyhow::Context;
use kafka::{Batches, read_committed};

use crate::audit::{Audit, Entry, Restoring};

/// Reading the whole topic, which is compacted.
const READ_LIMIT: Duration = Duration::from_mins(1);

/// What an earlier auditor wrote, and whether there was anything; `fresh` makes an empty account.
pub(super) fn restore(kafka: &kafka::Config, fresh: impl Fn() -> Audit) -> anyhow::Result<(Audit, bool)> {
    let mut restoring = Restoring::default();
    read_committed(kafka, &kafka.names().audit(), READ_LIMIT, |record| {
        if let Some(key) = record.key() {
            restoring.take(&String::from_utf8_lossy(key), record.payload());
        }
    })?;
    Ok(restoring.finish(fresh))
}

/// Writes checkpoints; a newer auditor fences it.
pub(super) struct Writer {
    kafka: kafka::Config,
    batches: Option<Batches>,
}

impl Writer {
    /// Connects when it is used, and again after every error: nobody knows whether a commit that failed took effect.
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
