//! What a store has of the blocks that are judged.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use petstore::{BlockId, State};

use super::sample::{Place, Sample};
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
    for blocks in blocks.chunks(100) {
        let counts = store.counts(blocks).await?;
        for (id, counts) in blocks.iter().zip(counts) {
            if Instant::now() >= deadline {
                anyhow::bail!("not all of it could be read in time");
            }
            let present = store.present(*id).await?;
            sample.count_store(place, *id, present.iter(), counts.conflicts);
        }
    }
    Ok(())
}
