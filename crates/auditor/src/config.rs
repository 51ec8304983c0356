//! `AUDITOR_*`: which stores there are, and how they are reached.

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
}

/// The stores that are watched, in the order of [`crate::ledger::STORES`].
pub type Stores = [Option<Store>; 2];

impl Config {
    /// Reads how to reach those stores that there are.
    pub fn stores(&self) -> anyhow::Result<Stores> {
        let redis = self.redis.then(|| service::from_env("REDIS_")).transpose()?;
        let postgres = self.postgres.then(|| service::from_env("POSTGRES_")).transpose()?;
        Ok([redis.map(Store::redis), postgres.map(Store::postgres)])
    }
}
