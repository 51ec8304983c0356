//! What reports become as evidence; and what they lack stays unknown.

use serde_json::{Value, json};
use service::state::{Received, Stage as StageState, State};
use service::{Histogram, Latency};

use super::gather::moment;
use crate::diagnose::{Moment, Pod};
use crate::judge::{Judged, Partition, Second, Snapshot, Terms, Window, judge};

const SECONDS: u64 = 10;

fn report(component: &str, pod: &str, at: u64, more: &Value) -> Received {
    let mut report = json!({
        "program": component, "pod": pod, "node": "node-1", "incarnation": 1, "sequence": at, "at_us": at * 1_000_000,
        "counters": {}, "gauges": {}, "latencies": {}, "resources": null,
    });
    report.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let received = json!({"component": component, "address": "", "age_seconds": 0.5, "report": report});
    serde_json::from_value(received).unwrap()
}

/// A sink and a broker with its probe, `at` seconds after the beginning.
fn reports(at: u64, started: u64) -> Vec<Received> {
    let sink = json!({
        "counters": {"stored": at * 400, "batches": at * 4},
        "threads": {
            "idle": {"input_us": at * 1_000_000},
            "busy": {"working_us": at * 600_000, "store_us": at * 200_000, "input_us": at * 200_000},
        },
        "resources": {
            "cpu_usage_us": at * 700_000, "cpu_limit_millicores": 1_000, "cpu_periods": at * 10,
            "cpu_throttled_periods": at * 4, "cpu_throttled_us": at * 100_000,
            "processes": {
                "running_us": at * 700_000, "run_queue_us": at * 300_000, "disk_read_bytes": at * 7, "disk_written_bytes": at * 9,
            },
            "node": {"boot_id": "a", "cpus": 4, "cpu_total_us": at * 4_000_000, "cpu_idle_us": at * 1_000_000, "cpu_steal_us": at * 400_000},
        },
    });
    let fsync = Latency::default();
    fsync.record_n(0, 2_000, 100);
    fsync.record_n(0, 30_000, at * 10);
    let broker = json!({
        "latencies": {
            "fsync": Histogram::encode(&fsync).unwrap(), "round_trip/kafka-1:9092": Histogram::encode(&fsync).unwrap(),
        },
        "resources": {"network": {"tcp_sent_segments": at * 99, "tcp_retransmitted_segments": at}},
        "neighbour": {
            "name": "kafka", "incarnation": started,
            "resources": {
                "cpu_usage_us": at * 500_000, "cpu_limit_millicores": null, "memory_refaults": at * 50,
                "disk_read_bytes": at * 1_000_000, "processes": {"disk_read_bytes": at},
            },
            "disk": {"size_bytes": 100, "free_bytes": 25},
        },
    });
    vec![report("etl-postgres", "sink-a", at, &sink), report("kafka", "kafka-0", at, &broker)]
}

fn window(started_last: u64) -> Window {
    let stages =
        [("accepted", "loader"), ("routed", "etl-fan-out"), ("stored", "etl-postgres")].map(|(name, component)| {
            StageState { name: name.to_owned(), component: component.to_owned(), lag: Some(5), ..StageState::default() }
        });
    let state = |at: u64| State {
        at_us: i64::try_from(at * 1_000_000).unwrap(),
        stages: stages.clone().into(),
        ..State::default()
    };
    let snapshot = |at, started| Snapshot { state: state(at), reports: reports(at, started) };
    let partition = |number: u32, end: u64, lag: u64| Partition {
        group: "ns_rel_fan-out".to_owned(),
        topic: "ns_rel_sales".to_owned(),
        number,
        lag,
        end: Some(end),
    };
    let seconds = (0..=SECONDS).map(|at| Second {
        state: state(at),
        partitions: at.is_multiple_of(2).then(|| vec![partition(0, at * 300, at * 200), partition(1, at * 100, 3)]),
    });
    Window {
        begin: snapshot(0, 7),
        end: snapshot(SECONDS, started_last),
        drained: snapshot(SECONDS, started_last),
        seconds: seconds.collect(),
        asked: 11,
        drain: None,
    }
}

fn seen(window: &Window) -> Moment {
    let terms = Terms {
        offered: 400.0,
        latency_limit: std::time::Duration::from_secs(1),
        swings: std::collections::BTreeMap::new(),
        mix: std::collections::BTreeMap::new(),
    };
    let judged: Judged = judge(window, &terms);
    moment(window, &judged)
}

