//! Asks one store, every few seconds, what it has of the open blocks.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use anyhow::Context;
use petstore::BlockId;
use service::{Beat, Health};
use tracing::{info, warn};

use super::prune::Pruning;
use super::{Live, STUCK};
use crate::audit::bits::Bits;
use crate::audit::findings::Stage;
use crate::audit::{Asked, STORES};
use crate::store::{Page, Store};

/// Between two passes over the open blocks.
const REST: Duration = Duration::from_secs(2);
/// Blocks in one question.
const BLOCKS: usize = 500;
/// Blocks that are looked at sale by sale in one pass. A store that lost more has its counts, and names come later.
const LOOKED_AT: usize = 50;
/// The last look at what a store holds. What it does not answer by then can't be judged.
const ASKING: Duration = Duration::from_secs(15);
/// Conflicts of a block that are named.
const CONFLICTS: u32 = 20;

/// Watches a store by its number, if there is one, until the end, or until Kafka is replaced: then gives what the store holds
/// of the blocks of which something is late.
pub(super) async fn run(live: &Live, number: usize, store: Option<Store>, health: &Health) -> HashMap<BlockId, Bits> {
    let Some(mut store) = store else { return HashMap::new() };
    let beat = health.loop_(STORES[number].name(), STUCK);
    tokio::select! {
        biased;
        () = live.shutdown.cancelled() => HashMap::new(),
        () = watch(live, number, &mut store, &beat) => last_look(live, number, &mut store, &beat).await,
    }
}

/// Until Kafka is replaced.
async fn watch(live: &Live, number: usize, store: &mut Store, beat: &Beat) {
    let stage = STORES[number].name();
    let (mut away, mut page, mut pruning) = (false, Page::default(), Pruning::new());
    loop {
        tokio::time::sleep(REST).await;
        beat.turned();
        match live.watch.is_sure() {
            Ok(true) => {}
            Ok(false) => continue,
            Err(_) => return,
        }
        // Before the account of blocks is read, all that a store has is strange.
        if !live.has_started() {
            continue;
        }
        let begun = Instant::now();
        let passed = pass(live, number, store, &mut page, beat).await;
        match &passed {
            Ok(()) if away => info!(stage, "the store answers again"),
            Ok(()) => live.audit().comparing_took(begun.elapsed()),
            Err(err) => {
                live.metrics.errors.inc();
                if !away {
                    info!(stage, "waiting for the store: {err:#}");
                }
            }
        }
        away = passed.is_err();
        if !away && let Err(err) = pruning.turn(live, store, beat).await {
            live.metrics.errors.inc();
            info!(stage, "pruning again in a moment: {err:#}");
        }
    }
}

/// What a store holds of all blocks of which something is late.
async fn last_look(live: &Live, number: usize, store: &mut Store, beat: &Beat) -> HashMap<BlockId, Bits> {
    let mut held = HashMap::new();
    let looking = async {
        let unsettled = live.audit().unsettled();
        for blocks in unsettled.chunks(BLOCKS) {
            for (id, counts) in blocks.iter().zip(store.counts(blocks).await?) {
                beat.turned();
                held.insert(
                    *id,
                    if counts.found > 0 { store.held(*id, false).await?.present } else { Bits::default() },
                );
            }
        }
        anyhow::Ok(())
    };
    if let Err(err) = tokio::time::timeout(ASKING, looking).await.context("it took too long").flatten() {
        warn!(stage = STORES[number].name(), "what it has not answered can't be judged: {err:#}");
    }
    held
}

async fn pass(live: &Live, number: usize, store: &mut Store, page: &mut Page, beat: &Beat) -> anyhow::Result<()> {
    let mut after: Option<BlockId> = None;
    let mut looked_at = 0;
    // An error while it has another Kafka's positions: the blocks that it lists are that one's, and would all be strange here.
    let adopted = store.adopted(&live.installation).await?;
    live.audit().store_adopted(adopted);
    if let Some(keeps) = store.keeps() {
        // Sooner rather than later, since loaders have clocks of their own.
        let age = i64::try_from((keeps / 16 * 15).as_micros()).unwrap_or(i64::MAX);
        live.audit().store_forgets(number, service::unix_us().saturating_sub(age));
    }
    loop {
        // The order is the proof: first what was seen, then the store's position, then what it has.
        let asked = live.audit().ask(number, after, BLOCKS);
        let Some(last) = asked.last() else { break };
        after = Some(last.id);
        let positions = store.positions(&live.names, &live.installation).await?;
        let counts = store.counts(&asked.iter().map(|asked| asked.id).collect::<Vec<_>>()).await?;
        let mut whole = Vec::new();
        for (asked, counts) in asked.iter().zip(counts) {
            beat.turned();
            let found = u32::try_from(counts.found).unwrap_or(u32::MAX);
            if live.audit().store_said(number, asked, &positions, (found, counts.conflicts)) {
                let conflicts = store.conflicts(asked.id, CONFLICTS).await?;
                live.audit().store_conflicts(&conflicts);
            }
            if !asked.is_passed_by(&positions) {
                continue;
            }
            if asked.is_to_verify {
                verify(live, number, store, asked).await?;
            } else if found >= asked.seen.len() {
                whole.push((asked, found));
            } else if looked_at < LOOKED_AT {
                looked_at += 1;
                let held = store.held(asked.id, false).await?;
                live.audit().store_holds(number, asked, &held.present);
            }
        }
        if !whole.is_empty() {
            let positions = store.positions(&live.names, &live.installation).await?;
            let mut audit = live.audit();
            for (asked, found) in whole {
                audit.store_has_all(number, asked, found, &positions);
            }
        }
    }
    strange_blocks(live, STORES[number], store, page).await
}

/// Compares all that the store holds of a block of which nothing more is expected.
async fn verify(live: &Live, number: usize, store: &mut Store, asked: &Asked) -> anyhow::Result<()> {
    let held = store.held(asked.id, asked.compares).await?;
    let more = live.audit().is_more(asked, &held.present);
    // After what it holds: all of that came from below.
    let positions = if more { store.positions(&live.names, &live.installation).await? } else { BTreeMap::new() };
    live.audit().store_verified(number, asked, &held, positions);
    Ok(())
}

/// Looks for blocks that nobody reserved.
async fn strange_blocks(live: &Live, stage: Stage, store: &mut Store, page: &mut Page) -> anyhow::Result<()> {
    let blocks = store.blocks(page).await?.into_iter();
    let blocks: Vec<BlockId> = blocks.filter(|listed| !listed.is_earlier).map(|listed| listed.id).collect();
    let strange = live.audit().strange_blocks(stage, &blocks);
    let counts = if strange.is_empty() { Vec::new() } else { store.counts(&strange).await? };
    for (id, counts) in strange.into_iter().zip(counts) {
        live.audit().strange_block(stage, id, counts.found);
    }
    Ok(())
}
