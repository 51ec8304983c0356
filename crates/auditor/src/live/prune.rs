//! Deletes from Postgres the sales that need not be kept, so that a forgotten install fills no disk.
//!
//! Those are the sales of blocks that are done and that one of Kafka's logs no longer holds whole: nobody can count them
//! again, and [`crate::recount`] leaves them out by the same time. Those of an earlier Kafka are deleted as soon as its account
//! was left to this auditor; if it was not, after [`HANDOVER`]. Redis expires its own.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Context;
use petstore::BlockId;
use service::Beat;
use stores::Listed;
use tracing::debug;

use super::Live;
use crate::store::{Page, Store};

/// Blocks deleted at once, while the watch of the store waits: some 80,000 sales.
const BLOCKS: usize = 25;

/// How long an auditor of an earlier Kafka is given to leave its account. It asks Postgres and writes for a minute at most.
const HANDOVER: Duration = Duration::from_mins(5);

/// What is to be deleted.
pub(super) struct Pruning {
    /// Blocks reserved before were looked for: unix time, microseconds.
    before_us: i64,
    /// How many earlier Kafkas there were when blocks of theirs were looked for.
    earlier: u64,
    blocks: Vec<BlockId>,
    /// When those were done.
    done_at: Instant,
    /// When this auditor began.
    begun: Instant,
}

impl Pruning {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self { before_us: i64::MIN, earlier: 0, blocks: Vec::new(), done_at: now, begun: now }
    }

    /// Looks what need not be kept, or deletes the next blocks of it.
    pub(super) async fn turn(&mut self, live: &Live, store: &mut Store, beat: &Beat) -> anyhow::Result<()> {
        if self.blocks.is_empty() {
            let (before_us, earlier) = (live.retained().whole_us, self.accounted(live));
            if (before_us > self.before_us || earlier > self.earlier) && matches!(store, Store::Postgres(_)) {
                self.look(live, before_us, earlier, store, beat).await.context("looking for what need not be kept")?;
            }
            return Ok(());
        }
        // An auditor that begins again from before they were done would look for them.
        if let Store::Postgres(postgres) = store
            && live.has_written(self.done_at)
        {
            let left = self.blocks.len().saturating_sub(BLOCKS);
            let next = &self.blocks[left..];
            let sales = postgres.prune(next).await?;
            live.metrics.pruned_sales.inc_by(sales);
            debug!(sales, blocks = next.len(), left, "deleted sales that kafka no longer holds");
            self.blocks.truncate(left);
            self.publish(live);
        }
        Ok(())
    }

    /// How many earlier Kafkas nobody will ask Postgres about.
    fn accounted(&self, live: &Live) -> u64 {
        let audit = live.audit();
        let is_accounted = audit.unjudged_kafkas() == 0 || self.begun.elapsed() >= HANDOVER;
        if is_accounted { audit.adopted_kafkas() } else { self.earlier }
    }

    async fn look(
        &mut self,
        live: &Live,
        before_us: i64,
        earlier: u64,
        store: &mut Store,
        beat: &Beat,
    ) -> anyhow::Result<()> {
        let (mut blocks, mut page) = (Vec::new(), Page::default());
        loop {
            beat.turned();
            let stored = store.blocks(&mut page).await?;
            let (retained, audit) = (live.retained(), live.audit());
            let is_needless = |listed: &Listed| {
                if listed.is_earlier {
                    earlier > self.earlier
                } else {
                    retained.was_reserved_before(listed.id, before_us) && audit.is_done(listed.id)
                }
            };
            blocks.extend(stored.into_iter().filter(is_needless).map(|listed| listed.id));
            drop((retained, audit));
            if page.is_at_start() {
                break;
            }
        }
        (self.blocks, self.before_us, self.earlier, self.done_at) = (blocks, before_us, earlier, Instant::now());
        self.publish(live);
        Ok(())
    }

    /// Publishes up to when all is deleted, once it is.
    fn publish(&self, live: &Live) {
        if self.blocks.is_empty() {
            live.pruned_before_us.store(self.before_us, Ordering::Release);
        }
    }
}
