//! What the exporter knows of all programs: the body of its `/api/v1/state`.
//!
//! It is defined here because the exporter writes it, and auditor, benchmark and page read it. Unknown values are absent,
//! never zero: a 0 was measured.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Report;

/// The whole state at one moment.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct State {
    /// When this was put together, in microseconds since 1970 by the exporter's clock.
    pub at_us: i64,
    /// The stages that this installation has, in the order of the flow.
    pub stages: Vec<Stage>,
    /// How the load was offered; absent without loaders.
    pub load: Option<Load>,
    /// Every instance that exists or should exist.
    pub instances: Vec<Instance>,
    /// What the pods use of their limits, the nearest to its limit first.
    pub resources: Vec<Use>,
    /// Kafka's own view; absent until Kafka has answered for the first time.
    pub kafka: Option<Kafka>,
    /// What the auditor has found; absent while it does not report.
    #[serde(default)]
    pub findings: Option<Findings>,
    /// The benchmark that is running; absent while none reports.
    #[serde(default)]
    pub benchmark: Option<BenchmarkRun>,
    /// The newest results of benchmarks, the newest first; absent until they were read from Kafka.
    #[serde(default)]
    pub results: Option<Vec<BenchmarkResult>>,
}

/// A place that every sale must reach.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Stage {
    /// As `pipeline` names it.
    pub name: String,
    /// The stage before it; absent for the first.
    #[serde(default)]
    pub after: Option<String>,
    /// The store that its sales are in; absent if they are on a topic.
    #[serde(default)]
    pub store: Option<String>,
    /// The component that counts it.
    pub component: String,
    /// Sales counted by the component's instances, as far as the exporter heard of them; never falls.
    pub sales: Option<u64>,
    /// Sales per second over the last ten seconds, by the instances' own clocks; absent when none of them
    /// reports.
    pub rate: Option<f64>,
    /// Sales accepted and not found here, by the programs' own counters; absent when they can't tell.
    pub lag: Option<u64>,
    /// The auditor's figures for the stage; absent while it does not report.
    #[serde(default)]
    pub audited: Option<Audited>,
    /// How its busiest thread spent the last ten seconds; absent if no instance reports that.
    #[serde(default)]
    pub time: Option<Shares>,
    /// Sales per second that it could do if it never waited for input. A low estimate, since larger batches are cheaper; absent
    /// if `time` is.
    #[serde(default)]
    pub ceiling: Option<f64>,
    /// Latency from the due time, since the start.
    pub latency: Option<Percentiles>,
    /// The same over the last ten seconds.
    pub recent: Option<Percentiles>,
    /// Age of the oldest report that counts in, in seconds.
    pub age_seconds: Option<f64>,
    /// Instances that count it, and how many of them are stale or were never heard.
    pub instances: usize,
    /// See `instances`.
    pub stale: usize,
}

/// Shares of a thread's time, which add up to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Shares {
    /// Its own work.
    pub working: f64,
    /// There was nothing to do.
    pub waiting_for_input: f64,
    /// Waiting for Kafka.
    pub waiting_for_kafka: f64,
    /// Waiting for its store.
    pub waiting_for_store: f64,
}

impl Shares {
    /// Those that wait least for input.
    pub fn busiest(of: impl Iterator<Item = Self>) -> Option<Self> {
        of.min_by(|a, b| a.waiting_for_input.total_cmp(&b.waiting_for_input))
    }

    /// What could be done in a second if input were never waited for, by the `rate` at which it is; none if it only waited.
    pub fn ceiling(&self, rate: f64) -> Option<f64> {
        let busy = 1.0 - self.waiting_for_input;
        (busy > 0.0).then(|| rate / busy)
    }
}

/// The auditor's figures for a stage. They lag behind by what the auditor has not read yet, which is not the pipeline's lag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audited {
    /// Sales that it found.
    pub found: u64,
    /// Sales that it has not found yet, and that may still come.
    pub late: u64,
    /// Sales that will never arrive.
    pub lost: u64,
}

/// What the auditor has found, all stages together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Findings {
    /// Seconds since its report.
    pub age_seconds: f64,
    /// False if there is something that it can't audit.
    pub auditable: bool,
    /// What it can't audit, or only late, in words.
    #[serde(default)]
    pub remarks: Vec<String>,
    /// Records that the auditor itself has not read yet, which is not the pipeline's lag.
    #[serde(default)]
    pub backlog: Option<u64>,
    /// All findings.
    pub total: u64,
    /// By stage and kind, including zeros.
    pub counts: Vec<Count>,
}

/// How many findings there are of one kind at one stage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Where, such as `stored`.
    pub stage: String,
    /// What, such as `lost`.
    pub kind: String,
    /// How many.
    pub findings: u64,
}

/// How the load was offered, all loaders together.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Load {
    /// Sales per second that the loaders were asked for.
    pub asked: Option<f64>,
    /// Sales per second handed to Kafka over the last ten seconds.
    pub sent: Option<f64>,
    /// From due to handed over, over the last ten seconds: can the measurement be trusted?
    pub schedule_lag: Option<Percentiles>,
    /// Waiting for a full client queue, over the last ten seconds: is Kafka too slow?
    pub blocked: Option<Percentiles>,
}

