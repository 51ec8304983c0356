//! The lines that a signal must be beyond to count.
//!
//! They are those of the sources named beside them; "(tried)" are first guesses, for which the distance from the quiet baseline
//! is the main test and the line only a floor.

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
