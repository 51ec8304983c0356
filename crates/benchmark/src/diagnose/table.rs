//! The decision table: what each row looks for, in the order in which it is read.

use super::case::Case;
use super::cause::Cause;
use super::{faults, kafka, limits, nodes, roles, stores};

/// How a row is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tier {
    /// The instrument is the limit: no statement about the cluster.
    Instrument,
    /// Something broke: no statement about capacity.
    Fault,
    /// The node: comes before all that runs on it.
    Node,
    /// The rest are held against each other.
    Resource,
}

/// A row.
pub(super) struct Row {
    pub(super) number: u8,
    pub(super) tier: Tier,
    /// What it is, in the report's list of what was looked for.
    pub(super) what: &'static str,
    pub(super) test: fn(&Case) -> Vec<Cause>,
}

const fn row(number: u8, tier: Tier, what: &'static str, test: fn(&Case) -> Vec<Cause>) -> Row {
    Row { number, tier, what, test }
}

/// All rows; the last one, "unclear", is what remains if none fits or two fit equally.
pub(super) const TABLE: [Row; 22] = [
    row(0, Tier::Instrument, "a loader at its CPU limit", faults::loader),
    row(1, Tier::Fault, "a restart, a full volume, copies missing", faults::fault),
    row(2, Tier::Node, "the CPU of a node", nodes::full),
    row(3, Tier::Node, "CPU taken by the host under a node", nodes::stolen),
    row(4, Tier::Resource, "a pod at its CPU limit", limits::throttled),
    row(5, Tier::Resource, "a fan-out at one core", roles::fan_out_core),
    row(6, Tier::Resource, "as many fan-outs as partitions", roles::partitions),
    row(7, Tier::Resource, "one hot partition", roles::hot),
    row(8, Tier::Resource, "brokers' request handlers", kafka::handlers),
    row(9, Tier::Resource, "one slow broker", kafka::one_broker),
    row(10, Tier::Resource, "brokers' disks", kafka::disk),
    row(11, Tier::Resource, "brokers' heap", kafka::heap),
    row(12, Tier::Resource, "brokers' page cache", kafka::page_cache),
    row(13, Tier::Resource, "the network", nodes::network),
    row(14, Tier::Resource, "transactions that are too small", kafka::transactions),
    row(15, Tier::Resource, "a sink or spout at one core", roles::sink_core),
    row(16, Tier::Resource, "the disk of Postgres' log", stores::wal),
    row(17, Tier::Resource, "Postgres' CPU", stores::postgres_cpu),
    row(18, Tier::Resource, "Postgres' memory", stores::postgres_memory),
    row(19, Tier::Resource, "round trips to Postgres", stores::round_trips),
    row(20, Tier::Resource, "Redis' one thread", stores::redis_thread),
    row(21, Tier::Resource, "Redis' disk", stores::redis_disk),
];
