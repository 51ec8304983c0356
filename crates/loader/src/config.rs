//! `LOADER_*`: what is sold, and how fast.

use std::sync::Arc;

use kafka::blocks::Via;
use kafka::{Batching, Compression, Linger};
use petstore::{COHORT, CUSTOMERS, DAYS, GREATEST_SEED, HOT_STORE, MODEL, Parameters, SKEW, STORES};
use serde::Deserialize;
use service::{BoundedDuration, HostPort, Secret, Whole};

use crate::arrivals::{self, Arrivals};
use crate::in_force::Asked;
use crate::rate::{CatchUp, Rate};
use crate::shape::{self, Shape};

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
    /// How the rate changes with time.
    #[serde(default)]
    pub shape: shape::Kind,
    /// See [`Shape::low`].
    #[serde(default = "low")]
    pub shape_low: shape::Low,
    /// See [`Shape::high`].
    #[serde(default = "high")]
    pub shape_high: shape::High,
    /// See [`Shape::steps`].
    #[serde(default = "steps")]
    pub shape_steps: shape::Steps,
    /// See [`Shape::period`].
    #[serde(default = "an_hour")]
    pub shape_period: shape::Period,
    /// See [`Shape::length`].
    #[serde(default = "a_minute")]
    pub shape_length: shape::Period,
    /// See [`Shape::rates`].
    #[serde(default)]
    pub shape_rates: String,
    /// How sales are spread over the time in which they become due.
    #[serde(default)]
    pub arrivals: arrivals::Kind,
    /// The load ends this long after its first start, and stays ended over restarts. The process keeps running, so that
    /// Kubernetes does not restart it.
    #[serde(default = "a_day")]
    pub stop_after: StopAfter,
    /// Who holds this may set another rate for a while; without one, nobody may.
    #[serde(default)]
    pub token: Option<Secret>,
    /// Which way the sales take.
    #[serde(default)]
    pub via: Via,
    /// Where the shop is; needed to go that way.
    #[serde(default)]
    pub webapp: Option<HostPort>,
    /// How often a customer looks something up in the shop, in percent of the sales that it took.
    #[serde(default = "reads")]
    pub reads: Reads,
    /// How long a sale waits for others to share a request with.
    #[serde(default = "linger")]
    pub linger: Linger,
    /// How a batch of sales is compressed.
    #[serde(default)]
    pub compression: Compression,
    /// Where all randomness begins.
    #[serde(default = "seed")]
    pub seed: Seed,
    /// Stores of the chain.
    #[serde(default = "stores")]
    pub stores: Stores,
    /// Customers of this loader.
    #[serde(default = "customers")]
    pub customers: Customers,
    /// How much a state's people and incomes count, in percent.
    #[serde(default = "skew")]
    pub skew: Skew,
    /// Percent of all sales that one store has on top of its own.
    #[serde(default = "hot_store")]
    pub hot_store: HotStore,
    /// Simulated days of a block.
    #[serde(default = "days")]
    pub days: Days,
}

/// From a second to ten years.
pub type StopAfter = BoundedDuration<1_000, { 3_650 * DAY_MS }>;
/// Up to ten for each sale.
pub type Reads = Whole<u32, 0, 1_000>;
/// See [`Parameters::seed`].
pub type Seed = Whole<u64, 0, GREATEST_SEED>;
/// See [`Parameters::stores`].
pub type Stores = Whole<u32, { *STORES.start() as u64 }, { *STORES.end() as u64 }>;
/// See [`Parameters::customers`].
pub type Customers = Whole<u32, { *CUSTOMERS.start() as u64 }, { *CUSTOMERS.end() as u64 }, { COHORT as u64 }>;
/// See [`Parameters::skew`].
pub type Skew = Whole<u32, { *SKEW.start() as u64 }, { *SKEW.end() as u64 }>;
/// See [`Parameters::hot_store`].
pub type HotStore = Whole<u32, { *HOT_STORE.start() as u64 }, { *HOT_STORE.end() as u64 }>;
/// See [`Parameters::days`].
pub type Days = Whole<u32, { *DAYS.start() as u64 }, { *DAYS.end() as u64 }>;

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

