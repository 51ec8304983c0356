//! `PROBE_*`: which process is watched, and where it is found.

use std::path::PathBuf;

use serde::Deserialize;
use service::Interval;

/// The variables `PROBE_*`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What the neighbour is.
    pub target: Target,
    /// The broker's number in the cluster.
    pub broker_id: i32,
    /// Where the neighbour keeps its data, as it sees it itself.
    #[serde(default = "data_dir")]
    pub data_dir: PathBuf,
    /// Where the processes of the pod are found.
    #[serde(default = "proc_dir")]
    pub proc_dir: PathBuf,
    /// How often the neighbour is measured and Kafka is asked.
    #[serde(default = "interval")]
    pub interval: Interval,
}

fn data_dir() -> PathBuf {
    "/var/lib/kafka/data".into()
}

fn proc_dir() -> PathBuf {
    "/proc".into()
}

fn interval() -> Interval {
    Interval::from_ms::<1_000>()
}

/// A process that the probe knows how to find and to judge.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// A Kafka broker.
    Kafka,
}

impl Target {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kafka => "kafka",
        }
    }

    /// The argument of its command line that no other process has.
    pub(crate) fn argument(self) -> &'static str {
        match self {
            Self::Kafka => "kafka.Kafka",
        }
    }
}

#[cfg(test)]
mod tests {
    use test_servers::bounds;

    #[test]
    fn accepts_and_refuses_what_the_chart_does() {
        bounds::check("KAFKA_", |variables| {
            variables.collect::<service::Environment>().read::<kafka::Config>("KAFKA_")
        });
    }
}
