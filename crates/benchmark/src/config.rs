//! `BENCHMARK_*`: what is asked, whom to ask, and what was installed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use kafka::results::RunName;
use serde::Deserialize;
use service::{BoundedDuration, HostPort, Secret};

use crate::capsule::Jump;
use crate::diagnose::Installation;
use crate::mode::Mode;

/// The variables `BENCHMARK_*`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The exporter.
    pub exporter: HostPort,
    /// The token that the loaders require of a client that sets their rate.
    pub token: Secret,
    /// Name of the run.
    #[serde(default = "run")]
    pub run: RunName,
    /// How thorough it is.
    #[serde(default)]
    pub mode: Mode,
    /// The user's own peak, in sales per second.
    #[serde(default)]
    pub target: Option<Rate>,
    /// Sales per second before a jump of the load. With it, a run measures how long the service levels need to hold again.
    #[serde(default)]
    pub elasticity_from: Option<Rate>,
    /// Sales per second after the jump.
    #[serde(default)]
    pub elasticity_to: Option<Rate>,
    /// The longest that they may take.
    #[serde(default = "ten_minutes")]
    pub elasticity_within: Within,
    /// The limit of the p99 from due to each store, and of the lag in seconds of what is offered.
    #[serde(default = "a_second")]
    pub latency_limit: LatencyLimit,
    /// What the load is made of, as values.yaml has it: `seed=2014,stores=1000`. Runs can be compared only if it is the same.
    #[serde(default)]
    pub load: Pairs,
    /// Switches of misbehaviour that are on, separated by commas.
    #[serde(default)]
    pub misbehaviour: Names,
    /// Name of the release; empty if it is not known.
    #[serde(default)]
    pub release: String,
    /// Its namespace.
    #[serde(default)]
    pub namespace: String,
    /// Where the chart is, as for `helm upgrade`.
    #[serde(default = "chart")]
    pub chart: String,
    /// Replicas by component: `loader=1,kafka=3`.
    #[serde(default)]
    pub replicas: Pairs,
    /// The most replicas of components that are autoscaled: `etl-postgres=4`.
    #[serde(default)]
    pub max_replicas: Pairs,
    /// Partitions of the topic `sales`.
    #[serde(default)]
    pub sales_partitions: Option<u32>,
    /// How long a transaction of the fan-out collects sales.
    #[serde(default)]
    pub transaction_interval: Option<BoundedDuration<1, 5_000>>,
    /// Versions of what it runs on: `kafka=4.2.2,kubernetes=1.34`.
    #[serde(default)]
    pub versions: Pairs,
    /// Sizes of the volumes by component: `kafka=10Gi`.
    #[serde(default)]
    pub volumes: Pairs,
    /// Where the capsule is written; nowhere if unset.
    #[serde(default)]
    pub capsule: Option<PathBuf>,
    /// Where the last line is written besides, for Kubernetes: `/dev/termination-log`.
    #[serde(default)]
    pub termination_log: Option<PathBuf>,
    /// Where the report can be seen afterwards.
    #[serde(default)]
    pub report_url: Option<String>,
}

/// A limit from 10 ms to an hour.
pub type LatencyLimit = BoundedDuration<10, { 60 * 60 * 1_000 }>;

/// How long the service levels may take to hold again, from 10 s to two hours.
pub type Within = BoundedDuration<10_000, { 2 * 60 * 60 * 1_000 }>;

impl Config {
    /// The jump of the load that is asked for; none if the capacity is.
    pub fn jump(&self) -> anyhow::Result<Option<Jump>> {
        let (from, to) = match (self.elasticity_from, self.elasticity_to) {
            (None, None) => return Ok(None),
            (Some(from), Some(to)) => (from.per_second(), to.per_second()),
            (Some(_), None) => bail!("BENCHMARK_ELASTICITY_TO is missing: set the rate to which the load jumps"),
            (None, Some(_)) => bail!("BENCHMARK_ELASTICITY_FROM is missing: set the rate from which the load jumps"),
        };
        ensure!(
            from < to,
            "BENCHMARK_ELASTICITY_FROM={from} is not below BENCHMARK_ELASTICITY_TO={to}: set a rate that holds easily"
        );
        Ok(Some(Jump { from, to, within_seconds: self.elasticity_within.get().as_secs_f64() }))
    }

    /// What advice depends on.
    pub fn installation(&self) -> anyhow::Result<Installation> {
        Ok(Installation {
            release: self.release.clone(),
            namespace: self.namespace.clone(),
            chart: self.chart.clone(),
            replicas: self.replicas.numbers("BENCHMARK_REPLICAS")?,
            max_replicas: self.max_replicas.numbers("BENCHMARK_MAX_REPLICAS")?,
            sales_partitions: self.sales_partitions,
            io_threads: None,
            transaction_ms: self.transaction_interval.map(|interval| interval.get().as_secs_f64() * 1e3),
            volumes: self.volumes.0.clone(),
        })
    }

    /// The latency limit.
    pub fn limit(&self) -> Duration {
        self.latency_limit.get()
    }

    /// The same in milliseconds.
    pub fn latency_limit_ms(&self) -> u64 {
        u64::try_from(self.limit().as_millis()).unwrap_or(u64::MAX)
    }
}

fn run() -> RunName {
    RunName::try_from("run".to_owned()).expect("it is a name")
}

fn chart() -> String {
    "./charts/kapture".to_owned()
}

fn ten_minutes() -> Within {
    Within::from_ms::<600_000>()
}

