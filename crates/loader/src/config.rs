//! `LOADER_*`: what is sold, and how fast.

use std::time::Duration;

use petstore::{MODEL, Parameters};
use serde::Deserialize;

use crate::rate::{CatchUp, Rate};

/// The variables `LOADER_*`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Which of the loaders this is: the same after a restart, and no one else's.
    pub ordinal: u32,
    /// Sales per second of this loader.
    #[serde(default)]
    pub rate: Rate,
    /// How many times the rate it may send after a stall, until it is on schedule again.
    #[serde(default)]
    pub catch_up: CatchUp,
    /// The load ends so long after its start. The loader stays, so that it isn't started again; a restart begins anew.
    #[serde(default = "a_day", with = "humantime_serde")]
    pub stop_after: Duration,
    /// Where all randomness begins.
    #[serde(default = "seed")]
    pub seed: u64,
    /// Stores of the chain.
    #[serde(default = "stores")]
    pub stores: u32,
    /// Customers of this loader.
    #[serde(default = "customers")]
    pub customers: u32,
    /// How much a state's population counts, in percent.
    #[serde(default = "skew")]
    pub skew: u32,
    /// Simulated days of a block.
    #[serde(default = "days")]
    pub days: u32,
}

impl Config {
    /// What the blocks are generated from. [`petstore::Petstore::new`] checks it.
    pub fn parameters(&self) -> Parameters {
        let Self { seed, stores, customers, skew, days, .. } = *self;
        Parameters { model: MODEL, seed, stores, customers, skew, days }
    }
}

/// A load that somebody forgot ends after a day.
fn a_day() -> Duration {
    Duration::from_hours(24)
}

fn seed() -> u64 {
    Parameters::default().seed
}

fn stores() -> u32 {
    Parameters::default().stores
}

fn customers() -> u32 {
    Parameters::default().customers
}

fn skew() -> u32 {
    Parameters::default().skew
}

fn days() -> u32 {
    Parameters::default().days
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: serde_json::Value) -> Result<Config, serde_json::Error> {
        serde_json::from_value(json)
    }

    #[test]
    fn only_the_ordinal_has_to_be_said() {
        let config = read(serde_json::json!({"ordinal": 3})).unwrap();
        assert_eq!(config.parameters(), Parameters::default());
        assert_eq!(config.rate.micro(), 100_000_000);
        assert_eq!(config.stop_after, Duration::from_hours(24));
        assert!(read(serde_json::json!({})).unwrap_err().to_string().contains("ordinal"));
    }

    #[test]
    fn what_is_said_counts() {
        let config = read(serde_json::json!({
            "ordinal": 0, "rate": "12.5", "catch_up": "3", "stop_after": "90m", "seed": 7, "stores": 10,
            "customers": 400, "skew": 0, "days": 30
        }))
        .unwrap();
        assert_eq!(config.rate.micro(), 12_500_000);
        assert_eq!(config.stop_after, Duration::from_mins(90));
        assert_eq!(
            config.parameters(),
            Parameters { model: MODEL, seed: 7, stores: 10, customers: 400, skew: 0, days: 30 }
        );
    }

    #[test]
    fn a_misspelt_variable_is_refused() {
        assert!(read(serde_json::json!({"ordinal": 0, "rat": "1"})).is_err());
    }
}
