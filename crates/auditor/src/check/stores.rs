//! What a store has of the blocks that are judged.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::bail;
use petstore::{BlockId, State};

use super::sample::{Place, Sample};
use crate::ledger::Held;
use crate::store::Store;

/// Between two looks at a store's position.
const REST: Duration = Duration::from_millis(500);

/// Waits until a store's position has passed these offsets; false if it has not in time, and why.
pub(super) async fn pass(
    store: &mut Store,
    names: &kafka::Names,
    installation: &str,
    highest: &BTreeMap<State, i64>,
    deadline: Instant,
) -> Result<(), String> {
    loop {
        let why = match store.positions(names, installation).await {
            Ok(positions) => {
                let behind = highest
                    .iter()
                    .filter(|(state, highest)| positions.get(state).is_none_or(|next| next <= highest))
                    .count();
                if behind == 0 {
                    return Ok(());
                }
                format!("has not passed {behind} of {} topics", highest.len())
            }
            Err(err) => format!("{err:#}"),
        };
        if Instant::now() >= deadline {
            return Err(why);
        }
        tokio::time::sleep(REST).await;
    }
}

/// Reads every block that is judged, sale by sale.
pub(super) async fn read(
    store: &mut Store,
    place: Place,
    sample: &mut Sample,
    deadline: Instant,
) -> anyhow::Result<()> {
    let blocks: Vec<BlockId> = sample.blocks.keys().copied().collect();
    for id in blocks {
        loop {
            match block(store, id).await {
                Ok((held, conflicts)) => {
                    sample.count_store(place, id, held.present.to_ranges().iter(), conflicts);
                    for row in &held.rows {
                        let columns = row.receipt.as_ref().ok().map(petstore::receipt_digest);
                        sample.compare_row(id.sale(row.index), row.digest, columns);
                    }
                    break;
                }
                Err(err) if Instant::now() >= deadline => return Err(err),
                Err(_) => tokio::time::sleep(REST).await,
            }
        }
        if Instant::now() >= deadline {
            bail!("not all of it could be read in time");
        }
    }
    Ok(())
}

/// One block, whole or not at all.
async fn block(store: &mut Store, id: BlockId) -> anyhow::Result<(Held, u64)> {
    let counts = store.counts(&[id]).await?;
    let conflicts = counts.first().map_or(0, |counts| counts.conflicts);
    Ok((store.held(id).await?, conflicts))
}
