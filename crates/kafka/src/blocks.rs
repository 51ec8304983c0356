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

use anyhow::Context;
use petstore::{BlockId, MODEL, Parameters};
use rdkafka::Message;
use serde::{Deserialize, Serialize};

use crate::{Config, Ranges, read_to_end};

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
    /// Its rate: sales in a million seconds.
    pub micro_rate: u64,
    /// How long it lasts, in microseconds.
    pub length_us: u64,
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

/// Reads one record of `kapture.blocks`; `None` if it is something else than a block, such as an installation's mark.
pub fn decode<M: Message>(message: &M) -> anyhow::Result<Option<Published>> {
    let key = message.key().and_then(|key| str::from_utf8(key).ok()).unwrap_or_default();
    let (Ok(id), Some(value)) = (key.parse::<BlockId>(), message.payload()) else {
        return Ok(None);
    };
    let record = serde_json::from_slice(value)
        .with_context(|| format!("reading the record of block {id} at offset {}", message.offset()))?;
    Ok(Some(Published { id, record, offset: message.offset() }))
}

/// The block whose record this removes from the topic, if it is a tombstone.
pub fn removed<M: Message>(message: &M) -> Option<BlockId> {
    let key = message.key().filter(|_| message.payload().is_none())?;
    str::from_utf8(key).ok()?.parse().ok()
}

/// Whether a record that can't be read is a block's of another model, which only the release that wrote it can generate
/// again.
pub(crate) fn has_another_model(value: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Record {
        parameters: Model,
    }
    #[derive(Deserialize)]
    struct Model {
        model: u32,
    }
    serde_json::from_slice(value).is_ok_and(|record: Record| record.parameters.model != MODEL)
}

/// The last record of every block, in the order of their offsets. Blocks; see [`read_to_end`].
///
/// A record of another model, which this version can't generate again, is left out with a warning.
pub fn read_all(config: &Config, limit: Duration) -> anyhow::Result<Vec<Published>> {
    let mut last = std::collections::HashMap::new();
    read_to_end(config, &config.names().blocks(), limit, |message| {
        match decode(message) {
            Ok(Some(published)) => drop(last.insert(published.id, published)),
            // Deleted by the auditor, perhaps: its older record may still be there.
            Ok(None) => drop(removed(message).and_then(|id| last.remove(&id))),
            Err(err) => tracing::warn!("leaving out a block: {err:#}"),
        }
        Ok(())
    })?;
    let mut all: Vec<Published> = last.into_values().collect();
    all.sort_unstable_by_key(|published| published.offset);
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_another_model_is_told_from_one_that_is_broken() {
        let of =
            |model: u32| format!(r#"{{"incarnation":1,"parameters":{{"model":{model},"of":"later"}},"phase":"new"}}"#);
        assert!(has_another_model(of(MODEL + 1).as_bytes()));
        assert!(!has_another_model(of(MODEL).as_bytes()) && !has_another_model(b"{}") && !has_another_model(b"x"));
    }

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
