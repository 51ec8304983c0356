//! Deletes from Postgres the sales that need not be kept, so that a forgotten install fills no disk.
//!
//! Those are the sales of blocks that are done and that one of Kafka's logs no longer holds whole: nobody can count them
//! again, and [`crate::recount`] leaves them out by the same time. Redis expires its own.

use std::sync::atomic::Ordering;
use std::time::Instant;

use anyhow::Context;
use petstore::BlockId;
use service::Beat;
use tracing::debug;

use super::Live;
use crate::store::{Page, Store};

/// Blocks deleted at once, while the watch of the store waits: some 80,000 sales.
const BLOCKS: usize = 25;

/// What is to be deleted.
pub(super) struct Pruning {
    /// Blocks reserved before were looked for: unix time, microseconds.
    before_us: i64,
    blocks: Vec<BlockId>,
    /// When those were done.
    done_at: Instant,
}

impl Pruning {
    pub(super) fn new() -> Self {
        Self { before_us: i64::MIN, blocks: Vec::new(), done_at: Instant::now() }
    }

    /// Looks what need not be kept, or deletes the next blocks of it.
    pub(super) async fn turn(&mut self, live: &Live, store: &mut Store, beat: &Beat) -> anyhow::Result<()> {
        if self.blocks.is_empty() {
            let before_us = live.retained().whole_us;
            if before_us > self.before_us && matches!(store, Store::Postgres(_)) {
                self.look(live, before_us, store, beat).await.context("looking for what need not be kept")?;
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

    async fn look(&mut self, live: &Live, before_us: i64, store: &mut Store, beat: &Beat) -> anyhow::Result<()> {
        let (mut blocks, mut page) = (Vec::new(), Page::default());
        loop {
            beat.turned();
            let stored = store.blocks(&mut page).await?;
            let (retained, audit) = (live.retained(), live.audit());
            let stored = stored.into_iter();
            blocks.extend(stored.filter(|id| retained.was_reserved_before(*id, before_us) && audit.is_done(*id)));
            drop((retained, audit));
            if page.is_at_start() {
                break;
            }
        }
        (self.blocks, self.before_us, self.done_at) = (blocks, before_us, Instant::now());
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
