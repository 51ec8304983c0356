//! Which log a record was read from.

use std::collections::BTreeMap;
use std::fmt;

use petstore::State;
use serde::{Deserialize, Serialize};

/// A log that the auditor reads itself: one partition of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Source {
    State(State),
    Rejected,
    Receipts(u16),
}

impl Source {
    /// All sources, in their order. `receipts`: how many partitions that topic has, 0 if it isn't read.
    pub(crate) fn all(receipts: u16) -> Vec<Self> {
        let states = State::ALL.into_iter().map(Self::State);
        states.chain([Self::Rejected]).chain((0..receipts).map(Self::Receipts)).collect()
    }

    pub(crate) fn partition(self, names: &kafka::Names) -> (String, i32) {
        match self {
            Self::State(state) => (names.state(state), 0),
            Self::Rejected => (names.rejected(), 0),
            Self::Receipts(partition) => (names.receipts(), partition.into()),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::State(state) => write!(f, "topic of {state}"),
            Self::Rejected => f.write_str("sales.rejected"),
            Self::Receipts(partition) => write!(f, "receipts, partition {partition}"),
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Positions(BTreeMap<Source, i64>);

impl Positions {
    /// The next offset of a source; 0 if nothing was read.
    pub(crate) fn at(&self, source: Source) -> i64 {
        self.0.get(&source).copied().unwrap_or(0)
    }

    pub(crate) fn set(&mut self, source: Source, next: i64) {
        self.0.insert(source, next);
    }

    /// Whether every one of these sources was read to its end.
    pub(crate) fn passed(&self, sources: &[Source], ends: &[i64]) -> bool {
        sources.iter().zip(ends).all(|(source, end)| self.at(*source) >= *end)
    }

    pub(crate) fn sum(&self) -> u64 {
        self.0.values().map(|next| next.unsigned_abs()).sum()
    }
}
