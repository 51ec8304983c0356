//! A run on a simulated cluster that gives way at 3,500 sales/s, as a capsule.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use benchmark::capsule::{
    Audit, Capsule, FORMAT, Jump, Parameters, PodRecord, Point, Proof, Recovery, Scaled, StepRecord, VERSION,
};
use benchmark::decide::decide;
use benchmark::diagnose::{Evidence, diagnose};
use benchmark::elasticity;
use benchmark::judge::{Criterion, Judged, Lag, Met, StageLatency, written};
use benchmark::mode::Mode;
use benchmark::search::{Limits, Next, Outcome, Past, Phase, Search, Step};
use benchmark::verdict::Verdict;
use service::state::Percentiles;
use service::{Histogram, Latency};

const GIVES_WAY: f64 = 3_500.0;
const BEGAN_US: i64 = 1_790_000_000_000_000;

/// The capsule of a run in a mode, with a target.
pub(crate) fn capsule(mode: Mode, target: Option<f64>) -> Capsule {
    static RUNS: [OnceLock<Capsule>; 2] = [const { OnceLock::new() }; 2];
    let first = &RUNS[usize::from(mode == Mode::Smoke)];
    let mut capsule = first.get_or_init(|| run(mode)).clone();
    capsule.parameters.target = target;
    let (found, audit) = (capsule.found.clone().unwrap(), capsule.audit.clone().unwrap());
    capsule.decided(decide(&capsule.parameters, &found, &capsule.steps, &audit));
    capsule
}

/// A run whose load has jumped, and recovered in so many seconds; none if it did not in time.
pub(crate) fn jumped(seconds: Option<f64>) -> Capsule {
    let mut capsule = capsule(Mode::Default, None);
    let jump = Jump { from: 500.0, to: 4_000.0, within_seconds: 600.0 };
    let of = |outcome| capsule.steps.iter().find(|record| record.judged.outcome == outcome).unwrap().clone();
    let (held, failed) = (of(Outcome::Held), of(Outcome::Failed));
    let step = |rate, phase| Step { rate, phase, repeat: false };
    let broken = failed.judged.broken().cloned();
    let judged = if seconds.is_some() { held.judged.clone() } else { failed.judged.clone() };
    let last = StepRecord { step: step(jump.to, Phase::Jump), judged, ..failed };
    capsule.steps = vec![StepRecord { step: step(jump.from, Phase::Before), ..held }, last];
    let pods = |n| [("etl-fan-out".to_owned(), 1), ("etl-postgres".to_owned(), n)].into();
    let recovery = Recovery {
        seconds,
        window_seconds: 60.0,
        broken,
        before: pods(1),
        after: pods(2),
        scaled: vec![Scaled { seconds: 35.0, component: "etl-postgres".to_owned(), pods: 2 }],
    };
    (capsule.found, capsule.repeats) = (None, Vec::new());
    if seconds.is_some() {
        (capsule.diagnosis, capsule.evidence) = (None, None);
    }
    let audit = capsule.audit.clone().unwrap();
    capsule.decided(elasticity::decide(&jump, &recovery, &capsule.steps[1].judged.clone(), &audit));
    (capsule.parameters.elasticity, capsule.recovery) = (Some(jump), Some(recovery));
    capsule
}

