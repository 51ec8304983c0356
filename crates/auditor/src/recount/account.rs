//! The loaders' account on `kapture.blocks`, as it was read at one moment, whole or its newest part.

use std::collections::HashMap;
use std::time::Instant;

use anyhow::{bail, ensure};
use kafka::blocks::{BlockRecord, Phase, SILENT_AFTER};
use kafka::{BlockEntry, LogReader, Part};
use petstore::BlockId;
use tracing::{debug, warn};

use super::logs::Kafka;

/// What is read of the topic.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reach {
    /// All that is committed.
    Whole,
    /// So many offsets back from the end.
    Back(i64),
    /// All that is written, be it committed yet or not: nothing that was reserved is missed.
    Written,
}

/// The last record of each block, and how far each loader had come.
#[derive(Clone, Debug, Default)]
pub(crate) struct Account {
    pub(crate) blocks: HashMap<BlockId, BlockRecord>,
    /// The last block of each run and loader.
    pub(super) last: HashMap<(u32, u32), u32>,
    /// Where the reading ended.
    pub(super) end: i64,
    /// Whether it began where the topic begins.
    pub(crate) is_whole: bool,
    /// Whether its end was reached.
    pub(crate) is_settled: bool,
}

impl Account {
    /// Reads the account. Blocks.
    pub(crate) fn read(kafka: &Kafka, reach: Reach, deadline: Instant) -> anyhow::Result<Self> {
        let partition = (kafka.config.names().blocks(), 0);
        let limit = deadline.saturating_duration_since(Instant::now());
        let (low, committed) = LogReader::new(&kafka.config)?.bounds(&partition, limit)?;
        let (start, end) = match reach {
            Reach::Whole => (low, committed),
            Reach::Back(offsets) => ((committed - offsets).max(low), committed),
            Reach::Written => (low, kafka.fan_out.end(&partition.0)?),
        };
        let mut account = Self { end: start, is_whole: start == low, ..Self::default() };
        let left = account.take_to(kafka, end, deadline)?;
        debug!(?reach, start, end, blocks = account.blocks.len(), "read the loaders' account");
        if left > 0 && !matches!(reach, Reach::Written) {
            bail!("the end of the loaders' account was not reached in time: {left} offsets were left");
        }
        Ok(account)
    }

    /// This account with all that was written since, be it committed yet or not. Blocks.
    pub(crate) fn read_on(&self, kafka: &Kafka, deadline: Instant) -> anyhow::Result<Self> {
        let end = kafka.fan_out.end(&kafka.config.names().blocks())?;
        ensure!(
            end >= self.end,
            "the loaders' account ends at {end}, and was read to {}: was Kafka replaced?",
            self.end
        );
        let mut account = self.clone();
        account.take_to(kafka, end, deadline)?;
        Ok(account)
    }

    /// Reads on to `end`; how many offsets were left when the time was over.
    fn take_to(&mut self, kafka: &Kafka, end: i64, deadline: Instant) -> anyhow::Result<i64> {
        let part = Part { partition: (kafka.config.names().blocks(), 0), start: self.end, end, trimmed: false };
        let read = kafka.read(&[part], deadline, |record| self.take(BlockEntry::read(record)))?;
        (self.end, self.is_settled) = (end, read.left == 0);
        Ok(read.left)
    }

    fn take(&mut self, entry: Option<(BlockId, BlockEntry)>) {
        let Some((id, entry)) = entry else { return };
        self.note(id);
        match entry {
            BlockEntry::Is(record) => drop(self.blocks.insert(id, *record)),
            BlockEntry::Deleted => drop(self.blocks.remove(&id)),
            BlockEntry::OfAnotherModel => warn!("leaving out block {id}: it is of another release's model"),
            BlockEntry::Unreadable(why) => warn!("leaving out a block: {why}"),
        }
    }

    /// Adds what is known of a block.
    #[cfg(test)]
    pub(super) fn add(&mut self, id: BlockId, record: BlockRecord) {
        self.note(id);
        self.blocks.insert(id, record);
    }

    fn note(&mut self, id: BlockId) {
        let last = self.last.entry((id.run, id.loader)).or_default();
        *last = id.block.max(*last);
    }

    /// Whether a block was reserved. A loader takes its blocks in their order, and those that were judged long ago are
    /// deleted from the account: all up to its last one were.
    pub(crate) fn has_reserved(&self, id: BlockId) -> bool {
        self.last.get(&(id.run, id.loader)).is_some_and(|last| id.block <= *last)
    }

    /// Sales that are acknowledged.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.blocks.values().map(|record| u64::from(record.acknowledged.len())).sum()
    }

    /// Cuts the blocks of loaders that have been silent for too long: their last records are final.
    pub(super) fn cut_silent(&mut self, now_us: i64) {
        let mut heard: HashMap<(u32, u32), i64> = HashMap::new();
        for (id, record) in &self.blocks {
            let last = heard.entry((id.run, id.loader)).or_insert(i64::MIN);
            *last = record.updated_at_us.max(*last);
        }
        let silent_us = i64::try_from(SILENT_AFTER.as_micros()).unwrap_or(i64::MAX);
        for (id, record) in &mut self.blocks {
            let is_silent = heard.get(&(id.run, id.loader)).is_some_and(|last| now_us - last > silent_us);
            if is_silent && !record.phase.is_final() {
                record.phase = Phase::Cut;
            }
        }
    }
}
