//! Deletes from `kapture.blocks` the blocks that nobody will ask for again, so that a topic that is read whole at each start
//! stays small.
//!
//! Those are blocks that are final and done, whose last word is older than anything that any log or Redis holds, and that
//! were deleted from Postgres: a recount that finds a sale of a block that is not there calls it never sent. The highest
//! block of each run and loader stays: a loader goes on after it. That they are done is in a checkpoint before they are
//! deleted.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Context;
use kafka::blocks::{BlockRecord, decode, removed};
use kafka::{Batches, read_to_end};
use petstore::BlockId;
use service::Beat;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use super::Live;
use super::prune::{Beginnings, sooner};

/// Between two looks.
const EVERY: Duration = Duration::from_mins(1);
/// Between two looks whether it is time, or whether to stop.
const REST: Duration = Duration::from_secs(1);
/// Reading the account of blocks.
const ACCOUNT: Duration = Duration::from_mins(1);
/// Blocks deleted in one transaction.
const BLOCKS: usize = 1_000;

/// Deletes until `shutdown`. Blocks: give it a thread of its own.
pub(super) fn run(kafka: &kafka::Config, live: &Live, beat: &Beat, shutdown: &CancellationToken) -> anyhow::Result<()> {
    let beginnings = Beginnings::new(kafka)?;
    let (mut looked, mut pruned_us): (Option<Instant>, i64) = (None, i64::MIN);
    while !shutdown.is_cancelled() {
        beat.turned();
        let pruned_now_us = live.pruned_before_us.load(Ordering::Acquire);
        let is_time = looked.is_none_or(|at| at.elapsed() >= EVERY) || pruned_now_us > pruned_us;
        if live.started.get() && is_time {
            (looked, pruned_us) = (Some(Instant::now()), pruned_now_us);
            if let Err(err) = turn(kafka, live, &beginnings, beat, shutdown) {
                live.metrics.errors.inc();
                info!("deleting blocks again in a moment: {err:#}");
            }
        }
        std::thread::sleep(REST);
    }
    Ok(())
}

fn turn(
    kafka: &kafka::Config,
    live: &Live,
    beginnings: &Beginnings,
    beat: &Beat,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    let pruned_us = live.pruned_before_us.load(Ordering::Acquire);
    // Until something was deleted from Postgres, no block can be: the topic need not be read.
    if pruned_us == i64::MIN {
        return Ok(());
    }
    let mut partitions = live.partitions();
    partitions.retain(|(topic, _)| *topic != live.names.rejected());
    let begin = beginnings.read(&live.names.sales(), partitions)?;
    let mut known = Known::default();
    read_to_end(kafka, &live.names.blocks(), ACCOUNT, |message| {
        if let Ok(Some(block)) = decode(message) {
            known.see(block.id, &block.record);
        } else if let Some(id) = removed(message) {
            known.remove(id);
        }
        Ok(())
    })?;
    let keeps = live.redis_keeps.map_or(0, |keeps| i64::try_from(keeps.as_micros()).unwrap_or(i64::MAX));
    let said_us = begin.earliest_us.min(service::unix_us().saturating_sub(keeps));
    let mut blocks = known.before(sooner(said_us), pruned_us);
    let ledger = live.ledger();
    blocks.retain(|id| ledger.is_done(*id));
    drop(ledger);
    let done_at = Instant::now();
    if blocks.is_empty() {
        return Ok(());
    }
    while !live.has_written(done_at) {
        if shutdown.is_cancelled() || done_at.elapsed() > EVERY {
            return Ok(());
        }
        beat.turned();
        std::thread::sleep(REST);
    }
    let id = live.names.transactional_id("auditor", "blocks");
    let writer = Batches::connect(kafka, &id, live.names.blocks())?;
    for blocks in blocks.chunks(BLOCKS) {
        beat.turned();
        let keys: Vec<String> = blocks.iter().map(ToString::to_string).collect();
        writer.write(keys.iter().map(|key| (key.as_str(), None))).context("deleting blocks")?;
    }
    debug!(blocks = blocks.len(), "deleted blocks that nothing holds any more");
    Ok(())
}

/// What is on the account of blocks.
#[derive(Default)]
struct Known {
    /// Of each final block, when it was reserved and when its loader last spoke of it: unix time, microseconds.
    ended: HashMap<BlockId, (i64, i64)>,
    /// The highest block of each run and loader.
    highest: HashMap<(u32, u32), u32>,
}

impl Known {
    fn see(&mut self, id: BlockId, record: &BlockRecord) {
        let highest = self.highest.entry((id.run, id.loader)).or_default();
        *highest = id.block.max(*highest);
        if record.phase.is_final() {
            self.ended.insert(id, (record.reserved_at_us, record.updated_at_us));
        }
    }

    fn remove(&mut self, id: BlockId) {
        self.ended.remove(&id);
    }

    /// The blocks whose loader last spoke of them before the first time, and that were reserved before the second.
    fn before(&self, said_us: i64, reserved_us: i64) -> Vec<BlockId> {
        let before = |(id, (reserved, said)): (&BlockId, &(i64, i64))| {
            let is_highest = self.highest.get(&(id.run, id.loader)) == Some(&id.block);
            (*said < said_us && *reserved < reserved_us && !is_highest).then_some(*id)
        };
        let mut before: Vec<BlockId> = self.ended.iter().filter_map(before).collect();
        before.sort_unstable();
        before
    }
}

#[cfg(test)]
mod tests {
    use kafka::blocks::Phase;

    use super::*;

    fn block(block: u32) -> BlockId {
        BlockId { run: 1, loader: 0, block }
    }

    fn see(known: &mut Known, id: BlockId, phase: Phase, updated_at_us: i64) {
        let record = BlockRecord {
            incarnation: 1,
            parameters: petstore::Parameters::default(),
            phase,
            acknowledged: kafka::Ranges::default(),
            end: None,
            load: None,
            reserved_at_us: updated_at_us - 10,
            updated_at_us,
        };
        known.see(id, &record);
    }

    #[test]
    fn only_final_blocks_that_no_log_holds_are_deleted_and_the_last_of_a_run_stays() {
        let mut known = Known::default();
        let other = BlockId { run: 2, ..block(0) };
        see(&mut known, block(0), Phase::Closed, 100);
        see(&mut known, block(1), Phase::Progress, 100);
        see(&mut known, block(2), Phase::Cut, 110);
        see(&mut known, block(3), Phase::Closed, 200);
        see(&mut known, block(4), Phase::Closed, 120);
        see(&mut known, other, Phase::Closed, 100);
        assert_eq!(known.before(200, i64::MAX), [block(0), block(2)]);
        assert_eq!(known.before(i64::MIN, i64::MAX), []);
        assert_eq!(known.before(200, 95), [block(0)], "the others are still in Postgres");
        known.remove(block(0));
        assert_eq!(known.before(201, i64::MAX), [block(2), block(3)], "once is enough");
    }
}
