//! `PROBE_*`: which process is watched, and where it is found.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use service::{BoundedDuration, HostPort, Interval};

/// The variables `PROBE_*`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What the neighbour is.
    pub target: Target,
    /// The broker's number in the cluster. With it the probe is ready when the broker is; without it, at once.
    #[serde(default)]
    pub broker_id: Option<i32>,
    /// Where the neighbour keeps its data, as it sees it itself. By default where its image does.
    #[serde(default)]
    pub data_dir: Option<PathBuf>,
    /// A directory on the disk of the data, but outside the data, as the neighbour sees it. A small file is written there
    /// to measure the disk. None is written without it.
    #[serde(default)]
    pub fsync_dir: Option<PathBuf>,
    /// How often it is written.
    #[serde(default = "pace")]
    pub fsync_interval: Pace,
    /// Where to measure how long a packet takes there and back.
    #[serde(default)]
    pub peers: PeerList,
    /// How often each of them is asked.
    #[serde(default = "pace")]
    pub round_trip_interval: Pace,
    /// Where the processes of the pod are found.
    #[serde(default = "proc_dir")]
    pub proc_dir: PathBuf,
    /// How often the neighbour is measured and Kafka is asked.
    #[serde(default = "interval")]
    pub interval: Interval,
}

impl Config {
    pub(crate) fn data_dir(&self) -> &Path {
        self.data_dir.as_deref().unwrap_or(self.target.data_dir())
    }
}

/// How often something is done that others feel: once a second at most.
pub type Pace = BoundedDuration<1_000, { 24 * 60 * 60 * 1_000 }>;

fn pace() -> Pace {
    Pace::from_ms::<1_000>()
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
    /// Redis or Valkey.
    Redis,
    /// A Postgres server.
    Postgres,
}

impl Target {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kafka => "kafka",
            Self::Redis => "redis",
            Self::Postgres => "postgres",
        }
    }

    /// What its process is known by, for people.
    pub(crate) fn process(self) -> &'static str {
        match self {
            Self::Kafka => "kafka.Kafka",
            Self::Redis => "redis-server",
            Self::Postgres => "postgres",
        }
    }

    /// Whether a process with this name, and these arguments, is one.
    pub(crate) fn is(self, name: &str, arguments: impl Fn() -> Vec<Vec<u8>>) -> bool {
        match self {
            // One Java program among others: its main class is an argument of its own.
            Self::Kafka => arguments().iter().any(|argument| argument == self.process().as_bytes()),
            Self::Redis => name == self.process() || name == "valkey-server",
            Self::Postgres => name == self.process(),
        }
    }

    fn data_dir(self) -> &'static Path {
        Path::new(match self {
            Self::Kafka => "/var/lib/kafka/data",
            Self::Redis => "/data",
            Self::Postgres => "/var/lib/postgresql/data",
        })
    }
}

/// Peers, written as `kafka-0:9092,kafka-1:9092`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(try_from = "String")]
pub struct PeerList(Vec<HostPort>);

impl PeerList {
    /// Each has a histogram of 200 KB, in a pod of 32 MiB, and costs a connection a second.
    const MOST: usize = 16;

    pub(crate) fn list(&self) -> &[HostPort] {
        &self.0
    }
}

impl TryFrom<String> for PeerList {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let peers: Vec<_> = text.split(',').map(str::trim).filter(|peer| !peer.is_empty()).collect();
        if peers.len() > Self::MOST {
            return Err(format!("{text:?} has {} peers: name at most {}", peers.len(), Self::MOST));
        }
        peers.into_iter().map(|peer| HostPort::try_from(peer.to_owned())).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use test_servers::bounds;

    use super::*;

    #[test]
    fn accepts_and_refuses_what_the_chart_does() {
        bounds::check("KAFKA_", |variables| {
            variables.collect::<service::Environment>().read::<kafka::Config>("KAFKA_")
        });
    }

    #[test]
    fn peers_are_bounded_and_each_has_a_port() {
        let parse = |text: &str| PeerList::try_from(text.to_owned()).map(|peers| peers.list().len());
        assert_eq!(parse("kafka-0:9092, [fd00::1]:9092,"), Ok(2));
        assert_eq!(parse(""), Ok(0));
        assert!(parse("kafka-0").unwrap_err().contains("host:port"));
        let many = vec!["a:1"; 17].join(",");
        assert_eq!(parse(&many), Err(format!("{many:?} has 17 peers: name at most 16")));
    }

    #[test]
    fn a_file_is_written_once_a_second_at_most() {
        let config = |interval| {
            let variables = serde_json::json!({"target": "redis", "fsync_interval": interval});
            serde_json::from_value::<Config>(variables)
        };
        assert!(config("1s").is_ok());
        let error = config("999ms").unwrap_err().to_string();
        assert!(error.contains("too short"), "{error}");
    }
}
