//! Deletes from Postgres the sales that need not be kept, so that a forgotten install fills no disk.
//!
//! Those are the sales of blocks that are done and that one of Kafka's logs no longer holds whole: nobody can count them
//! again, and [`crate::recount`] and [`crate::check`] leave them out by the same time. Redis forgets by itself.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Context;
use kafka::blocks::decode;
use kafka::read_to_end;
use petstore::BlockId;
use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use service::Beat;
use tracing::debug;

use super::{ASK_LIMIT, Live};
use crate::logs::Logs;
use crate::store::{Page, Store};

/// Between two looks at where the logs begin.
const EVERY: Duration = Duration::from_mins(1);
/// Blocks deleted at once, while the watch of the store waits: some 80,000 sales.
const BLOCKS: usize = 25;
/// Records bear their senders' clocks, and a `helm test` that has read the logs goes on to Postgres: a block is kept for so
/// long beyond the time at which the logs begin.
const CLOCKS: Duration = Duration::from_mins(5);
/// Reading the first record of each log. One that doesn't come in time deletes nothing.
const READING: Duration = Duration::from_secs(10);
/// Reading the account of blocks.
const ACCOUNT: Duration = Duration::from_secs(30);

/// What is to be deleted.
pub(super) struct Pruning {
    kafka: kafka::Config,
    /// Kept, since a client that is given up while it still logs in says so as an error.
    beginnings: Option<Arc<Beginnings>>,
    looked: Option<Instant>,
    /// Blocks reserved before were looked for: unix time, microseconds.
    before_us: i64,
    blocks: Vec<BlockId>,
    /// When those were done.
    done_at: Instant,
}

impl Pruning {
    pub(super) fn new(kafka: &kafka::Config) -> Self {
        Self {
            kafka: kafka.clone(),
            beginnings: None,
            looked: None,
            before_us: i64::MIN,
            blocks: Vec::new(),
            done_at: Instant::now(),
        }
    }

    /// Looks what need not be kept, or deletes the next blocks of it.
    pub(super) async fn turn(&mut self, live: &Live, store: &mut Store, beat: &Beat) -> anyhow::Result<()> {
        let Store::Postgres(postgres) = store else { return Ok(()) };
        if self.blocks.is_empty() {
            if self.looked.is_some_and(|at| at.elapsed() < EVERY) {
                return Ok(());
            }
            self.looked = Some(Instant::now());
            return self.look(live, store, beat).await.context("looking for what need not be kept");
        }
        // An auditor that begins again from before they were done would look for them.
        if live.has_written(self.done_at) {
            let left = self.blocks.len().saturating_sub(BLOCKS);
            let next = &self.blocks[left..];
            let sales = postgres.prune(next).await?;
            live.metrics.pruned_sales.inc_by(sales);
            debug!(sales, blocks = next.len(), left, "deleted sales that kafka no longer holds");
            self.blocks.truncate(left);
            self.say(live);
        }
        Ok(())
    }

    async fn look(&mut self, live: &Live, store: &mut Store, beat: &Beat) -> anyhow::Result<()> {
        let beginnings = match &self.beginnings {
            Some(beginnings) => Arc::clone(beginnings),
            None => Arc::clone(self.beginnings.insert(Arc::new(Beginnings::new(&self.kafka)?))),
        };
        let (sales, mut partitions) = (live.names.sales(), live.partitions());
        partitions.retain(|(topic, _)| *topic != live.names.rejected());
        let begin = tokio::task::spawn_blocking(move || beginnings.read(&sales, partitions)).await??;
        let before_us = sooner(begin.latest_us);
        if before_us <= self.before_us {
            return Ok(());
        }
        let mut done = HashSet::new();
        let mut page = Page::default();
        loop {
            beat.turned();
            let stored = store.blocks(&mut page).await?;
            let ledger = live.ledger();
            done.extend(stored.into_iter().filter(|id| ledger.is_done(*id)));
            drop(ledger);
            if page.is_at_start() {
                break;
            }
        }
        self.done_at = Instant::now();
        let kafka = self.kafka.clone();
        self.blocks = tokio::task::spawn_blocking(move || reserved_before(&kafka, before_us, done)).await??;
        self.before_us = before_us;
        self.say(live);
        Ok(())
    }

