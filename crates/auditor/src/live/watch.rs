//! Asks one store, every few seconds, what it has of the open blocks.

use std::time::Duration;

use petstore::BlockId;
use service::Beat;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::Live;
use crate::bits::Bits;
use crate::ledger::STORES;
use crate::store::Store;

/// Between two passes over the open blocks.
const REST: Duration = Duration::from_secs(2);
/// Blocks in one question.
const BLOCKS: usize = 500;
/// Blocks that are looked at sale by sale in one pass. A store that lost more has its counts, and names come later.
const LOOKED_AT: usize = 50;

/// Watches store number `store` until `shutdown`.
pub(super) async fn run(
    live: &Live,
    number: usize,
    mut store: Store,
    beat: &Beat,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    let mut away = false;
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return Ok(()),
            () = tokio::time::sleep(REST) => {}
        }
        beat.turned();
        let passed = tokio::select! {
            biased;
            () = shutdown.cancelled() => return Ok(()),
            passed = pass(live, number, &mut store) => passed,
        };
        match &passed {
            Ok(()) if away => info!(stage = STORES[number].name(), "the store answers again"),
            Ok(()) => {}
            Err(err) => {
                live.metrics.errors.inc();
                if !away {
                    info!(stage = STORES[number].name(), "waiting for the store: {err:#}");
                }
            }
        }
        away = passed.is_err();
    }
}

async fn pass(live: &Live, number: usize, store: &mut Store) -> anyhow::Result<()> {
    let mut after: Option<BlockId> = None;
    let mut looked_at = 0;
    loop {
        // The order is the proof: first what was seen, then the store's position, then what it has.
        let asked = live.ledger().ask(after, BLOCKS);
        let Some(last) = asked.last() else { return Ok(()) };
        after = Some(last.id);
        let positions = store.positions(&live.names, &live.installation).await?;
        let counts = store.counts(&asked.iter().map(|asked| asked.id).collect::<Vec<_>>()).await?;
        for (asked, counts) in asked.iter().zip(counts) {
            let passed = asked.is_passed_by(&positions);
            let found = u32::try_from(counts.found).unwrap_or(u32::MAX);
            live.ledger().store_said(number, asked, found, counts.conflicts, passed);
            if passed && found < asked.seen().len() && looked_at < LOOKED_AT {
                looked_at += 1;
                let present: Bits = store.present(asked.id).await?.iter().collect();
                live.ledger().store_misses(number, asked, present.missing_from(asked.seen()));
            }
        }
    }
}