/// Percentiles of merged histograms, in microseconds; absent if none could be measured. Closed, unlike the rest of the state,
/// because a capsule of the benchmark holds it too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Percentiles {
    /// How many were measured.
    pub n: u64,
    /// How many were negative, because two clocks differ; they are not in the percentiles.
    pub negative: u64,
    /// Median.
    pub p50_us: Option<u64>,
    /// 90th percentile.
    pub p90_us: Option<u64>,
    /// 99th percentile.
    pub p99_us: Option<u64>,
    /// 99.9th percentile.
    pub p999_us: Option<u64>,
    /// The longest.
    pub max_us: Option<u64>,
}

/// One pod of a component, according to its last report.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Instance {
    /// The component.
    pub component: String,
    /// Address that it was polled at.
    pub address: String,
    /// Pod; absent if it has never answered.
    pub pod: Option<String>,
    /// Node; empty if the pod doesn't know.
    pub node: Option<String>,
    /// Start of the program that answered last.
    pub incarnation: Option<u64>,
    /// Number of its last report.
    pub sequence: Option<u64>,
    /// Seconds since its last report came; absent if none ever came.
    pub age_seconds: Option<f64>,
    /// Whether its last report is older than it may be; the figures are that report's.
    pub stale: bool,
    /// Why the last poll failed.
    pub error: Option<String>,
    /// How its clock differs from the exporter's.
    #[serde(default)]
    pub clock: Option<Clock>,
    /// The last report's counters.
    pub counters: BTreeMap<String, u64>,
    /// The last report's gauges.
    pub gauges: BTreeMap<String, f64>,
}

/// How the clock of an instance differs from the exporter's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// Its time less the exporter's, in microseconds.
    pub offset_us: i64,
    /// The error of the offset, in either direction: half the round trip of the measurement.
    pub error_us: u64,
}

/// How much of one limit is used.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Use {
    /// The component.
    pub component: String,
    /// Its pod.
    pub pod: String,
    /// The container: the program, or the process that a probe watches.
    pub container: String,
    /// `cpu`, `memory` or `disk`.
    pub resource: String,
    /// The share of the limit that is used, 0 to 1.
    pub ratio: f64,
    /// Used: cores or bytes.
    pub used: f64,
    /// Limit: cores or bytes.
    pub limit: f64,
    /// Share of time that the CPU limit kept it waiting; of `cpu` only.
    pub throttled: Option<f64>,
    /// Whether the figures are from a stale report.
    pub stale: bool,
}

/// Kafka's own description, from its last answer.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Kafka {
    /// Seconds since that answer.
    pub age_seconds: f64,
    /// Brokers alive.
    pub brokers: usize,
    /// Partitions with fewer copies in sync than they should have.
    pub under_replicated: usize,
    /// Partitions without a leader.
    pub leaderless: usize,
    /// Consumer groups.
    pub groups: Vec<Group>,
    /// Why the last poll failed.
    pub error: Option<String>,
}

/// A consumer group.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its members.
    pub members: usize,
    /// Offsets between what it committed and the end; 0 if nothing but transaction markers is left, absent if one of its
    /// partitions can't tell.
    pub lag: Option<u64>,
}

/// What a benchmark does at present: the body of its `/api/v1/run`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BenchmarkRun {
    /// Name of the run.
    pub name: String,
    /// How thorough it is: `smoke`, `default`, `certificate`.
    pub mode: String,
    /// What its present part is for: `baseline`, `calibrate`, `ramp`, `bisect`, `audit`.
    pub phase: String,
    /// What is being done of it: `settle`, `measure`, `drain`.
    pub doing: String,
    /// Number of the step of the search, beginning with 1; absent outside of the search.
    pub step: Option<u64>,
    /// Sales per second that this part is about, all loaders together.
    pub rate: Option<f64>,
    /// The largest rate that held so far.
    pub held: Option<f64>,
    /// The smallest rate above it that failed so far.
    pub failed: Option<f64>,
    /// Seconds since it began.
    pub elapsed_seconds: f64,
    /// Seconds that it takes at most.
    pub most_seconds: f64,
}

/// A result of a benchmark, as `/results` lists them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BenchmarkResult {
    /// Name of the run.
    pub name: String,
    /// `PASS`, `FAIL`, `INVALID` or `COULD_NOT_RUN`; absent if the record can't be read.
    pub verdict: Option<String>,
    /// The number with its spread.
    pub headline: Option<String>,
    /// The sentence that decided it.
    pub reason: Option<String>,
    /// The last line of its log.
    pub line: Option<String>,
    /// Version of Kapture that ran it.
    pub kapture: Option<String>,
    /// When it began, in microseconds since 1970.
    pub began_us: Option<i64>,
    /// When it ended.
    pub ended_us: Option<i64>,
    /// Path of the report, from the exporter's root; absent if it is not kept.
    pub html: Option<String>,
    /// Path of the capsule.
    pub json: Option<String>,
    /// Why something is absent.
    pub remark: Option<String>,
}

/// The last report of an instance, as `/api/v1/reports` lists them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Received {
    /// The component.
    pub component: String,
    /// Address that it came from.
    pub address: String,
    /// Seconds since it came.
    pub age_seconds: f64,
    /// The report, unaltered.
    pub report: Report,
}
