//! `PROBE_*`: which process is watched, and where it is found.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

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
    #[serde(default = "interval", with = "humantime_serde")]
    pub interval: Duration,
}

fn data_dir() -> PathBuf {
    "/var/lib/kafka/data".into()
}

fn proc_dir() -> PathBuf {
    "/proc".into()
}

fn interval() -> Duration {
    Duration::from_secs(1)
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
