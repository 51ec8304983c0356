//! What Kafka's logs still hold, and what therefore need not be kept: looks each minute, tells the pruning of Postgres, and
//! deletes from `kapture.blocks` the blocks that nobody will ask for again, so that a topic that is read whole at each start
//! stays small.
//!
//! Those are blocks that are final and done, whose last record is older than anything that any log or Redis holds, and that
//! were deleted from Postgres: a recount that finds a sale of a block that is not there calls it never sent. The highest
//! block of each run and loader stays: a loader goes on after it. That they are done is in a checkpoint before they are
//! deleted.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Context;
use kafka::blocks::BlockRecord;
use kafka::{Batches, LogReader, Logs, Next, Partition};
use petstore::BlockId;
use service::Beat;
use tracing::{debug, info};

use super::{ASK_LIMIT, Live};

const EVERY: Duration = Duration::from_mins(1);
/// Between two looks whether it is time, or whether to stop.
const REST: Duration = Duration::from_secs(1);
/// Blocks deleted in one transaction.
const BLOCKS: usize = 1_000;
/// Records bear their senders' clocks, and a `helm test` that has read the logs goes on to Postgres: a block is kept for so
/// long beyond the time at which the logs begin.
const CLOCKS: Duration = Duration::from_mins(5);
/// Reading the first record of each log. One that doesn't come in time deletes nothing.
const READING: Duration = Duration::from_secs(10);

/// What was found at the last look, and the blocks on the account, which the reader puts in. Times are unix time, microseconds,
/// less what clocks may differ by.
pub(super) struct Retained {
    /// The time at which the log that lost most of its beginning now begins, before which no block is whole; the lowest
    /// number if none has lost anything.
    pub(super) whole_us: i64,
    /// The time before which no log holds anything; the lowest number if that could not be found out.
    any_us: i64,
    blocks: HashMap<BlockId, Block>,
    highest: HashMap<(u32, u32), u32>,
}

/// What matters here of a block.
struct Block {
    reserved_at_us: i64,
    updated_at_us: i64,
    is_final: bool,
}

/// Looks and deletes until `shutdown`. Blocks: give it a thread of its own.
pub(super) fn run(live: &Live, beat: &Beat) -> anyhow::Result<()> {
    let beginnings = Beginnings::new(&live.kafka)?;
    let (mut looked, mut pruned_us): (Option<Instant>, i64) = (None, i64::MIN);
    while !live.shutdown.is_cancelled() {
        beat.turned();
        let pruned_now_us = live.pruned_before_us.load(Ordering::Acquire);
        let is_time = looked.is_none_or(|at| at.elapsed() >= EVERY);
        if live.has_started() && live.is_sure() && (is_time || pruned_now_us > pruned_us) {
            pruned_us = pruned_now_us;
            let looking = if is_time {
                looked = Some(Instant::now());
                look(live, &beginnings)
            } else {
                Ok(())
            };
            if let Err(err) = looking.and_then(|()| forget(live, pruned_us, beat)) {
                live.metrics.errors.inc();
                info!("deleting blocks again in a moment: {err:#}");
            }
        }
        std::thread::sleep(REST);
    }
    Ok(())
}

fn look(live: &Live, beginnings: &Beginnings) -> anyhow::Result<()> {
    let mut partitions = live.partitions();
    partitions.retain(|(topic, _)| *topic != live.names.rejected());
    let begins_us = beginnings.read(&live.names.sales(), partitions)?;
    let mut retained = live.retained();
    (retained.whole_us, retained.any_us) = begins_us;
    Ok(())
}

fn forget(live: &Live, pruned_us: i64, beat: &Beat) -> anyhow::Result<()> {
    let keeps = live.redis_keeps.map_or(0, |keeps| i64::try_from(keeps.as_micros()).unwrap_or(i64::MAX));
    let kept_us = sooner(service::unix_us().saturating_sub(keeps));
    let mut blocks = live.retained().ended_before(kept_us, pruned_us);
    let audit = live.audit();
    blocks.retain(|id| audit.is_done(*id));
    drop(audit);
    let done_at = Instant::now();
    if blocks.is_empty() {
        return Ok(());
    }
    while !live.has_written(done_at) {
        if live.shutdown.is_cancelled() || done_at.elapsed() > EVERY {
            return Ok(());
        }
        beat.turned();
        std::thread::sleep(REST);
    }
    let id = live.names.transactional_id("auditor", "blocks");
    let writer = Batches::connect(&live.kafka, &id, live.names.blocks())?;
    for blocks in blocks.chunks(BLOCKS) {
        beat.turned();
        let keys: Vec<String> = blocks.iter().map(ToString::to_string).collect();
        writer.write(keys.iter().map(|key| (key.as_str(), None))).context("deleting blocks")?;
        live.retained().blocks.retain(|id, _| !blocks.contains(id));
    }
    debug!(blocks = blocks.len(), "deleted blocks that nothing holds any more");
    Ok(())
}

impl Default for Retained {
    /// Nothing was looked at.
    fn default() -> Self {
        Self { whole_us: i64::MIN, any_us: i64::MIN, blocks: HashMap::new(), highest: HashMap::new() }
    }
}

