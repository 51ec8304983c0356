//! The decision table: what each row looks for, in the order in which it is read.
//!
//! The lines are those of the sources named beside them; "(tried)" are first guesses, for which the distance from the quiet
//! baseline is the main test and the line only a floor.

use super::case::Case;
use super::cause::Cause;
use super::{faults, kafka, limits, nodes, roles, stores};

/// Share of periods in which a CPU limit was hit. By itself noise: a quarter of healthy pods is above it.
pub(super) const THROTTLED: f64 = 0.25;
/// Share of the time waiting for a CPU (tried).
pub(super) const RUN_QUEUE: f64 = 0.2;
/// Share of a node's CPU that is idle when it is full.
pub(super) const NODE_IDLE: f64 = 0.05;
/// Share of a node's CPU that its host takes (tried).
pub(super) const STEAL: f64 = 0.05;
/// A thread that uses so much of one core is full.
pub(super) const THREAD: f64 = 0.9;
/// Round trips of clients to a broker, in milliseconds: below it they are quick, whatever they were at rest.
pub(super) const RTT_MS: f64 = 10.0;
/// fsync of a database's log, in milliseconds (etcd's line for its own).
pub(super) const FSYNC_MS: f64 = 10.0;
/// Share of the time that a broker's request handlers should be idle at least.
pub(super) const HANDLERS_IDLE: f64 = 0.3;
/// Share of the time for garbage (tried).
pub(super) const GC: f64 = 0.1;
/// Pages a second read again after they were dropped (tried).
pub(super) const REFAULTS: f64 = 100.0;
/// Bytes a second that a broker reads from its disk (tried).
pub(super) const READ_BYTES: f64 = 1e6;
/// Share of TCP segments sent again (tried).
pub(super) const RETRANSMITS: f64 = 0.01;
/// How many times its quiet value a round trip between pods may be.
pub(super) const ROUND_TRIP_TIMES: f64 = 5.0;
/// A share of a partition, as a multiple of its peers' (tried).
pub(super) const HOT: f64 = 2.0;
/// Share of Postgres' samples that name what it waits for.
pub(super) const SESSIONS: f64 = 0.5;
/// Share of the stage's time that a cause must explain.
pub(super) const EXPLAINED: f64 = 0.4;
/// How many times as strong the first cause must be as the second.
pub(super) const CLEARER: f64 = 1.5;
/// No signal counts for more than this many times its line.
pub(super) const STRONGEST: f64 = 4.0;
/// What a limit is raised to: usage in the step that failed, divided by this (Flink's target).
pub(super) const TARGET_USE: f64 = 0.7;

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
