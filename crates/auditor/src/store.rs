//! Redis or Postgres: the auditor asks both the same.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::bail;
use kafka::Ranges;
use petstore::{BlockId, State};
use stores::Counts;

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
        let keeps = config.block_ttl;
        Self::Redis(stores::redis::Reader::new(config), keeps)
    }

    /// Reads a Postgres.
    pub fn postgres(config: stores::postgres::Config) -> Self {
        Self::Postgres(Box::new(stores::postgres::Reader::new(config)))
    }

    /// How long a block is kept after its last sale; none if for ever.
    pub fn keeps(&self) -> Option<Duration> {
        match self {
            Self::Redis(_, keeps) => Some(*keeps),
            Self::Postgres(_) => None,
        }
    }

    /// The offset that the store wants next of each state's topic, as far as it has any.
    pub async fn positions(
        &mut self,
        names: &kafka::Names,
        installation: &str,
    ) -> anyhow::Result<BTreeMap<State, i64>> {
        let positions = match self {
            Self::Redis(reader, _) => reader.positions().await?,
            Self::Postgres(reader) => reader.positions().await?,
        };
        if let Some(other) = positions.installation.filter(|other| other != installation) {
            bail!("its positions are those of another kafka ({other}), or of this one before it was emptied");
        }
        let state = |((topic, _), next): ((String, i32), i64)| Some((names.state_of(&topic)?, next));
        Ok(positions.next.into_iter().filter_map(state).collect())
    }

    /// What there is of each of `blocks`, in their order.
    pub async fn counts(&mut self, blocks: &[BlockId]) -> anyhow::Result<Vec<Counts>> {
        let counts = match self {
            Self::Redis(reader, _) => reader.counts(blocks).await?,
            Self::Postgres(reader) => reader.counts(blocks).await?,
        };
        if counts.len() != blocks.len() {
            bail!("{} blocks were asked for, {} answered", blocks.len(), counts.len());
        }
        Ok(counts)
    }

    /// Which sales of a block are there.
    pub async fn present(&mut self, block: BlockId) -> anyhow::Result<Ranges> {
        let mut indices = match self {
            Self::Redis(reader, _) => reader.present(block).await?,
            Self::Postgres(reader) => reader.present(block).await?.into_iter().map(|(index, _)| index).collect(),
        };
        indices.retain(|index| *index < u32::MAX);
        Ok(Ranges::from(indices.into_iter().map(|index| (index, index + 1)).collect::<Vec<_>>()))
    }
}
