//! A program's report about itself, and its JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Histogram, Latency, Resources, Segment, Spent, Time};

/// A program's own figures, collected again for each report.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Counters: they only grow while the program runs.
    pub counters: BTreeMap<String, u64>,
    /// Gauges: they go up and down.
    pub gauges: BTreeMap<String, f64>,
    /// Latencies by stage, and other durations.
    pub latencies: BTreeMap<String, Latency>,
    /// Where the time of each thread goes.
    pub threads: BTreeMap<String, Spent>,
    /// What a probe saw of the process it watches.
    pub neighbour: Option<Neighbour>,
    /// What could not be measured, and why.
    pub unknown: BTreeMap<String, String>,
    /// What a loader sends at present.
    pub segment: Option<Segment>,
}

impl Figures {
    /// Adds a counter.
    #[must_use]
    pub fn counter(mut self, name: impl Into<String>, value: u64) -> Self {
        self.counters.insert(name.into(), value);
        self
    }

    /// Adds a gauge.
    #[must_use]
    pub fn gauge(mut self, name: impl Into<String>, value: f64) -> Self {
        self.gauges.insert(name.into(), value);
        self
    }

    /// Adds a latency.
    #[must_use]
    pub fn latency(mut self, name: impl Into<String>, latency: &Latency) -> Self {
        self.latencies.insert(name.into(), latency.clone());
        self
    }

    /// Adds where the time goes.
    #[must_use]
    pub fn time(mut self, time: &Time) -> Self {
        self.threads = time.spent();
        self
    }

    /// Adds what a probe saw of its neighbour.
    #[must_use]
    pub fn neighbour(mut self, neighbour: Option<Neighbour>) -> Self {
        self.neighbour = neighbour;
        self
    }

    /// Adds a reason why something could not be measured.
    #[must_use]
    pub fn unknown(mut self, name: impl Into<String>, why: impl Into<String>) -> Self {
        self.unknown.insert(name.into(), why.into());
        self
    }

    /// Adds what a loader sends at present.
    #[must_use]
    pub fn segment(mut self, segment: Option<Segment>) -> Self {
        self.segment = segment;
        self
    }
}

/// The body of `/report`. Everything in it is cumulative, so that a lost report loses nothing.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// Which program: `loader`, `etl-fan-out`.
    pub program: String,
    /// Name of its pod.
    pub pod: String,
    /// Name of its node; empty if unknown.
    pub node: String,
    /// Different at each start of the program, after which counters begin at 0 again.
    pub incarnation: u64,
    /// Grows by one with each report of an incarnation.
    pub sequence: u64,
    /// When the figures were read, by the program's own clock, in microseconds since 1970.
    pub at_us: i64,
    /// Whether the program has stopped working: these figures are its last.
    #[serde(default)]
    pub ended: bool,
    /// Counters, as in [`Figures`].
    pub counters: BTreeMap<String, u64>,
    /// Gauges: they go up and down.
    pub gauges: BTreeMap<String, f64>,
    /// Latencies in microseconds.
    pub latencies: BTreeMap<String, Histogram>,
    /// Where the time of each thread that moves sales goes.
    #[serde(default)]
    pub threads: BTreeMap<String, Spent>,
    /// What the program itself uses of its limits, and what can be seen of its node. What is absent in it is unknown.
    pub resources: Option<Resources>,
    /// What a probe saw of the process it watches.
    #[serde(default)]
    pub neighbour: Option<Neighbour>,
    /// What could not be measured, by the name under which its latency or figure would be, and why.
    #[serde(default)]
    pub unknown: BTreeMap<String, String>,
    /// What a loader sends at present; none of other programs, before the load begins, and after it has ended.
    #[serde(default)]
    pub segment: Option<Segment>,
}

/// A process that a probe watches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Neighbour {
    /// Which: `kafka`, `redis`, `postgres`.
    pub name: String,
    /// Differs with each start of the process, at which counters begin at 0 again: when it started, in microseconds since
    /// the node did.
    #[serde(default)]
    pub incarnation: Option<u64>,
    /// What its container uses of its limits.
    pub resources: Resources,
    /// The file system that holds its data, if the probe can see it.
    pub disk: Option<Disk>,
}

/// A file system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// Its size.
    pub size_bytes: u64,
    /// Bytes that are free for processes other than root's.
    pub free_bytes: u64,
    /// The block device below it, as the node's disks are named; none if it can't be told.
    #[serde(default)]
    pub device: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_survives_its_journey() {
        let latency = Latency::default();
        latency.record_n(0, 1_234_000, 5);
        latency.record(1, 0);
        let report = Report {
            program: "loader".to_owned(),
            pod: "kapture-loader-0".to_owned(),
            node: "node-1".to_owned(),
            incarnation: 7,
            sequence: 3,
            at_us: 1_700_000_000_000_000,
            ended: false,
            counters: BTreeMap::from([("accepted".to_owned(), u64::MAX)]),
            gauges: BTreeMap::from([("rate".to_owned(), 0.5)]),
            latencies: BTreeMap::from([("accepted".to_owned(), Histogram::encode(&latency).unwrap())]),
            threads: BTreeMap::from([("sales".to_owned(), Spent { kafka_us: 7, ..Spent::default() })]),
            resources: Some(Resources { cpu_usage_us: Some(9), ..Resources::default() }),
            neighbour: None,
            unknown: BTreeMap::from([("fsync".to_owned(), "the disk is full".to_owned())]),
            segment: None,
        };
        let text = serde_json::to_string(&report).unwrap();
        let back: Report = serde_json::from_str(&text).unwrap();
        assert_eq!(back.counters, report.counters);
        assert_eq!((back.resources, back.threads, back.unknown), (report.resources, report.threads, report.unknown));
        assert_eq!(back.latencies["accepted"].negative, 1);
        assert_eq!(back.latencies["accepted"].decode().unwrap(), latency.snapshot());
    }
}
