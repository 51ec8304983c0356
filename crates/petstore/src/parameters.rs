//! What a block is a function of, besides its number.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

/// The version of the model in this crate. It changes whenever the sales of any block would.
pub const MODEL: u32 = 2;

/// How many customers share a block.
pub const COHORT: u32 = 200;

/// Everything that a loader's blocks depend on, apart from the loader's ordinal and the block's number.
///
/// They are recorded with each block, so that the block can be generated again without asking the
/// loader. Reading them checks them; so does
/// [`Petstore::new`](crate::Petstore::new).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Parameters {
    /// The version of the model, [`MODEL`].
    pub model: u32,
    /// Where all randomness begins. Another seed is another chain of stores with other customers.
    pub seed: u64,
    /// How many stores the chain has, 1 to 100,000.
    pub stores: u32,
    /// How many customers each loader has: a multiple of [`COHORT`], 200 to 10,000,000.
    pub customers: u32,
    /// How much a state's share of people and income counts, in percent: 0 makes all states alike, 100 gives them
    /// their true shares, 200 squares the differences; up to 400.
    pub skew: u32,
    /// How many percent of all sales take place in one store, number 0, on top of its own; up to 100.
    pub hot_store: u32,
    /// The simulated days of each block, 1 to 3,660.
    pub days: u32,
}

/// A parameter that can't be used. Each message names the value and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParametersError {
    /// Another version of the model made, or would have to make, these blocks.
    #[error(
        "model {0} is not known here: this program generates model {MODEL}, so set model to {MODEL} or use the release that wrote {0}"
    )]
    Model(u32),
    /// A value is outside its limits.
    #[error("{name} is {value}: set {name} to a value from {least} to {most}")]
    Limits {
        /// The field of [`Parameters`].
        name: &'static str,
        /// What it was.
        value: u32,
        /// The least value that is allowed.
        least: u32,
        /// The greatest value that is allowed.
        most: u32,
    },
    /// The customers can't be divided into whole cohorts.
    #[error("customers is {0}: set customers to a multiple of {COHORT}, such as {nearest}", nearest = .0.next_multiple_of(COHORT))]
    Cohorts(u32),
}

/// The stores that a chain may have.
pub const STORES: RangeInclusive<u32> = 1..=100_000;
/// The customers that a loader may have.
pub const CUSTOMERS: RangeInclusive<u32> = COHORT..=10_000_000;
/// The skew that there may be, in percent.
pub const SKEW: RangeInclusive<u32> = 0..=400;
/// The percent of all sales that one store may have on top of its own.
pub const HOT_STORE: RangeInclusive<u32> = 0..=100;
/// The days that a block may have: ten years. With the longest blocks and the highest block number, simulated seconds
/// still fit 63 bits.
pub const DAYS: RangeInclusive<u32> = 1..=3_660;
/// The greatest seed that is the same number wherever its JSON is read, 2^53 - 1. A loader is given no greater one.
pub const GREATEST_SEED: u64 = (1 << 53) - 1;

impl Parameters {
    /// Returns these parameters if blocks can be generated from them.
    pub(crate) fn checked(self) -> Result<Self, ParametersError> {
        if self.model != MODEL {
            return Err(ParametersError::Model(self.model));
        }
        within("stores", self.stores, &STORES)?;
        within("customers", self.customers, &CUSTOMERS)?;
        within("skew", self.skew, &SKEW)?;
        within("hot_store", self.hot_store, &HOT_STORE)?;
        within("days", self.days, &DAYS)?;
        if !self.customers.is_multiple_of(COHORT) {
            return Err(ParametersError::Cohorts(self.customers));
        }
        Ok(self)
    }
}

fn within(name: &'static str, value: u32, limits: &RangeInclusive<u32>) -> Result<(), ParametersError> {
    if limits.contains(&value) {
        return Ok(());
    }
    Err(ParametersError::Limits { name, value, least: *limits.start(), most: *limits.end() })
}

/// A year of 1,000 stores, with 10,000 customers a loader, spread as people and incomes are.
impl Default for Parameters {
    fn default() -> Self {
        Self { model: MODEL, seed: 2014, stores: 1_000, customers: 10_000, skew: 100, hot_store: 0, days: 365 }
    }
}

/// [`Parameters`] before they are checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    model: u32,
    seed: u64,
    stores: u32,
    customers: u32,
    skew: u32,
    hot_store: u32,
    days: u32,
}

impl TryFrom<Unchecked> for Parameters {
    type Error = ParametersError;

    fn try_from(raw: Unchecked) -> Result<Self, Self::Error> {
        let Unchecked { model, seed, stores, customers, skew, hot_store, days } = raw;
        Self { model, seed, stores, customers, skew, hot_store, days }.checked()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(json: &str) -> String {
        serde_json::from_str::<Parameters>(json).unwrap_err().to_string()
    }

    #[test]
    fn parameters_survive_their_json() {
        let parameters = Parameters::default();
        let json = serde_json::to_string(&parameters).unwrap();
        assert_eq!(
            json,
            r#"{"model":2,"seed":2014,"stores":1000,"customers":10000,"skew":100,"hot_store":0,"days":365}"#
        );
        assert_eq!(serde_json::from_str::<Parameters>(&json).unwrap(), parameters);
    }

    #[test]
    fn a_bad_parameter_is_named_with_its_value_and_the_fix() {
        for (name, value, fix) in [
            ("model", 9, "set model to 2"),
            ("stores", 0, "from 1 to 100000"),
            ("stores", 100_001, "from 1 to 100000"),
            ("customers", 199, "from 200 to 10000000"),
            ("customers", 10_000_200, "from 200 to 10000000"),
            ("customers", 1_001, "a multiple of 200, such as 1200"),
            ("skew", 401, "from 0 to 400"),
            ("hot_store", 101, "from 0 to 100"),
            ("days", 0, "from 1 to 3660"),
            ("days", 3_661, "from 1 to 3660"),
        ] {
            let mut json = serde_json::to_value(Parameters::default()).unwrap();
            json[name] = value.into();
            let error = error(&json.to_string());
            assert!(
                error.contains(&format!("{name} {value}")) || error.contains(&format!("{name} is {value}")),
                "{error}"
            );
            assert!(error.contains(fix), "{error}");
        }
    }

    #[test]
    fn an_unknown_or_missing_parameter_is_refused() {
        let mut json = serde_json::to_value(Parameters::default()).unwrap();
        json["colour"] = 1.into();
        assert!(error(&json.to_string()).contains("colour"));
        json.as_object_mut().unwrap().retain(|name, _| name != "colour" && name != "skew");
        assert!(error(&json.to_string()).contains("skew"));
    }
}
