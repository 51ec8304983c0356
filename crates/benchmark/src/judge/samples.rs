//! A step that went well, for tests to change one thing of it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use service::state::{Clock, Count, Findings, Instance, Received, Stage as StageState, State};
use service::{Histogram, Latency, Report};

use super::{Partition, Second, Snapshot, Window};

pub(crate) const RATE: f64 = 1_000.0;
const SECONDS: u64 = 60;
pub(crate) const LIMIT: Duration = Duration::from_secs(1);
const PODS: [(&str, &str); 4] =
    [("loader", "loader-0"), ("etl-fan-out", "fan-out-0"), ("etl-redis", "redis-a"), ("etl-postgres", "postgres-a")];

/// A step of one minute at 1,000/s that held, drained within five seconds.
pub(crate) fn healthy() -> Window {
    let (begin, end, drained) = (snapshot(0), snapshot(SECONDS), snapshot(SECONDS + 5));
    let seconds = (0..=SECONDS)
        .map(|at| {
            let partition = Partition {
                group: "postgres".to_owned(),
                topic: "sales.ca".to_owned(),
                number: 0,
                lag: 7,
                end: Some(at * 120),
            };
            Second { state: state(at), partitions: Some(vec![partition]) }
        })
        .collect::<Vec<_>>();
    Window { begin, end, drained, asked: seconds.len(), seconds, drain: Some(Duration::from_secs(5)) }
}

pub(crate) fn state(at: u64) -> State {
    let stages =
        [("accepted", "loader"), ("routed", "etl-fan-out"), ("cached", "etl-redis"), ("stored", "etl-postgres")];
    let stages = stages.map(|(name, component)| {
        // Commits make it swing.
        let lag = if at > SECONDS { 0 } else { 100 + (at % 3) * 40 };
        StageState { name: name.to_owned(), component: component.to_owned(), lag: Some(lag), ..StageState::default() }
    });
    let instances = PODS.map(|(component, pod)| Instance {
        component: component.to_owned(),
        pod: Some(pod.to_owned()),
        age_seconds: Some(0.5),
        clock: Some(Clock { offset_us: 300, error_us: 200 }),
        ..Instance::default()
    });
    let findings = Findings {
        auditable: true,
        backlog: Some(0),
        counts: vec![Count { stage: "stored".to_owned(), kind: "lost".to_owned(), findings: 0 }],
        ..Findings::default()
    };
    State {
        at_us: i64::try_from(at * 1_000_000).unwrap(),
        stages: stages.into(),
        instances: instances.into(),
        findings: Some(findings),
        ..State::default()
    }
}

pub(crate) fn snapshot(at: u64) -> Snapshot {
    let sales = 5_000 + at.min(SECONDS) * 1_000;
    let stages = ["accepted", "routed", "cached", "stored"];
    let reports = PODS.iter().zip(stages).map(|((component, pod), stage)| {
        let mut counters = BTreeMap::from([(stage.to_owned(), sales), ("store_errors".to_owned(), 3)]);
        let mut latencies = BTreeMap::from([(stage.to_owned(), histogram(&[(50, sales)]))]);
        if *component == "loader" {
            counters.extend(["due", "sent"].map(|name| (name.to_owned(), sales)));
            counters.extend(["unknown", "blocked_us"].map(|name| (name.to_owned(), 0)));
            latencies.insert("schedule_lag".to_owned(), histogram(&[(1, sales)]));
            latencies.insert("blocked".to_owned(), histogram(&[]));
        }
        // As JSON, in which what a report may have besides can be left out.
        let report = json!({
            "program": component, "pod": pod, "node": "", "incarnation": 1, "sequence": at, "at_us": at * 1_000_000,
            "counters": counters, "gauges": {}, "latencies": latencies,
            "resources": {"cpu_usage_us": at * 200_000, "cpu_limit_millicores": 500, "cpu_throttled_us": 0},
        });
        let report = serde_json::from_value(report).unwrap();
        Received { component: (*component).to_owned(), address: String::new(), age_seconds: 0.5, report }
    });
    Snapshot { state: state(at), reports: reports.collect() }
}

/// Milliseconds, and how many sales took so long.
pub(crate) fn histogram(latencies: &[(i64, u64)]) -> Histogram {
    let latency = Latency::default();
    for (ms, n) in latencies {
        latency.record_n(0, ms * 1_000, *n);
    }
    Histogram::encode(&latency).unwrap()
}

pub(crate) fn report<'a>(snapshot: &'a mut Snapshot, component: &str) -> &'a mut Report {
    &mut snapshot.reports.iter_mut().find(|it| it.component == component).unwrap().report
}
