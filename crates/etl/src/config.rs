//! Which role, and what that role needs to know.

use std::num::NonZeroUsize;

use pipeline::Role;
use serde::Deserialize;
use service::{Environment, Interval};
use stores::{postgres, redis};

use crate::{fan_out, spout};

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
    #[serde(default = "interval")]
    pub batch_interval: Interval,
    /// A batch of this many sales is written at once. Two are in memory at most.
    #[serde(default = "sales")]
    pub batch_sales: NonZeroUsize,
    /// Whether to go on when Kafka was emptied or replaced, for a Kafka that keeps nothing: the store's positions are dropped,
    /// its sales stay. Otherwise the sink stops, because the Kafka may be the wrong one.
    #[serde(default)]
    pub adopt_new_kafka: bool,
}

fn interval() -> Interval {
    Interval::from_ms::<50>()
}

/// Larger ones were no faster with either store.
fn sales() -> NonZeroUsize {
    NonZeroUsize::new(5_000).expect("not zero")
}

impl Config {
    /// Reads `ETL_ROLE`, then the variables of that role.
    pub fn read(environment: &Environment) -> anyhow::Result<Self> {
        let RoleAlone { role } = environment.read("ETL_")?;
        Ok(match role {
            Role::FanOut => Self::FanOut(environment.read("ETL_")?),
            Role::Redis => Self::Redis(environment.read("ETL_")?, environment.read("REDIS_")?),
            Role::Postgres => Self::Postgres(environment.read("ETL_")?, environment.read("POSTGRES_")?),
            Role::Spout => Self::Spout(environment.read("ETL_")?, environment.read("POSTGRES_")?),
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

/// The role, whatever else is set.
#[derive(Deserialize)]
struct RoleAlone {
    role: Role,
}

#[cfg(test)]
mod tests {
    use test_servers::bounds;

    use super::*;

    #[test]
    fn a_sink_adopts_another_kafka_only_if_it_is_told_to() {
        let adopts = |variables: &[(&str, &str)]| {
            let variables = [("ETL_ROLE", "redis"), ("REDIS_HOST", "redis")].iter().chain(variables);
            let variables = variables.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            match Config::read(&variables.collect()).unwrap() {
                Config::Redis(sink, _) => sink.adopt_new_kafka,
                other => panic!("{other:?}"),
            }
        };
        assert!(!adopts(&[]));
        assert!(adopts(&[("ETL_ADOPT_NEW_KAFKA", "true")]));
    }

    #[test]
    fn accepts_and_refuses_what_the_chart_does() {
        bounds::check("ETL_", |variables| Config::read(&variables.collect()));
        bounds::check("KAFKA_", |variables| variables.collect::<Environment>().read::<kafka::Config>("KAFKA_"));
        for (prefix, role) in [("REDIS_", "redis"), ("POSTGRES_", "postgres"), ("POSTGRES_", "spout")] {
            let own = [("ETL_ROLE", role), ("ETL_INSTANCE", "0")].into_iter().take(if role == "spout" { 2 } else { 1 });
            let own: Vec<_> = own.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            bounds::check(prefix, |variables| Config::read(&variables.chain(own.clone()).collect()));
        }
    }
}
