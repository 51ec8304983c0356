//! What is known of a cluster at three moments: at rest, in the last step that held, and in the step that failed.
//!
//! Every signal may be absent, since many can't be read everywhere (another's Kafka has no probe, version 1 of control groups
//! has no pressure). What is absent is unknown, never 0: rows of the table that need it then don't fit.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use service::state::Shares;

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Evidence {
    /// What was installed, as far as advice depends on it.
    pub installation: Installation,
    /// At rest.
    pub quiet: Option<Moment>,
    /// The last step that held.
    pub held: Option<Moment>,
    /// The step that failed.
    pub failed: Moment,
}

/// What was installed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Installation {
    /// Name of the release.
    pub release: String,
    /// Its namespace.
    pub namespace: String,
    /// Where the chart is, as for `helm upgrade`.
    pub chart: String,
    /// Replicas by component; of one that is autoscaled, the least.
    pub replicas: BTreeMap<String, u32>,
    /// The most replicas of each component that is autoscaled.
    pub max_replicas: BTreeMap<String, u32>,
    /// Partitions of the topic `sales`.
    pub sales_partitions: Option<u32>,
    /// Brokers' request handlers: `num.io.threads`.
    pub io_threads: Option<u32>,
    /// How long a transaction of the fan-out collects sales, in milliseconds.
    pub transaction_ms: Option<f64>,
    /// Size of the volume by component, as the chart takes it.
    pub volumes: BTreeMap<String, String>,
}

impl Installation {
    /// The command that changes a value, and leaves the others as they were; only `set VALUE` if the release is not known.
    pub fn upgrade(&self, set: &str) -> String {
        let Self { release, namespace, chart, .. } = self;
        if release.is_empty() {
            return format!("set {set}");
        }
        format!("helm upgrade {release} {chart} -n {namespace} --reset-then-reuse-values --set {set}")
    }
}

/// One of the three.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Moment {
    /// Sales per second offered.
    pub rate: f64,
    /// The stages in the order of the flow.
    pub stages: Vec<StageSeen>,
    /// Pods of our programs, and of the servers that have a probe.
    pub pods: Vec<Pod>,
    /// Nodes they are on.
    pub nodes: Vec<Node>,
    /// Partitions and how unlike they are.
    pub partitions: Vec<PartitionSeen>,
    /// What our sessions in Postgres wait for.
    pub postgres: Option<Sessions>,
    /// Redis' own figures.
    pub redis: Option<RedisSeen>,
    /// Partitions with fewer copies in sync than an acknowledgement needs.
    pub under_min_isr: Option<u32>,
}

/// A stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct StageSeen {
    /// Its name.
    pub stage: String,
    /// The component that fills it.
    pub component: String,
    /// Whether its lag grows. Of the first stage: whether the loaders were blocked.
    pub lag_grows: Option<bool>,
    /// The p99 from due.
    pub p99_us: Option<u64>,
    /// What it could do as it is, in sales per second.
    pub ceiling: Option<f64>,
    /// Where the time of its busiest thread goes.
    #[cfg_attr(test, schemars(with = "Option<crate::capsule::schema::Shares>"))]
    pub time: Option<Shares>,
    /// Kafka transactions a second; of the fan-out.
    pub transactions: Option<f64>,
    /// Rows in a commit of its store; of a sink.
    pub rows_per_commit: Option<f64>,
}