fn pod(moment: &Moment, name: &str) -> Pod {
    moment.pods.iter().find(|pod| pod.pod == name).unwrap().clone()
}

fn is(value: Option<f64>, expected: f64) -> bool {
    value.is_some_and(|value| (value - expected).abs() < 1e-6 * expected.abs().max(1.0))
}

#[test]
fn a_program_is_what_its_report_says_of_its_container_and_threads() {
    let moment = seen(&window(7));
    let sink = pod(&moment, "sink-a");
    assert!(is(sink.cpu_cores, 0.7) && is(sink.cpu_limit, 1.0) && is(sink.throttled, 0.4), "{sink:?}");
    assert!(is(sink.run_queue, 0.2), "time throttled does not count as waiting for others: {sink:?}");
    assert!(is(sink.busiest_thread, 0.6), "{sink:?}");
    assert!(
        is(sink.read_bytes, 7.0) && is(sink.write_bytes, 9.0),
        "its group does not count, its processes do: {sink:?}"
    );
    assert_eq!((sink.fsync_ms, sink.gc, sink.memory_limit), (None, None, None), "what was not said is unknown");
    let stored = moment.stages.iter().find(|stage| stage.stage == "stored").unwrap();
    assert!(is(stored.ceiling, 500.0) && is(stored.rows_per_commit, 100.0), "{stored:?}");
    assert_eq!(stored.lag_grows, Some(false));
    assert_eq!(moment.stages[0].lag_grows, None, "no loader reports");
}

#[test]
fn a_server_is_what_its_probe_saw() {
    let broker = pod(&seen(&window(7)), "kafka-0");
    assert_eq!(broker.component, "kafka");
    assert!(is(broker.cpu_cores, 0.5) && is(broker.refaults, 50.0) && is(broker.read_bytes, 1e6), "{broker:?}");
    assert_eq!((broker.cpu_limit, broker.throttled), (None, Some(0.0)), "without a limit nothing is throttled");
    assert!(
        broker.fsync_ms.is_some_and(|ms| (29.9..30.1).contains(&ms)),
        "only what was measured meanwhile: {broker:?}"
    );
    assert!(is(broker.retransmits, 0.01) && is(broker.disk_free, 0.25) && is(broker.restarts, 0.0), "{broker:?}");
    assert!(is(pod(&seen(&window(8)), "kafka-0").restarts, 1.0), "it has started again");
}

#[test]
fn a_node_is_seen_by_a_program_on_it() {
    let moment = seen(&window(7));
    let [node] = &moment.nodes[..] else { panic!("{:?}", moment.nodes) };
    assert!(is(node.cores, 4.0) && is(node.idle, 0.25) && is(node.steal, 0.1) && node.iowait.is_none(), "{node:?}");
}

#[test]
fn nodes_that_report_the_same_boot_id_are_on_one_machine() {
    let mut window = window(7);
    for (at, snapshot) in [(0, &mut window.begin), (SECONDS, &mut window.end)] {
        for (node, boot_id) in [("node-0", Some("b")), ("node-2", Some("a")), ("node-3", None)] {
            let figures = json!({"node": {"boot_id": boot_id, "cpus": 4, "cpu_total_us": at, "cpu_idle_us": 0}});
            let pod = json!({"node": node, "resources": figures});
            snapshot.reports.push(report("etl-redis", &format!("sink-on-{node}"), at, &pod));
        }
    }
    let nodes = seen(&window).nodes;
    let machines: Vec<_> = nodes.iter().map(|node| (node.name.as_str(), node.machine.as_deref())).collect();
    let expected =
        [("node-0", Some("node-0")), ("node-1", Some("node-1")), ("node-2", Some("node-1")), ("node-3", None)];
    assert_eq!(machines, expected);
}

#[test]
fn partitions_have_their_share_and_whether_their_lag_grows() {
    let moment = seen(&window(7));
    let [first, second] = &moment.partitions[..] else { panic!("{:?}", moment.partitions) };
    assert_eq!((first.topic.as_str(), first.reader.as_str(), first.number), ("sales", "etl-fan-out", 0));
    assert!(is(first.share, 0.75) && is(second.share, 0.25), "{first:?} {second:?}");
    assert_eq!((first.lag_grows, second.lag_grows), (Some(true), Some(false)));
    let mut short = window(7);
    short.seconds.truncate(3);
    assert!(seen(&short).partitions.is_empty(), "two looks do not say whether a lag grows");
}
