//! The places where a sale must be found.

use serde::{Deserialize, Serialize};

use crate::{FLOW, Role, Row, Topic};

/// A place where a sale must be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Acknowledged by Kafka: on `sales`.
    Accepted,
    /// On the topic of its state.
    Routed,
    /// In Redis.
    Cached,
    /// In Postgres.
    Stored,
    /// Back from Postgres: on `receipts`.
    Returned,
}

/// Where the sales of a stage are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On a topic, or a family of topics.
    Topic(Topic),
    /// In a store.
    Store(Store),
}

/// A database that sales are written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Store {
    /// The cache.
    Redis,
    /// The database.
    Postgres,
}

impl Stage {
    /// All stages in the order of the flow.
    pub const ALL: [Self; 5] = [Self::Accepted, Self::Routed, Self::Cached, Self::Stored, Self::Returned];

    /// The name in metrics, reports, JSON and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Routed => "routed",
            Self::Cached => "cached",
            Self::Stored => "stored",
            Self::Returned => "returned",
        }
    }

    /// Everything that belongs to it.
    pub const fn row(self) -> &'static Row {
        &FLOW[self as usize]
    }

    /// The component that fills it, and counts what it put there.
    pub const fn component(self) -> &'static str {
        self.row().component
    }

    /// The role that fills it; none for the first stage, which the loader fills.
    pub const fn role(self) -> Option<Role> {
        self.row().role
    }

    /// The stage before it; none for the first stage.
    pub const fn after(self) -> Option<Self> {
        self.row().after
    }

    /// Where its sales are stored.
    pub const fn place(self) -> Place {
        self.row().place
    }
}
