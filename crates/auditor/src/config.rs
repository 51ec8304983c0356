//! `AUDITOR_*`: which stores there are, and how they are reached.

use anyhow::bail;
use pipeline::{PerStage, Stage};
use serde::Deserialize;

use crate::store::Store;

/// The variables `AUDITOR_*`.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Whether sales are to be found in Redis; `REDIS_*` is read only then.
    pub redis: bool,
    /// Whether sales are to be found in Postgres; `POSTGRES_*` is read only then.
    pub postgres: bool,
    /// Whether what is in Postgres is to come back on `receipts`.
    pub returned: bool,
}

/// What is watched behind the states' topics.
#[derive(Default)]
pub struct Stores {
    /// Stage "cached", if there is a Redis.
    pub redis: Option<Store>,
    /// Stage "stored", if there is a Postgres.
    pub postgres: Option<Store>,
    /// Whether there is a stage "returned".
    pub returned: bool,
}

impl Config {
    /// Reads how to reach those stores that there are.
    pub fn stores(&self) -> anyhow::Result<Stores> {
        if self.returned && !self.postgres {
            bail!("AUDITOR_RETURNED is true and AUDITOR_POSTGRES is not: what comes back comes from there, set both");
        }
        let redis = self.redis.then(|| service::from_env("REDIS_")).transpose()?;
        let postgres = self.postgres.then(|| service::from_env("POSTGRES_")).transpose()?;
        Ok(Stores { redis: redis.map(Store::redis), postgres: postgres.map(Store::postgres), returned: self.returned })
    }
}

impl Stores {
    /// Of each stage, whether it is one of this installation's.
    pub(crate) fn watched(&self) -> PerStage<bool> {
        PerStage::from_fn(|stage| match stage {
            Stage::Accepted | Stage::Routed => true,
            Stage::Cached => self.redis.is_some(),
            Stage::Stored => self.postgres.is_some(),
            Stage::Returned => self.returned,
        })
    }
}

#[cfg(test)]
mod tests {
    use service::Environment;
    use test_servers::bounds;

    use super::*;

    #[test]
    fn accepts_and_refuses_what_the_chart_does() {
        bounds::check("KAFKA_", |variables| variables.collect::<Environment>().read::<kafka::Config>("KAFKA_"));
        bounds::check("REDIS_", |variables| variables.collect::<Environment>().read::<stores::redis::Config>("REDIS_"));
        bounds::check("POSTGRES_", |variables| {
            variables.collect::<Environment>().read::<stores::postgres::Config>("POSTGRES_")
        });
    }

    #[test]
    fn the_auditor_and_the_exporter_may_have_ipv6_addresses() {
        let at = |auditor: &str| {
            let variables = [
                ("TEST_AUDITOR", auditor),
                ("TEST_EXPORTER", "[fd00::2]:8080"),
                ("TEST_RELEASE", "a"),
                ("TEST_NAMESPACE", "b"),
                ("TEST_OBJECTS", "a-kapture"),
            ];
            variables.into_iter().collect::<Environment>().read::<crate::helm_test::Settings>("TEST_")
        };
        assert_eq!(at("[fd00::1]:8080").unwrap().auditor.as_str(), "[fd00::1]:8080");
        assert!(
            at("fd00::1:8080").unwrap_err().to_string().contains("TEST_AUDITOR: \"fd00::1:8080\" is not of the form")
        );
    }

    #[test]
    fn what_comes_back_comes_from_postgres() {
        let config = Config { returned: true, ..Config::default() };
        assert!(config.stores().is_err_and(|err| err.to_string().contains("AUDITOR_POSTGRES")));
    }
}