/// A pod, by what its container did. Rates are per second, shares from 0 to 1.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Pod {
    /// The component: `loader`, `etl-fan-out`, `kafka`, `redis`, `postgres`.
    pub component: String,
    /// Its name.
    pub pod: String,
    /// The node it is on.
    pub node: String,
    /// CPU used, in cores.
    pub cpu_cores: Option<f64>,
    /// CPU limit in cores; absent if there is none or it can't be read.
    pub cpu_limit: Option<f64>,
    /// Share of the limit's periods in which it was hit.
    pub throttled: Option<f64>,
    /// Share of the time in which its threads could have run and waited for a CPU.
    pub run_queue: Option<f64>,
    /// CPU of its busiest thread, in cores.
    pub busiest_thread: Option<f64>,
    /// Where the time of its busiest thread goes; of our programs.
    #[cfg_attr(test, schemars(with = "Option<crate::capsule::schema::Shares>"))]
    pub time: Option<Shares>,
    /// Memory in use.
    pub memory_bytes: Option<f64>,
    /// Memory limit.
    pub memory_limit: Option<f64>,
    /// Pages read again that had been dropped for want of memory.
    pub refaults: Option<f64>,
    /// Faults that had to wait for a disk.
    pub major_faults: Option<f64>,
    /// Processes killed for want of memory.
    pub oom_kills: Option<f64>,
    /// Times it was restarted.
    pub restarts: Option<f64>,
    /// Share of the time that a JVM collects garbage.
    pub gc: Option<f64>,
    /// Bytes read from its disk.
    pub read_bytes: Option<f64>,
    /// Bytes written to its disk.
    pub write_bytes: Option<f64>,
    /// Bytes written and not yet on the disk.
    pub dirty_bytes: Option<f64>,
    /// p99 of a small write with fsync beside its data, in milliseconds.
    pub fsync_ms: Option<f64>,
    /// Share of its volume that is free.
    pub disk_free: Option<f64>,
    /// Share of TCP segments that were sent again.
    pub retransmits: Option<f64>,
    /// p99 of round trips to its peers, in milliseconds.
    pub round_trip_ms: Option<f64>,
    /// Round trip of a client's requests to this broker, in milliseconds.
    pub rtt_ms: Option<f64>,
    /// Share of the time that a broker's request handlers are idle.
    pub handlers_idle: Option<f64>,
    /// Partitions that this broker leads.
    pub leaders: Option<f64>,
}

/// A node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// The first of the nodes on the same machine: itself if it is alone. They share its CPUs, and each reports all of them.
    /// Absent if it is not known which machine it is on.
    pub machine: Option<String>,
    /// Its CPUs.
    pub cores: Option<f64>,
    /// Share of its CPU time in which nothing ran.
    pub idle: Option<f64>,
    /// Share that its host took.
    pub steal: Option<f64>,
    /// Share in which it was idle and a disk was not.
    pub iowait: Option<f64>,
}

/// A partition.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct PartitionSeen {
    /// Its topic without the installation's prefix.
    pub topic: String,
    /// Its number.
    pub number: u32,
    /// The component that reads it.
    pub reader: String,
    /// Share of all that its reader reads.
    pub share: Option<f64>,
    /// Whether its lag grows.
    pub lag_grows: Option<bool>,
    /// Share of its largest key.
    pub largest_key: Option<f64>,
}

/// What our sessions in Postgres wait for: shares of samples of active ones.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Sessions {
    /// The write-ahead log.
    pub wal: Option<f64>,
    /// Data files.
    pub data_files: Option<f64>,
    /// The client: it waits for us.
    pub client: Option<f64>,
    /// Nothing by its own account: it works, or waits for a CPU.
    pub nothing: Option<f64>,
}

/// Redis' own figures.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct RedisSeen {
    /// CPU of its main thread, in cores.
    pub main_thread: Option<f64>,
    /// Writes of the append-only file that were put off, per second.
    pub delayed_fsync: Option<f64>,
    /// Share of `maxmemory` in use.
    pub memory: Option<f64>,
}

impl Node {
    /// Whether another node, or it itself, is on the same machine.
    pub(crate) fn shares_machine_with(&self, other: &Self) -> bool {
        self.name == other.name || (self.machine.is_some() && self.machine == other.machine)
    }
}

impl Moment {
    /// The pods of a component.
    pub(super) fn pods<'a>(&'a self, component: &'a str) -> impl Iterator<Item = &'a Pod> {
        self.pods.iter().filter(move |pod| pod.component == component)
    }

    pub(super) fn pod(&self, name: &str) -> Option<&Pod> {
        self.pods.iter().find(|pod| pod.pod == name)
    }

    pub(crate) fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name == name && !name.is_empty())
    }

    /// The nodes by machine.
    pub(crate) fn machines(&self) -> Vec<Vec<&Node>> {
        let mut machines: Vec<Vec<&Node>> = Vec::new();
        for node in &self.nodes {
            match machines.iter_mut().find(|machine| machine[0].shares_machine_with(node)) {
                Some(machine) => machine.push(node),
                None => machines.push(vec![node]),
            }
        }
        machines
    }

    pub(super) fn stage(&self, name: &str) -> Option<&StageSeen> {
        self.stages.iter().find(|stage| stage.stage == name)
    }
}