    /// Says up to when all is deleted, once it is.
    fn say(&self, live: &Live) {
        if self.blocks.is_empty() {
            live.pruned_before_us.store(self.before_us, Ordering::Release);
        }
    }
}

/// A time less what clocks may differ by.
pub(super) fn sooner(time_us: i64) -> i64 {
    time_us.saturating_sub(i64::try_from(CLOCKS.as_micros()).unwrap_or(i64::MAX))
}

/// Looks where logs begin.
pub(super) struct Beginnings {
    logs: Logs,
    consumer: BaseConsumer,
}

/// When logs begin: unix time, microseconds.
pub(super) struct Begin {
    /// The latest time at which a log that has lost its beginning now begins; the lowest number if none has.
    pub(super) latest_us: i64,
    /// The time before which no log holds anything; the lowest number if that could not be found out.
    pub(super) earliest_us: i64,
}

impl Beginnings {
    pub(super) fn new(kafka: &kafka::Config) -> anyhow::Result<Self> {
        // One record of each log is wanted, and the memory is the live account's.
        let mut reader = kafka.reader();
        reader.set("fetch.message.max.bytes", "16384").set("queued.max.messages.kbytes", "1024");
        Ok(Self {
            logs: Logs::new(kafka, "reader", ASK_LIMIT)?,
            consumer: reader.create().context("making a consumer")?,
        })
    }

    /// Reads the first record of each of `partitions` and of `sales`. Blocks.
    pub(super) fn read(&self, sales: &str, mut partitions: Vec<(String, i32)>) -> anyhow::Result<Begin> {
        partitions.extend((0..self.logs.partitions(sales)?).map(|partition| (sales.to_owned(), partition)));
        let (beginnings, ends) = (self.logs.beginnings(&partitions)?, self.logs.ends(&partitions)?);
        let mut unread = TopicPartitionList::new();
        for ((topic, partition), (beginning, end)) in partitions.iter().zip(beginnings.into_iter().zip(ends)) {
            if beginning < end {
                unread.add_partition_offset(topic, *partition, Offset::Offset(beginning))?;
            }
        }
        self.consumer.assign(&unread).context("beginning to read")?;
        let (mut unread, deadline) = (unread.count(), Instant::now() + READING);
        let mut begin = Begin { latest_us: i64::MIN, earliest_us: i64::MAX };
        while unread > 0 && Instant::now() < deadline {
            let Some(Ok(message)) = self.consumer.poll(Duration::from_millis(100)) else { continue };
            let mut read = TopicPartitionList::new();
            read.add_partition(message.topic(), message.partition());
            self.consumer.incremental_unassign(&read).context("ending to read")?;
            unread -= 1;
            let time_us = message.timestamp().to_millis().unwrap_or(0).saturating_mul(1_000);
            begin.earliest_us = begin.earliest_us.min(time_us);
            if message.offset() > 0 {
                begin.latest_us = begin.latest_us.max(time_us);
            }
        }
        self.consumer.unassign().context("ending to read")?;
        if unread > 0 {
            begin.earliest_us = i64::MIN;
        }
        Ok(begin)
    }
}

/// Those of `blocks` that were reserved before a time.
fn reserved_before(kafka: &kafka::Config, time_us: i64, mut blocks: HashSet<BlockId>) -> anyhow::Result<Vec<BlockId>> {
    let mut before = Vec::new();
    read_to_end(kafka, &kafka.names().blocks(), ACCOUNT, |message| {
        if let Ok(Some(block)) = decode(message)
            && block.record.reserved_at_us < time_us
            && blocks.remove(&block.id)
        {
            before.push(block.id);
        }
        Ok(())
    })?;
    Ok(before)
}
