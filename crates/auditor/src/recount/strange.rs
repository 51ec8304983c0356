//! What nobody sent.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use petstore::{BlockId, SaleId};
use tokio::runtime::Handle;

use super::account::Account;
use super::logs::Kafka;
use super::read::installation;
use crate::audit::findings::Stage;
use crate::config::Stores;
use crate::store::Page;

/// Asking which Kafka this is.
const ASKING: Duration = Duration::from_secs(30);

/// Sales, and whole blocks, that nobody sent.
#[derive(Debug, Default)]
pub(super) struct Strange {
    /// On topics.
    pub(super) sales: BTreeMap<(Stage, SaleId), u64>,
    /// In stores.
    pub(super) blocks: BTreeMap<(Stage, BlockId), u64>,
    /// In stores, and of an earlier Kafka: its loaders' account is gone, so nobody can judge them.
    pub(super) earlier: BTreeMap<(Stage, BlockId), u64>,
}

impl Strange {
    /// Where a block was strange first.
    pub(super) fn first(&self, stage: Stage, id: BlockId) -> bool {
        let before = |at: Stage| {
            self.blocks.contains_key(&(at, id))
                || self.sales.keys().any(|(on, sale)| (*on, sale.block_id()) == (at, id))
        };
        !stage.before().any(before)
    }
}

/// The blocks in the stores that had not been reserved at the cut: those of an earlier Kafka, and those that nobody reserved.
pub(super) fn strange_blocks(
    kafka: &Kafka,
    stores: &mut Stores,
    account: &Account,
    strange: &mut Strange,
) -> anyhow::Result<()> {
    let runtime = Handle::current();
    let installation = installation(&kafka.config, Instant::now() + ASKING)?;
    for (stage, store) in [(Stage::Cached, &mut stores.redis), (Stage::Stored, &mut stores.postgres)] {
        let Some(store) = store else { continue };
        // Before it lists its blocks: what it stores after it has adopted this Kafka has been reserved by then.
        let are_earlier = runtime.block_on(store.is_of_earlier_kafka(&installation))?;
        let mut page = Page::default();
        loop {
            let mut blocks = runtime.block_on(store.blocks(&mut page))?;
            blocks.retain(|listed| !account.has_reserved(listed.id));
            if !blocks.is_empty() {
                let ids: Vec<BlockId> = blocks.iter().map(|listed| listed.id).collect();
                for (listed, counts) in blocks.iter().zip(runtime.block_on(store.counts(&ids))?) {
                    let is_earlier = listed.is_earlier || are_earlier;
                    let found = if is_earlier { &mut strange.earlier } else { &mut strange.blocks };
                    if counts.found > 0 {
                        found.insert((stage, listed.id), counts.found);
                    }
                }
            }
            if page.is_at_start() {
                break;
            }
        }
    }
    Ok(())
}
