//! Which role, and what that role needs to know.

use std::fmt;
use std::num::NonZeroUsize;
use std::time::Duration;

use serde::Deserialize;
use stores::{postgres, redis};

use crate::{fan_out, spout};

/// What one start of the program does: the variable `ETL_ROLE`.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
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

/// The role with its own variables. Those of another role are refused: they would be read by nobody.
#[derive(Clone, Debug)]
pub enum Config {
    /// Role `fan-out`.
    FanOut(fan_out::Config),
    /// Role `redis`, and `REDIS_*`.
    Redis(Sink, redis::Config),
    /// Role `postgres`, and `POSTGRES_*`.
    Postgres(Sink, postgres::Config),
    /// Role `spout`, and `POSTGRES_*`.
    Spout(spout::Config, postgres::Config),
}

/// How a sink writes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sink {
    /// Which sink; read with the rest, so that a variable that no one knows is refused.
    pub role: Role,
    /// A batch is written at the latest this long after its first sale was read: what is added to a sale's latency,
    /// against the price of a write.
    #[serde(default = "interval", with = "humantime_serde")]
    pub batch_interval: Duration,
    /// A batch of this many sales is written at once. Two are in memory at most.
    #[serde(default = "sales")]
    pub batch_sales: NonZeroUsize,
}

fn interval() -> Duration {
    Duration::from_millis(50)
}

/// Larger ones were no faster with either store.
fn sales() -> NonZeroUsize {
    NonZeroUsize::new(5_000).expect("not zero")
}

impl Config {
    /// Reads `ETL_ROLE`, then the variables of that role.
    pub fn from_env() -> anyhow::Result<Self> {
        let RoleAlone { role } = service::from_env("ETL_")?;
        Ok(match role {
            Role::FanOut => Self::FanOut(service::from_env("ETL_")?),
            Role::Redis => Self::Redis(service::from_env("ETL_")?, service::from_env("REDIS_")?),
            Role::Postgres => Self::Postgres(service::from_env("ETL_")?, service::from_env("POSTGRES_")?),
            Role::Spout => Self::Spout(service::from_env("ETL_")?, service::from_env("POSTGRES_")?),
        })
    }

    /// Which role it is.
    pub fn role(&self) -> Role {
        match self {
            Self::FanOut(_) => Role::FanOut,
            Self::Redis(..) => Role::Redis,
            Self::Postgres(..) => Role::Postgres,
            Self::Spout(..) => Role::Spout,
        }
    }
}

impl Role {
    /// How the program calls itself in reports.
    pub fn program(self) -> &'static str {
        match self {
            Self::FanOut => "etl-fan-out",
            Self::Redis => "etl-redis",
            Self::Postgres => "etl-postgres",
            Self::Spout => "etl-spout",
        }
    }

    /// The stage that a sale has reached when this role is done with it.
    pub fn stage(self) -> &'static str {
        match self {
            Self::FanOut => "routed",
            Self::Redis => "cached",
            Self::Postgres => "stored",
            Self::Spout => "returned",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FanOut => "fan-out",
            Self::Redis => "redis",
            Self::Postgres => "postgres",
            Self::Spout => "spout",
        })
    }
}

/// The role, whatever else is set.
#[derive(Deserialize)]
struct RoleAlone {
    role: Role,
}
