//! A store's positions, and how many sales of a block it holds.

use std::collections::BTreeMap;

use petstore::BlockId;

/// A topic and a partition of it.
pub type Partition = (String, i32);

/// How far a store has come in every partition that it ever wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Positions {
    /// Which Kafka the positions count in; none before the first write.
    pub installation: Option<String>,
    /// How many Kafkas there were before it (see [`crate::Adopt`]), if the store keeps that: Redis does not.
    pub adopted: u64,
    /// One after the last offset written. A partition that is not in the map is at 0.
    pub next: BTreeMap<Partition, i64>,
}

/// A block of which a store holds sales.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Which block.
    pub id: BlockId,
    /// Whether it came from a Kafka before the one that the positions count in (see [`crate::Adopt`]).
    pub is_earlier: bool,
}

/// What a store holds of one block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Sales that are there, each counted once.
    pub found: u64,
    /// Times that a sale arrived again, at another offset.
    pub conflicts: u64,
}
