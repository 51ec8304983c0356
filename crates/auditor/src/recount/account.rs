//! The loaders' account on `kapture.blocks`, as it was read at one moment, whole or its newest part.

use std::collections::HashMap;
use std::time::Instant;

use anyhow::{Context, bail};
use kafka::blocks::{BlockRecord, Phase, SILENT_AFTER, decode, removed};
use petstore::BlockId;
use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, Consumer};
use tracing::{debug, warn};

use super::logs::{Part, end_of, scan};

/// What is read of the topic.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reach {
    /// All that is committed.
    Whole,
    /// So many offsets back from the end.
    Back(i64),
    /// From an offset on all that is written, be it committed yet or not: nothing that was reserved is missed.
    On(i64),
}

/// The last record of each block, and how far each loader had come.
#[derive(Clone, Debug, Default)]
pub(crate) struct Account {
    pub(crate) blocks: HashMap<BlockId, BlockRecord>,
    /// The last block of each run and loader.
    pub(super) last: HashMap<(u32, u32), u32>,
    /// Where the reading began.
    pub(crate) start: i64,
    /// Whether it was where the topic begins.
    pub(crate) is_whole: bool,
    /// Whether its end was reached.
    pub(crate) is_settled: bool,
}

impl Account {
    /// Reads the account. Blocks.
    pub(crate) fn read(kafka: &kafka::Config, reach: Reach, deadline: Instant) -> anyhow::Result<Self> {
        let topic = kafka.names().blocks();
        let consumer: BaseConsumer = kafka.reader().create().context("making a consumer")?;
        let limit = deadline.saturating_duration_since(Instant::now());
        let asked = consumer.fetch_watermarks(&topic, 0, limit);
        let (low, committed) = asked.with_context(|| format!("finding the end of {topic}"))?;
        let (start, end) = match reach {
            Reach::Whole => (low, committed),
            Reach::Back(offsets) => ((committed - offsets).max(low), committed),
            Reach::On(start) => (start.max(low), end_of(kafka, &topic)?),
        };
        let mut account = Self { start, is_whole: start == low, ..Self::default() };
        let part = Part { topic, partition: 0, start, end, trimmed: false };
        let read = scan(kafka, &[part], deadline, |message| account.take(message))?;
        account.is_settled = read.left == 0;
        debug!(?reach, start, end, blocks = account.blocks.len(), "read the loaders' account");
        if !account.is_settled && !matches!(reach, Reach::On(_)) {
            bail!("the end of the loaders' account was not reached in time: {} offsets were left", read.left);
        }
        Ok(account)
    }

    fn take<M: Message>(&mut self, message: &M) {
        match decode(message) {
            Ok(Some(published)) => self.add(published.id, published.record),
            Ok(None) => {
                if let Some(id) = removed(message) {
                    self.note(id);
                    self.blocks.remove(&id);
                }
            }
            Err(err) => {
                warn!("leaving out a block: {err:#}");
                let id = message.key().and_then(|key| str::from_utf8(key).ok()?.parse().ok());
                id.inspect(|id| self.note(*id));
            }
        }
    }

    /// Adds what is said of a block.
    pub(crate) fn add(&mut self, id: BlockId, record: BlockRecord) {
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

    /// Cuts the blocks of loaders that have been silent for too long: what they last said is final.
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