impl Retained {
    pub(super) fn see(&mut self, id: BlockId, record: &BlockRecord) {
        let highest = self.highest.entry((id.run, id.loader)).or_default();
        *highest = id.block.max(*highest);
        let BlockRecord { reserved_at_us, updated_at_us, phase, .. } = *record;
        self.blocks.insert(id, Block { reserved_at_us, updated_at_us, is_final: phase.is_final() });
    }

    /// Notes that a block was deleted from the account.
    pub(super) fn forget(&mut self, id: BlockId) {
        self.blocks.remove(&id);
    }

    /// Whether a block was reserved before a time.
    pub(super) fn was_reserved_before(&self, id: BlockId, time_us: i64) -> bool {
        self.blocks.get(&id).is_some_and(|block| block.reserved_at_us < time_us)
    }

    /// The final blocks that no log holds, whose loader last wrote of them before the first time, and that were reserved
    /// before the second.
    fn ended_before(&self, kept_us: i64, reserved_us: i64) -> Vec<BlockId> {
        let written_us = kept_us.min(self.any_us);
        let before = |(id, block): (&BlockId, &Block)| {
            let is_highest = self.highest.get(&(id.run, id.loader)) == Some(&id.block);
            let is_before = block.updated_at_us < written_us && block.reserved_at_us < reserved_us;
            (block.is_final && is_before && !is_highest).then_some(*id)
        };
        let mut before: Vec<BlockId> = self.blocks.iter().filter_map(before).collect();
        before.sort_unstable();
        before
    }
}

/// A time less what clocks may differ by.
fn sooner(time_us: i64) -> i64 {
    time_us.saturating_sub(i64::try_from(CLOCKS.as_micros()).unwrap_or(i64::MAX))
}

struct Beginnings {
    logs: Logs,
    /// Kept, since a client that is given up while it still logs in reports that as an error.
    reader: LogReader,
}

impl Beginnings {
    fn new(kafka: &kafka::Config) -> anyhow::Result<Self> {
        Ok(Self { logs: Logs::new(kafka, "reader", ASK_LIMIT)?, reader: LogReader::sparing(kafka)? })
    }

    /// Reads the first record of each of `partitions` and of `sales`: [`Retained::whole_us`] and [`Retained::any_us`]. Blocks.
    fn read(&self, sales: &str, mut partitions: Vec<Partition>) -> anyhow::Result<(i64, i64)> {
        partitions.extend(self.logs.partitions(sales)?);
        let (beginnings, ends) = (self.logs.beginnings(&partitions)?, self.logs.ends(&partitions)?);
        let bounds = partitions.iter().zip(beginnings).zip(ends);
        let unread: Vec<(&Partition, i64)> =
            bounds.filter(|((_, beginning), end)| beginning < end).map(|(first, _)| first).collect();
        let (mut left, deadline) = (unread.len(), Instant::now() + READING);
        self.reader.begin(unread)?;
        let (mut whole_us, mut any_us) = (i64::MIN, i64::MAX);
        while left > 0 && Instant::now() < deadline {
            let Next::Record(record) = self.reader.next(Duration::from_millis(100))? else { continue };
            self.reader.end(&(record.topic().to_owned(), record.partition()))?;
            left -= 1;
            let time_us = record.timestamp_ms().unwrap_or(0).saturating_mul(1_000);
            any_us = any_us.min(time_us);
            if record.offset() > 0 {
                whole_us = whole_us.max(time_us);
            }
        }
        self.reader.begin([])?;
        let any_us = if left > 0 { i64::MIN } else { any_us };
        Ok((sooner(whole_us), sooner(any_us)))
    }
}

#[cfg(test)]
mod tests {
    use kafka::blocks::Phase;

    use super::*;

    fn block(block: u32) -> BlockId {
        BlockId { run: 1, loader: 0, block }
    }

    #[test]
    fn only_final_blocks_that_no_log_holds_are_deleted_and_the_last_of_a_run_stays() {
        let mut retained = Retained { any_us: i64::MAX, ..Retained::default() };
        for (id, phase, updated_at_us) in [
            (block(0), Phase::Closed, 100),
            (block(1), Phase::Progress, 100),
            (block(2), Phase::Cut, 110),
            (block(3), Phase::Closed, 200),
            (block(4), Phase::Closed, 120),
            (BlockId { run: 2, ..block(0) }, Phase::Closed, 100),
        ] {
            let record = crate::audit::tests::record(phase, &[], None);
            retained.see(id, &BlockRecord { updated_at_us, reserved_at_us: updated_at_us - 10, ..record });
        }
        assert_eq!(retained.ended_before(200, i64::MAX), [block(0), block(2)]);
        assert_eq!(retained.ended_before(i64::MIN, i64::MAX), []);
        assert_eq!(retained.ended_before(200, 95), [block(0)], "the others are still in Postgres");
        retained.forget(block(0));
        assert_eq!(retained.ended_before(201, i64::MAX), [block(2), block(3)], "once is enough");
    }
}
