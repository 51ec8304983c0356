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
    pub const ALL: [Self; FLOW.len()] = {
        let (mut all, mut at) = ([Self::Accepted; FLOW.len()], 0);
        while at < FLOW.len() {
            all[at] = FLOW[at].stage;
            at += 1;
        }
        all
    };

    /// Those whose sales are in a store, in the order of the flow.
    pub const STORES: [Self; stores()] = {
        let (mut all, mut at, mut store) = ([Self::Accepted; stores()], 0, 0);
        while at < FLOW.len() {
            if FLOW[at].place.store().is_some() {
                all[store] = FLOW[at].stage;
                store += 1;
            }
            at += 1;
        }
        all
    };

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

    /// The stages that a sale has passed before it, the nearest first.
    pub fn before(self) -> impl Iterator<Item = Self> {
        std::iter::successors(self.after(), |stage| stage.after())
    }

    /// Where its sales are stored.
    pub const fn place(self) -> Place {
        self.row().place
    }

    /// The stage of that name, if there is one.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.name() == name)
    }
}

impl Place {
    /// The store; none if it is a topic.
    pub const fn store(self) -> Option<Store> {
        match self {
            Self::Topic(_) => None,
            Self::Store(store) => Some(store),
        }
    }
}

impl Store {
    /// The name of the server, which is a component of the chart.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::Postgres => "postgres",
        }
    }
}

const fn stores() -> usize {
    let (mut count, mut at) = (0, 0);
    while at < FLOW.len() {
        count += FLOW[at].place.store().is_some() as usize;
        at += 1;
    }
    count
}
