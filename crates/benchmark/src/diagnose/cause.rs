//! The result of a row of the table.

use pipeline::Stage;
use serde::{Deserialize, Serialize};

use super::evidence::Installation;

/// What is exhausted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Resource {
    /// The CPU limit of a container.
    CpuLimit,
    /// The CPU of a node.
    NodeCpu,
    /// The host under the node takes CPU away.
    Host,
    /// Threads, pods or partitions that could work side by side.
    Parallelism,
    /// One key, partition or store has more than its share.
    Skew,
    /// Memory: a heap, a cache, a limit that was hit.
    Memory,
    /// A disk is slow.
    Disk,
    /// A volume is full.
    Volume,
    /// The network between two nodes.
    Network,
    /// Request handlers of a broker.
    Threads,
    /// One broker among its peers.
    Broker,
    /// Round trips or transactions that carry too little.
    Batches,
    /// Something was restarted, or Kafka lacked copies.
    Fault,
}

impl Resource {
    /// Its name in the last line and in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CpuLimit => "CPU limit",
            Self::NodeCpu => "CPU of the node",
            Self::Host => "CPU taken by the host",
            Self::Parallelism => "parallelism",
            Self::Skew => "skew",
            Self::Memory => "memory",
            Self::Disk => "disk latency",
            Self::Volume => "full volume",
            Self::Network => "network",
            Self::Threads => "request handlers",
            Self::Broker => "one broker",
            Self::Batches => "small batches",
            Self::Fault => "fault",
        }
    }
}

/// A possible reason for the failure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Cause {
    /// The row of the table.
    pub row: u8,
    /// The stage that gave way.
    pub stage: String,
    /// The component whose resource it is.
    pub component: String,
    /// The pod, if one is out of line with its peers or the only one.
    pub pod: Option<String>,
    /// The node, if it is that.
    pub node: Option<String>,
    /// What is exhausted.
    pub resource: Resource,
    /// The deciding measurement with its limit.
    pub because: String,
    /// What to do, in words.
    pub advice: String,
    /// The one value to raise; none if no value of this chart helps.
    pub change: Option<Change>,
    /// How far the measurement is beyond its line, weighted by the time it explains: compares causes that fit equally.
    #[serde(skip)]
    pub(super) strength: f64,
}

/// A value of the chart to change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// Its name in values.yaml.
    pub value: String,
    /// What it is now; none if that is not known.
    pub from: Option<String>,
    /// What to set; none if that can't be computed.
    pub to: Option<String>,
    /// It can be set only at install.
    pub only_at_install: bool,
}

impl Change {
    pub(super) fn new(value: impl Into<String>, from: Option<String>, to: impl Into<String>) -> Self {
        Self { value: value.into(), from, to: Some(to.into()), only_at_install: false }
    }

    pub(super) fn only_at_install(value: impl Into<String>, from: Option<String>, to: Option<String>) -> Self {
        Self { value: value.into(), from, to, only_at_install: true }
    }

    /// How many times as much the value becomes, where that is what a stage gains at best: of CPUs and of pods.
    pub(super) fn raised_by(&self, resource: Resource) -> Option<f64> {
        if !matches!(resource, Resource::CpuLimit | Resource::Parallelism) {
            return None;
        }
        let number = |text: &String| text.trim_end_matches('m').parse::<f64>().ok();
        let (from, to) = (number(self.from.as_ref()?)?, number(self.to.as_ref()?)?);
        (from > 0.0).then_some(to / from)
    }

    /// The command that takes the advice; none if it is not done by one.
    pub fn command(&self, installation: &Installation) -> Option<String> {
        let to = self.to.as_ref().filter(|_| !self.only_at_install)?;
        let set = format!("{}={to}", self.value);
        // A full stop within a key is escaped, which a shell would take away.
        let set = if set.contains('\\') { format!("'{set}'") } else { set };
        Some(installation.upgrade(&set))
    }
}

/// Where a component's settings are in values.yaml.
pub(super) fn values_of(component: &str) -> &str {
    Stage::ALL.into_iter().find(|stage| stage.component() == component).map_or(component, |stage| stage.row().values)
}

/// CPU as the chart takes it.
pub(super) fn millicores(cores: f64) -> String {
    format!("{:.0}m", cores * 1e3)
}

/// Memory as the chart takes it.
pub(super) fn mebibytes(bytes: f64) -> String {
    format!("{:.0}Mi", (bytes / f64::from(1 << 20)).ceil())
}
