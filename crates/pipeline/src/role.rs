//! The roles of etl: each moves a sale one stage on.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{FLOW, Place, Stage, Topic};

/// A role of etl.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// From `sales` to the topics of the states.
    FanOut,
    /// From there into Redis.
    Redis,
    /// From there into Postgres.
    Postgres,
    /// From Postgres back to Kafka.
    Spout,
}

impl Role {
    /// All roles in the order of the flow.
    pub const ALL: [Self; 4] = [Self::FanOut, Self::Redis, Self::Postgres, Self::Spout];

    /// The name of the role and of its consumer group, and the first part of its transactional ids.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FanOut => "fan-out",
            Self::Redis => "redis",
            Self::Postgres => "postgres",
            Self::Spout => "spout",
        }
    }

    /// The stage that a sale has reached when this role has processed it.
    pub const fn stage(self) -> Stage {
        match self {
            Self::FanOut => Stage::Routed,
            Self::Redis => Stage::Cached,
            Self::Postgres => Stage::Stored,
            Self::Spout => Stage::Returned,
        }
    }

    /// The component that runs it.
    pub const fn component(self) -> &'static str {
        self.stage().component()
    }

    /// The topics that its group subscribes to, in whose offsets its positions are counted: those of the nearest stage
    /// before it that is on topics. The spout reads the sales themselves from Postgres instead.
    pub const fn topics(self) -> Topic {
        let mut after = self.stage().after();
        while let Some(stage) = after {
            if let Place::Topic(topic) = FLOW[stage as usize].place {
                return topic;
            }
            after = stage.after();
        }
        Topic::Sales
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
