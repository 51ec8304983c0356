//! Which log a record was read from.

use std::fmt;

use petstore::State;
use serde::{Deserialize, Serialize};

/// A log that the auditor reads itself: one partition of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The topic of a state.
    State(State),
    /// `sales.rejected`.
    Rejected,
    /// A partition of `receipts`.
    Receipts(u16),
}

/// Sources before the partitions of `receipts`.
const FIXED: usize = State::ALL.len() + 1;

impl Source {
    /// All sources, in the order of their numbers. `receipts`: how many partitions that topic has, 0 if it isn't read.
    pub fn all(receipts: u16) -> Vec<Self> {
        let states = State::ALL.into_iter().map(Self::State);
        states.chain([Self::Rejected]).chain((0..receipts).map(Self::Receipts)).collect()
    }

    /// The topic, and the partition of it.
    pub fn partition(self, names: &kafka::Names) -> (String, i32) {
        match self {
            Self::State(state) => (names.state(state), 0),
            Self::Rejected => (names.rejected(), 0),
            Self::Receipts(partition) => (names.receipts(), partition.into()),
        }
    }

    /// Counted from 0.
    pub(crate) fn number(self) -> usize {
        match self {
            Self::State(state) => state.index(),
            Self::Rejected => FIXED - 1,
            Self::Receipts(partition) => FIXED + usize::from(partition),
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

/// How far every source was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Positions(Vec<i64>);

impl Positions {
    /// The next offset of a source; 0 if nothing was read.
    pub fn at(&self, source: Source) -> i64 {
        self.0.get(source.number()).copied().unwrap_or(0)
    }

    /// Sets the next offset.
    pub fn set(&mut self, source: Source, next: i64) {
        let number = source.number();
        if number >= self.0.len() {
            self.0.resize(number + 1, 0);
        }
        self.0[number] = next;
    }

    /// The sum of all offsets.
    pub fn sum(&self) -> u64 {
        self.0.iter().map(|next| next.unsigned_abs()).sum()
    }
}
