//! The loaders' account on `kapture.blocks`: what was reserved, sent and acknowledged, block by block.
//!
//! Key: the [`BlockId`] as text. Value: a [`BlockRecord`] as JSON. The topic is compacted, so every record says all
//! there is to say of its block. Records are written in transactions by a producer whose id is the loader's ordinal:
//! once a successor has begun, its predecessor can no longer change the account.
//!
//! What must be found of a block at every stage:
//! - an index in `acknowledged`: exactly once;
//! - an index from [`BlockRecord::first_unsent`] on: never, it was never handed to the client;
//! - any other index: at most once, and nobody can say which ("unknown").
//!
//! A successor closes what its predecessor left open as [`Phase::Cut`]. A loader that never comes back leaves its
//! blocks open: when it has said nothing of any of them for [`SILENT_AFTER`], they are judged as if they had been cut.

use std::time::Duration;

use petstore::{BlockId, Parameters};
use serde::{Deserialize, Serialize};

use crate::{BlockEntry, Config, Ranges, read_committed};

/// A loader publishes every second; one that is silent for this long is taken for gone.
pub const SILENT_AFTER: Duration = Duration::from_mins(2);

/// All that is known of one block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockRecord {
    /// Which start of the loader wrote this; random.
    pub incarnation: u64,
    /// What the block can be generated from again.
    pub parameters: Parameters,
    /// How far it has come.
    pub phase: Phase,
    /// The indices that Kafka acknowledged.
    pub acknowledged: Ranges,
    /// Indices from here on were never handed to the client. Known once the block is closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<u32>,
    /// The load that it is sent for; earlier releases didn't say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<LoadRecord>,
    /// When the block was reserved: unix time, microseconds. None of its sales is older.
    pub reserved_at_us: i64,
    /// When this record was written: unix time, microseconds.
    pub updated_at_us: i64,
}

/// A load: what its loader was asked to do, and since when. It goes on over restarts of the loader, and ends once.
///
/// It stands in every block's record, so that it is known as long as any of its blocks is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadRecord {
    /// When it began: unix time, microseconds.
    pub began_at_us: i64,
    /// Its configured rate: sales in a million seconds. A rate that is set for a while is not recorded.
    pub micro_rate: u64,
    /// How long it lasts, in microseconds.
    pub length_us: u64,
    /// A hash of how the rate changes with time; 0 if it does not.
    #[serde(default)]
    pub shape: u64,
    /// Which way its sales take.
    #[serde(default)]
    pub via: Via,
}

/// Which way sales take from the loader to Kafka.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// The loader's own client sends them, in order.
    #[default]
    Kafka,
    /// The shop takes each by HTTP. Many are on their way at once, so that the order is neither promised nor judged.
    Webapp,
}

/// How far a block has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Taken by a loader; nothing is acknowledged yet.
    Reserved,
    /// Being sent.
    Progress,
    /// Nothing more will be sent of it, and what was acknowledged is final.
    Closed,
    /// Its loader died; what it last published as acknowledged is final.
    Cut,
}

impl BlockRecord {
    /// Whether its sales come in order.
    pub fn is_in_order(&self) -> bool {
        self.load.is_none_or(|load| load.via == Via::Kafka)
    }

    /// Indices from here on were never handed to the client; `u32::MAX` while nobody can say.
    ///
    /// What was acknowledged was sent, whatever `end` says.
    pub fn first_unsent(&self) -> u32 {
        match (self.phase, self.end) {
            (Phase::Closed, Some(end)) => end.max(self.acknowledged.ranges().last().map_or(0, |(_, after)| after)),
            _ => u32::MAX,
        }
    }
}

impl Phase {
    /// Whether `acknowledged` can no longer grow.
    pub fn is_final(self) -> bool {
        matches!(self, Phase::Closed | Phase::Cut)
    }
}

/// A block's record and where it lies on the topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Which block.
    pub id: BlockId,
    /// Its record.
    pub record: BlockRecord,
    /// The record's offset.
    pub offset: i64,
}

/// The last record of every block, in the order of their offsets. Blocks; see [`read_committed`].
///
/// A record of another model, which this version can't generate again, is left out with a warning.
pub fn read_all(config: &Config, limit: Duration) -> anyhow::Result<Vec<Published>> {
    let mut last = std::collections::HashMap::new();
    read_committed(config, &config.names().blocks(), limit, |record| {
        let Some((id, entry)) = BlockEntry::read(record) else { return };
        match entry {
            BlockEntry::Is(block) => {
                last.insert(id, Published { id, record: *block, offset: record.offset() });
            }
            // By the auditor, perhaps: its older record may still be there.
            BlockEntry::Deleted => drop(last.remove(&id)),
            BlockEntry::OfAnotherModel => tracing::warn!("leaving out block {id}: it is of another model"),
            BlockEntry::Unreadable(reason) => tracing::warn!("leaving out a block: {reason}"),
        }
    })?;
    let mut all: Vec<Published> = last.into_values().collect();
    all.sort_unstable_by_key(|published| published.offset);
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_closed_block_ends_and_not_before_what_was_acknowledged() {
        let first_unsent = |phase, end, acknowledged: &[(u32, u32)]| {
            let record = BlockRecord {
                incarnation: 1,
                parameters: Parameters::default(),
                phase,
                acknowledged: Ranges::from(acknowledged.to_vec()),
                end,
                load: None,
                reserved_at_us: 0,
                updated_at_us: 0,
            };
            record.first_unsent()
        };
        assert_eq!(first_unsent(Phase::Closed, Some(10), &[(0, 8)]), 10);
        assert_eq!(first_unsent(Phase::Closed, Some(10), &[(0, 8), (11, 12)]), 12);
        assert_eq!(first_unsent(Phase::Closed, Some(0), &[]), 0);
        for (phase, end) in [(Phase::Closed, None), (Phase::Cut, Some(10)), (Phase::Progress, Some(10))] {
            assert_eq!(first_unsent(phase, end, &[(0, 8)]), u32::MAX);
        }
    }
}