/// Made once for all tests of a file: histograms take their time.
fn run(mode: Mode) -> Capsule {
    let limits = Limits::new(mode, &mode.times(), 12_000.0);
    let (mut search, mut steps, mut elapsed) = (Search::new(limits), Vec::new(), Duration::ZERO);
    let found = loop {
        let step = match search.next(elapsed) {
            Next::Done(found) => break found,
            Next::Step(step) => step,
        };
        let record = record(step, steps.len(), mode, elapsed);
        elapsed +=
            if record.judged.outcome == Outcome::Held { Duration::from_secs(12) } else { Duration::from_secs(20) };
        search.record(Past { step, outcome: record.judged.outcome, delivered: record.judged.delivered });
        steps.push(record);
    };
    let parameters = Parameters {
        mode,
        target: None,
        elasticity: None,
        latency_limit_ms: 1_000,
        stages: ["accepted", "routed", "stored", "returned"].map(str::to_owned).into(),
        model: 1,
        load: [
            ("seed", "2014"),
            ("stores", "1000"),
            ("customers", "10000"),
            ("skew", "100"),
            ("hotStore", "0"),
            ("days", "365"),
            ("arrivals", "even"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into(),
        misbehaviour: Vec::new(),
    };
    let evidence = evidence();
    Capsule {
        format: FORMAT.to_owned(),
        version: VERSION,
        run: "run-1".to_owned(),
        began_us: BEGAN_US,
        ended_us: BEGAN_US + 1_740_000_000,
        kapture: "0.1.0".to_owned(),
        versions: [("kafka".to_owned(), "4.2.2".to_owned())].into(),
        parameters,
        installation: evidence.installation.clone(),
        calibrated: Some(12_000.0),
        pods: pods(),
        steps,
        found: Some(found),
        recovery: None,
        repeats: search.repeats(),
        audit: Some(audit()),
        diagnosis: Some(diagnose(&evidence)),
        evidence: Some(evidence),
        verdict: Verdict::CouldNotRun,
        reason: String::new(),
        remedy: None,
    }
}

/// The evidence of a cluster whose Postgres is at its CPU limit.
pub(crate) fn evidence() -> Evidence {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnose/04-postgres-throttled.json");
    let fixture: serde_json::Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    serde_json::from_value(fixture["evidence"].clone()).unwrap()
}

fn pods() -> Vec<PodRecord> {
    let pod = |component: &str, pod: &str, node: &str, cpu: f64| PodRecord {
        component: component.to_owned(),
        pod: pod.to_owned(),
        node: Some(node.to_owned()),
        cpu_limit: Some(cpu),
        memory_limit: Some(268_435_456.0),
    };
    vec![
        pod("loader", "kapture-loader-0", "node-3", 0.5),
        pod("kafka", "kapture-kafka-0", "node-1", 1.0),
        pod("etl-fan-out", "kapture-etl-fan-out-0", "node-1", 1.0),
        pod("etl-postgres", "kapture-etl-postgres-7d9f", "node-1", 1.0),
        PodRecord { component: "postgres".to_owned(), pod: "kapture-postgres-0".to_owned(), ..PodRecord::default() },
    ]
}

fn audit() -> Audit {
    let proof = |stage: &str| Proof {
        stage: stage.to_owned(),
        found: Some(1_834_233),
        findings: ["lost", "duplicate", "altered", "out_of_order"].map(|kind| (kind.to_owned(), 0)).into(),
    };
    Audit {
        findings: yes("findings", "0", "0"),
        done: yes("auditor abreast", "nothing left to read, all of it auditable", "0 records left"),
        stages: ["accepted", "routed", "stored", "returned"].map(proof).into(),
    }
}

fn yes(name: &str, limit: &str, measured: &str) -> Criterion {
    criterion(name, limit, measured.to_owned(), Met::Yes)
}

fn criterion(name: &str, limit: &str, measured: String, met: Met) -> Criterion {
    Criterion { name: name.to_owned(), limit: limit.to_owned(), measured, met, remedy: None }
}

fn record(step: Step, n: usize, mode: Mode, elapsed: Duration) -> StepRecord {
    let load = step.rate / GIVES_WAY;
    // A little noise, the same in each run.
    let noise = 1.0 + f64::from(u32::try_from(n * 7 % 11).unwrap()) / 600.0 - 0.008;
    let holds = load * noise < 1.0;
    #[expect(clippy::cast_possible_truncation, reason = "milliseconds")]
    let p99_ms = (120.0 + 240.0 * load.powi(3) * noise + if holds { 0.0 } else { 900.0 * load }) as i64;
    let delivered = step.rate.min(GIVES_WAY) * (noise + 0.999) / 2.0;
    let seconds = if mode == Mode::Smoke { 10 } else { 60 };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of sales")]
    let sales = (step.rate * f64::from(seconds)) as u64;
    let latencies = ["accepted", "routed", "stored", "returned"]
        .iter()
        .zip([8, 3, 1, 1])
        .map(|(stage, part)| latency(stage, p99_ms / part, sales));
    let grows = if holds { 0.0 } else { step.rate - GIVES_WAY };
    let p99 = written(Some(u64::try_from(p99_ms * 1_000).unwrap()));
    let met = |met| if met { Met::Yes } else { Met::No };
    let broken = (!holds).then(|| format!("it grows by {grows:.0} sales/s"));
    let lag = if holds {
        format!("{grows:+.0} sales/s at stored")
    } else {
        format!("stored: it grows by {grows:.0} sales/s")
    };
    let judged = Judged {
        offered: step.rate,
        sent: Some(step.rate),
        delivered: Some(delivered),
        outcome: if holds { Outcome::Held } else { Outcome::Failed },
        levels: vec![
            criterion(
                "p99 from due to each store",
                "1000 ms",
                format!("{p99} to stored of {sales} sales"),
                met(p99_ms <= 1_000),
            ),
            criterion("lag not growing", "slope 1 %, end 1 s", lag, met(holds)),
            yes(
                "Kafka takes what is due",
                "99.9 % of it, in time",
                "0.00 % late and 0.00 % not sent while it took no more",
            ),
            yes("findings", "0", "0"),
            yes("errors", "0", "0"),
        ],
        trust: vec![
            yes("loaders on schedule", "99 % within 50 ms, 99.9 % sent", "0.00 % late, 0.00 % not sent by own fault"),
            yes(
                "loaders not throttled",
                "1 % of the time, 80 % of the CPU limit",
                "loader-0: throttled 0.12 %, CPU 41 % of its limit",
            ),
            criterion(
                "mix and skew as asked",
                "each share ± 5 % and chance",
                "? (not counted)".to_owned(),
                Met::Unknown,
            ),
            yes("clocks agree", "50 ms", "0.4 ms at least between loader-0 and postgres-0"),
        ],
        latencies: latencies.collect(),
        lags: vec![Lag {
            of: "stored".to_owned(),
            first: 300.0,
            last: 300.0 + grows * f64::from(seconds),
            slope: grows,
            swing: 120.0,
            seconds: (300.0 + grows * f64::from(seconds)) / step.rate,
            broken,
        }],
        partitions: Vec::new(),
        drain_seconds: Some(1.0 + grows * f64::from(seconds) / GIVES_WAY),
    };
    let points = (0..=seconds).map(|at| Point {
        at: f64::from(at),
        sent: Some(step.rate),
        stored: (at % 20 != 13).then_some(delivered * (1.0 + f64::from(at % 5 - 2) / 200.0)),
        p99_us: (at > 0)
            .then(|| u64::try_from(p99_ms * 1_000).unwrap() * u64::try_from(90 + at % 7 * 3).unwrap() / 100),
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of sales")]
        lag: Some((300.0 + grows * f64::from(at)) as u64),
    });
    let began_us = BEGAN_US + i64::try_from(elapsed.as_micros()).unwrap();
    StepRecord { began_us, step, judged, points: points.collect() }
}

fn latency(stage: &str, p99_ms: i64, sales: u64) -> StageLatency {
    let recorded = Latency::default();
    for (part, n) in [(10, 50), (6, 30), (3, 15), (2, 4), (1, 1)] {
        recorded.record_n(0, p99_ms * 1_000 / part, sales * n / 100);
    }
    let histogram = recorded.snapshot();
    StageLatency {
        stage: stage.to_owned(),
        percentiles: Percentiles {
            n: histogram.len(),
            negative: 0,
            p50_us: Some(histogram.value_at_quantile(0.5)),
            p90_us: Some(histogram.value_at_quantile(0.9)),
            p99_us: Some(histogram.value_at_quantile(0.995)),
            p999_us: Some(histogram.value_at_quantile(0.999)),
            max_us: Some(histogram.max()),
        },
        missing: Some(0),
        late: Some(if p99_ms > 1_000 { 0.2 } else { 0.0 }),
        histogram: Histogram::encode(&recorded).unwrap(),
    }
}

/// Switches that some tests set.
pub(crate) fn load(seed: &str) -> BTreeMap<String, String> {
    [("seed".to_owned(), seed.to_owned())].into()
}

/// `REPORT_PAGES=directory cargo test` leaves pages there, to be looked at.
pub(crate) fn keep(name: &str, text: &str) {
    if let Ok(directory) = std::env::var("REPORT_PAGES") {
        fs::write(Path::new(&directory).join(name), text).unwrap();
    }
}