fn a_second() -> LatencyLimit {
    LatencyLimit::from_ms::<1_000>()
}

/// Sales per second, from 1 to a billion.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(try_from = "f64")]
pub struct Rate(f64);

impl Rate {
    /// Sales per second.
    pub fn per_second(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Rate {
    type Error = String;

    fn try_from(rate: f64) -> Result<Self, String> {
        if (1.0..=1e9).contains(&rate) {
            return Ok(Self(rate));
        }
        Err(format!("{rate} is not a rate: set 1 to 1000000000 sales per second, such as 2000, or leave it out"))
    }
}

/// Names with values: `a=1,b=2`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Pairs(pub BTreeMap<String, String>);

impl Pairs {
    fn numbers(&self, variable: &str) -> anyhow::Result<BTreeMap<String, u32>> {
        let numbers = self.0.iter().map(|(component, text)| {
            let number = text.parse().with_context(|| {
                format!("{variable}: {text:?} of {component} is not a number: write it like kafka=3")
            })?;
            Ok((component.clone(), number))
        });
        numbers.collect()
    }
}

impl TryFrom<String> for Pairs {
    type Error = anyhow::Error;

    fn try_from(text: String) -> anyhow::Result<Self> {
        let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) =
                pair.split_once('=').with_context(|| format!("{pair:?} is not of the form name=value"))?;
            ensure!(!name.is_empty() && !value.is_empty(), "{pair:?} is not of the form name=value");
            Ok((name.to_owned(), value.to_owned()))
        });
        pairs.collect::<anyhow::Result<_>>().map(Self)
    }
}

/// Names separated by commas.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub struct Names(pub Vec<String>);

impl From<String> for Names {
    fn from(text: String) -> Self {
        Self(text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect())
    }
}

#[cfg(test)]
mod tests {
    use service::Environment;
    use test_servers::bounds;

    use super::*;

    fn read(more: &[(&str, &str)]) -> anyhow::Result<Config> {
        let least = [("BENCHMARK_EXPORTER", "kapture-exporter:8080"), ("BENCHMARK_TOKEN", "secret")];
        least.iter().chain(more).copied().collect::<Environment>().read("BENCHMARK_")
    }

    #[test]
    fn accepts_and_refuses_what_the_chart_does() {
        bounds::check("BENCHMARK_", |variables| variables.collect::<Environment>().read::<Config>("BENCHMARK_"));
    }

    #[test]
    fn only_the_exporter_and_the_token_have_to_be_said() {
        let config = read(&[]).unwrap();
        assert_eq!((config.mode, config.target, config.limit()), (Mode::Default, None, Duration::from_secs(1)));
        assert!(!format!("{config:?}").contains("secret"));
        assert!(std::iter::empty::<(&str, &str)>().collect::<Environment>().read::<Config>("BENCHMARK_").is_err());
    }

    #[test]
    fn what_is_said_counts() {
        let config = read(&[
            ("BENCHMARK_MODE", "smoke"),
            ("BENCHMARK_TARGET", "2000"),
            ("BENCHMARK_LATENCY_LIMIT", "500ms"),
            ("BENCHMARK_REPLICAS", "loader=2,kafka=3"),
            ("BENCHMARK_TRANSACTION_INTERVAL", "100ms"),
            ("BENCHMARK_MISBEHAVIOUR", "hoarding, unbatched"),
        ])
        .unwrap();
        assert_eq!((config.mode, config.target.unwrap().per_second()), (Mode::Smoke, 2_000.0));
        let installation = config.installation().unwrap();
        assert_eq!((installation.replicas["kafka"], installation.transaction_ms), (3, Some(100.0)));
        assert_eq!(config.misbehaviour.0, ["hoarding", "unbatched"]);
    }

    #[test]
    fn a_jump_needs_both_rates_and_goes_up() {
        let jump = |more: &[(&str, &str)]| read(more).unwrap().jump();
        let (from, to) = (("BENCHMARK_ELASTICITY_FROM", "500"), ("BENCHMARK_ELASTICITY_TO", "4000"));
        assert_eq!(jump(&[]).unwrap(), None);
        let asked = Jump { from: 500.0, to: 4_000.0, within_seconds: 90.0 };
        assert_eq!(jump(&[from, to, ("BENCHMARK_ELASTICITY_WITHIN", "90s")]).unwrap(), Some(asked));
        let error = |more: &[(&str, &str)]| jump(more).unwrap_err().to_string();
        assert!(error(&[from]).contains("BENCHMARK_ELASTICITY_TO is missing"));
        assert!(error(&[to]).contains("BENCHMARK_ELASTICITY_FROM is missing"));
        assert!(error(&[from, ("BENCHMARK_ELASTICITY_TO", "500")]).contains("=500 is not below"));
    }

    #[test]
    fn a_wrong_value_is_named_with_its_fix() {
        let error = |name, value| read(&[(name, value)]).unwrap_err().to_string();
        assert!(error("BENCHMARK_TARGET", "0").contains("0 is not a rate: set 1 to 1000000000 sales per second"));
        assert!(error("BENCHMARK_MODE", "fast").contains("fast"));
        assert!(error("BENCHMARK_RUN", "a/b").contains("\"a/b\" is not a name of a run: use at most 253 letters"));
        assert!(error("BENCHMARK_REPLICAS", "kafka").contains("\"kafka\" is not of the form name=value"));
        let config = read(&[("BENCHMARK_REPLICAS", "kafka=three")]).unwrap();
        assert!(config.installation().unwrap_err().to_string().contains("\"three\" of kafka is not a number"));
    }
}
