//! The roles of etl: each moves a sale one stage on.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{FLOW, Place, Stage, Store, Topic};

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
    /// All roles in the order of the flow: one for each stage but the first.
    pub const ALL: [Self; FLOW.len() - 1] = {
        let (mut all, mut at) = ([Self::FanOut; FLOW.len() - 1], 0);
        while at < all.len() {
            all[at] = FLOW[at + 1].role.expect("the loader fills the first stage only");
            at += 1;
        }
        all
    };

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
        let mut at = 0;
        while Self::ALL[at] as u8 != self as u8 {
            at += 1;
        }
        FLOW[at + 1].stage
    }

    /// The component that runs it.
    pub const fn component(self) -> &'static str {
        self.stage().component()
    }

    /// The store that it writes to, or reads from; none if it only moves sales from topic to topic.
    pub const fn store(self) -> Option<Store> {
        match (self.stage().place().store(), self.stage().after()) {
            (Some(store), _) => Some(store),
            (None, Some(before)) => before.place().store(),
            (None, None) => None,
        }
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