impl Config {
    /// What the blocks are generated from.
    pub fn parameters(&self) -> Parameters {
        let Self { seed, stores, customers, skew, hot_store, days, .. } = *self;
        Parameters {
            model: MODEL,
            seed: seed.get(),
            stores: stores.get(),
            customers: customers.get(),
            skew: skew.get(),
            hot_store: hot_store.get(),
            days: days.get(),
        }
    }

    /// How sales are packed into requests.
    pub fn batching(&self) -> Batching {
        Batching { linger: self.linger, compression: self.compression }
    }

    /// How the rate changes with time.
    pub fn shape(&self) -> Shape {
        Shape {
            kind: self.shape,
            low: self.shape_low,
            high: self.shape_high,
            steps: self.shape_steps,
            period: self.shape_period,
            length: self.shape_length,
            rates: self.shape_rates.clone(),
        }
    }

    /// The load that is asked for. An error names the value that can't be used.
    pub fn asked(&self) -> anyhow::Result<Asked> {
        let shape = self.shape().curve(self.rate)?.map(Arc::new);
        let arrivals = Arrivals::new(self.arrivals, (u64::from(self.ordinal) << 53) ^ self.seed.get());
        Ok(Asked { rate: self.rate, shape, arrivals })
    }
}

fn reads() -> Reads {
    100_u64.try_into().expect("it is within its limits")
}

fn linger() -> Linger {
    Batching::default().linger
}

/// A tenth.
fn low() -> shape::Low {
    shape::Low::of::<100>()
}

fn high() -> shape::High {
    shape::High::of::<3_000>()
}

fn steps() -> shape::Steps {
    10_u64.try_into().expect("it is within its limits")
}

fn an_hour() -> shape::Period {
    shape::Period::from_ms::<3_600_000>()
}

fn a_minute() -> shape::Period {
    shape::Period::from_ms::<60_000>()
}

/// A load that somebody forgot ends after a day.
fn a_day() -> StopAfter {
    StopAfter::from_ms::<DAY_MS>()
}

fn seed() -> Seed {
    Parameters::default().seed.try_into().expect(DEFAULT)
}

fn stores() -> Stores {
    u64::from(Parameters::default().stores).try_into().expect(DEFAULT)
}

fn customers() -> Customers {
    u64::from(Parameters::default().customers).try_into().expect(DEFAULT)
}

fn skew() -> Skew {
    u64::from(Parameters::default().skew).try_into().expect(DEFAULT)
}

fn hot_store() -> HotStore {
    u64::from(Parameters::default().hot_store).try_into().expect(DEFAULT)
}

fn days() -> Days {
    u64::from(Parameters::default().days).try_into().expect(DEFAULT)
}

const DEFAULT: &str = "the model's default is within its limits";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use test_servers::bounds;

    use super::*;

    #[test]
    fn accepts_and_refuses_what_the_chart_does() {
        bounds::check("LOADER_", |variables| variables.collect::<service::Environment>().read::<Config>("LOADER_"));
        bounds::check("KAFKA_", |variables| {
            variables.collect::<service::Environment>().read::<kafka::Config>("KAFKA_")
        });
    }

    fn read(json: serde_json::Value) -> Result<Config, serde_json::Error> {
        serde_json::from_value(json)
    }

    #[test]
    fn only_the_ordinal_has_to_be_said() {
        let config = read(serde_json::json!({"ordinal": 3})).unwrap();
        assert_eq!(config.parameters(), Parameters::default());
        assert_eq!(config.rate.micro(), 100_000_000);
        assert_eq!(config.stop_after.get(), Duration::from_hours(24));
        assert!(read(serde_json::json!({})).unwrap_err().to_string().contains("ordinal"));
    }

    #[test]
    fn what_is_said_counts() {
        let config = read(serde_json::json!({
            "ordinal": 0, "rate": "12.5", "catch_up": "3", "stop_after": "90m", "seed": 7, "stores": 10,
            "customers": 400, "skew": 0, "hot_store": 5, "days": 30
        }))
        .unwrap();
        assert_eq!(config.rate.micro(), 12_500_000);
        assert_eq!(config.stop_after.get(), Duration::from_mins(90));
        assert_eq!(
            config.parameters(),
            Parameters { model: MODEL, seed: 7, stores: 10, customers: 400, skew: 0, hot_store: 5, days: 30 }
        );
    }

    #[test]
    fn a_misspelt_variable_is_refused() {
        assert!(read(serde_json::json!({"ordinal": 0, "rat": "1"})).is_err());
    }
}
