//! Redis or Postgres: the auditor asks both the same questions.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::bail;
use petstore::{BlockId, State};
use stores::postgres::Conflict;
use stores::{Counts, Listed, Positions};

use crate::audit::Held;

/// Reads one of the stores.
pub enum Store {
    /// Stage "cached", and how long a block is kept after its last sale.
    Redis(stores::redis::Reader, Duration),
    /// Stage "stored".
    Postgres(Box<stores::postgres::Reader>),
}

impl Store {
    /// Reads a Redis.
    pub fn redis(config: stores::redis::Config) -> Self {
        let keeps = config.block_ttl.get();
        Self::Redis(stores::redis::Reader::new(config), keeps)
    }

    /// Reads a Postgres.
    pub fn postgres(config: stores::postgres::Config) -> Self {
        Self::Postgres(Box::new(stores::postgres::Reader::new(config)))
    }

    /// How long a block is kept after its last sale; none if for ever.
    pub(crate) fn keeps(&self) -> Option<Duration> {
        match self {
            Self::Redis(_, keeps) => Some(*keeps),
            Self::Postgres(_) => None,
        }
    }

    /// The offset that the store wants next of each state's topic, as far as it has any.
    pub(crate) async fn positions(
        &mut self,
        names: &kafka::Names,
        installation: &str,
    ) -> anyhow::Result<BTreeMap<State, i64>> {
        let positions = self.positions_in(installation).await?;
        let state = |((topic, _), next): ((String, i32), i64)| Some((names.state_of(&topic)?, next));
        Ok(positions.next.into_iter().filter_map(state).collect())
    }

    /// How many Kafkas it had before this one, if it tells.
    pub(crate) async fn adopted(&mut self, installation: &str) -> anyhow::Result<u64> {
        Ok(self.positions_in(installation).await?.adopted)
    }

    /// Whether its positions are still those of an earlier Kafka: then so are all of its blocks.
    pub async fn is_of_earlier_kafka(&mut self, installation: &str) -> anyhow::Result<bool> {
        Ok(self.stored_positions().await?.installation.is_some_and(|stored| stored != installation))
    }

    async fn positions_in(&mut self, installation: &str) -> anyhow::Result<Positions> {
        let positions = self.stored_positions().await?;
        if let Some(other) = positions.installation.as_ref().filter(|other| *other != installation) {
            bail!("its positions are those of another kafka ({other}), or of this one before it was emptied");
        }
        Ok(positions)
    }

    async fn stored_positions(&mut self) -> anyhow::Result<Positions> {
        Ok(match self {
            Self::Redis(reader, _) => reader.positions().await?,
            Self::Postgres(reader) => reader.positions().await?,
        })
    }

    /// What there is of each of `blocks`, in their order.
    pub(crate) async fn counts(&mut self, blocks: &[BlockId]) -> anyhow::Result<Vec<Counts>> {
        let counts = match self {
            Self::Redis(reader, _) => reader.counts(blocks).await?,
            Self::Postgres(reader) => reader.counts(blocks).await?,
        };
        if counts.len() != blocks.len() {
            bail!("{} blocks were asked for, {} answered", blocks.len(), counts.len());
        }
        Ok(counts)
    }

    /// What there is of a block; `content`: with the content of the rows, if the store has rows.
    pub(crate) async fn held(&mut self, block: BlockId, content: bool) -> anyhow::Result<Held> {
        let mut rows = Vec::new();
        let indices: Vec<u32> = match self {
            Self::Redis(reader, _) => reader.present(block).await?,
            Self::Postgres(reader) if content => {
                rows = reader.rows(block).await?;
                rows.iter().map(|row| row.index).collect()
            }
            Self::Postgres(reader) => reader.present(block).await?.into_iter().map(|(index, _)| index).collect(),
        };
        // Indices are clamped to one beyond what any writer stores: a row made by hand must not cost its index in memory.
        Ok(Held { present: indices.into_iter().map(|index| index.min(stores::MAX_INDEX + 1)).collect(), rows })
    }

    /// What came again to a block, `limit` at most, if the store tells.
    pub(crate) async fn conflicts(&mut self, block: BlockId, limit: u32) -> anyhow::Result<Vec<Conflict>> {
        match self {
            Self::Redis(..) => Ok(Vec::new()),
            Self::Postgres(reader) => Ok(reader.conflicts(block, limit).await?),
        }
    }

    /// The next of the blocks that there are, going round and round.
    pub(crate) async fn blocks(&mut self, page: &mut Page) -> anyhow::Result<Vec<Listed>> {
        match self {
            Self::Redis(reader, _) => {
                let (cursor, blocks) = reader.blocks(page.cursor).await?;
                page.cursor = cursor;
                Ok(blocks)
            }
            Self::Postgres(reader) => {
                let blocks = reader.blocks(page.after, PAGE).await?;
                page.after = blocks.last().map(|last| last.id);
                Ok(blocks)
            }
        }
    }
}

/// Blocks that Postgres lists at once.
const PAGE: u32 = 500;

/// Where the list of a store's blocks goes on.
#[derive(Default)]
pub(crate) struct Page {
    after: Option<BlockId>,
    cursor: u64,
}

impl Page {
    pub(crate) fn is_at_start(&self) -> bool {
        self.after.is_none() && self.cursor == 0
    }
}
