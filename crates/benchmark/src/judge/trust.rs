//! Whether the measurement can be trusted: what makes a step or a run INVALID, each with what to do.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use service::state::{Instance, Percentiles, State};

use super::levels::findings;
use super::sample::{Between, Window};
use super::{Criterion, Measured, Met, Terms, load, mix};

/// Share of the latency limit by which two clocks may differ.
const CLOCK_OF_LIMIT: f64 = 0.05;
/// Share of latencies that may be below zero.
const NEGATIVE_SHARE: f64 = 0.001;
/// Share of the reports that may be missing.
const MISSING_SHARE: f64 = 0.1;
/// A report older than this is missing: it was due a second after the one before.
const REPORT_AGE: f64 = 2.5;
/// The condition that pods neither restart nor come nor go.
pub(crate) const SAME_PODS: &str = "the same pods throughout";
/// A p99 needs at least so many sales.
const LEAST_SALES: u64 = 100;

/// All conditions of a step.
pub(super) fn step(
    measured: &Measured,
    terms: &Terms,
    window: &Window,
    whole: &Between,
    inner: &Between,
) -> Vec<Criterion> {
    vec![
        load::on_schedule(&measured.schedule, terms.latency_limit),
        load::not_throttled(inner),
        load::planned(inner, terms.offered),
        mix::reached(&terms.mix, &window.end),
        clocks(&window.drained.state, terms.latency_limit),
        negative(measured),
        reports(window),
        unchanged(whole),
        load::known(whole),
        enough(measured),
    ]
}

/// The clocks of all that a latency passes.
fn clocks(state: &State, limit: Duration) -> Criterion {
    let bound_us = limit.as_micros() as f64 * CLOCK_OF_LIMIT;
    let (name, bound) = ("clocks agree", format!("{:.0} ms", bound_us / 1e3));
    let remedy = "set the nodes' clocks with NTP or chrony, or place all pods on nodes whose clocks agree";
    let on_the_way: BTreeSet<&str> = state.stages.iter().map(|stage| stage.component.as_str()).collect();
    let mut furthest: [Option<(f64, &Instance)>; 2] = [None, None];
    for instance in state.instances.iter().filter(|it| on_the_way.contains(it.component.as_str())) {
        let Some(clock) = instance.clock else {
            let pod = instance.pod.as_deref().unwrap_or(&instance.address);
            return Criterion::unknown(name, bound, &format!("that of {pod} was not measured")).or(LOOK_AT_EXPORTER);
        };
        let (offset, error) = (clock.offset_us as f64, clock.error_us as f64);
        // What is certain: each clock may be nearer to the others by its error.
        let ends = [offset + error, -(offset - error)];
        for (end, furthest) in ends.into_iter().zip(&mut furthest) {
            if furthest.is_none_or(|(before, _)| end < before) {
                *furthest = Some((end, instance));
            }
        }
    }
    let [Some((lowest, behind)), Some((highest, ahead))] = furthest else {
        return Criterion::unknown(name, bound, "nobody reports").or(LOOK_AT_EXPORTER);
    };
    let apart_us = (-highest - lowest).max(0.0);
    let pod = |instance: &Instance| instance.pod.clone().unwrap_or_else(|| instance.address.clone());
    let text = if apart_us > 0.0 {
        format!("{:.1} ms at least between {} and {}", apart_us / 1e3, pod(behind), pod(ahead))
    } else {
        "no difference is certain".to_owned()
    };
    Criterion::new(name, bound, text, Met::from(apart_us <= bound_us)).or(remedy)
}

const LOOK_AT_EXPORTER: &str = "look at the live page and the log of the exporter for why pods don't answer";

fn negative(measured: &Measured) -> Criterion {
    let (name, limit) = ("latencies below zero", "0.1 %");
    let share = |latency: &super::StageLatency| {
        let Percentiles { n, negative, .. } = latency.percentiles;
        (n + negative > 0).then(|| negative as f64 / (n + negative) as f64)
    };
    let worst = measured.latencies.iter().filter_map(share).reduce(f64::max);
    match worst {
        Some(share) => Criterion::new(name, limit, super::levels::percent(share), Met::from(share <= NEGATIVE_SHARE))
            .or("clocks differ: set the nodes' clocks with NTP or chrony"),
        None => Criterion::unknown(name, limit, "nothing was measured"),
    }
}

/// Reports of every pod, each second.
fn reports(window: &Window) -> Criterion {
    let (name, limit) = ("reports complete", "at most 10 % missing");
    if window.asked == 0 {
        return Criterion::unknown(name, limit, "the exporter was not asked").or(LOOK_AT_EXPORTER);
    }
    let own = window.asked.saturating_sub(window.seconds.len());
    let mut missing: BTreeMap<&str, usize> = BTreeMap::new();
    for second in &window.seconds {
        for instance in &second.state.instances {
            let pod = instance.pod.as_deref().unwrap_or(&instance.address);
            let is_missing = instance.stale || instance.age_seconds.is_none_or(|age| age > REPORT_AGE);
            *missing.entry(pod).or_default() += usize::from(is_missing);
        }
    }
    let share = |n: usize| n as f64 / window.asked as f64;
    let (pod, most) = missing.into_iter().max_by_key(|(_, n)| *n).unwrap_or(("the exporter", 0));
    let (pod, most) = if most == 0 { ("the exporter", own) } else { (pod, most + own) };
    let text = format!("{:.0} % of {pod}", share(most) * 100.0);
    Criterion::new(name, limit, text, Met::from(share(most) <= MISSING_SHARE)).or(format!(
        "{pod} did not answer in time: give it and the exporter more CPU (exporter.resources.limits.cpu), or look at its log"
    ))
}

/// Nothing was restarted, came or went.
fn unchanged(whole: &Between) -> Criterion {
    let (name, limit) = (SAME_PODS, "no restart");
    if whole.pairs.is_empty() && whole.changes.is_empty() {
        return Criterion::unknown(name, limit, "nobody reports").or(LOOK_AT_EXPORTER);
    }
    let text = if whole.changes.is_empty() { "no restart".to_owned() } else { whole.changes.join(", ") };
    Criterion::new(name, limit, text, Met::from(whole.changes.is_empty())).or(
        "find out why with kubectl describe pod and kubectl logs --previous (memory limit, liveness probe, eviction), or wait \
         until an autoscaler has settled, and run the benchmark again",
    )
}

fn enough(measured: &Measured) -> Criterion {
    let (name, limit) = ("enough sales to judge", format!("{LEAST_SALES} at each store"));
    let sales = measured.latencies.iter().filter(|it| measured.stores.contains(&it.stage));
    match sales.map(|latency| latency.percentiles.n + latency.missing.unwrap_or(0)).min() {
        Some(n) => Criterion::new(name, limit, n.to_string(), Met::from(n >= LEAST_SALES))
            .or("the rate is too low for so short a step: use benchmark.mode=default, or more loaders"),
        None => Criterion::unknown(name, limit, "no store reports its latency").or(LOOK_AT_EXPORTER),
    }
}

/// The auditor's results at the end of the run: its findings since the beginning, and whether it is done.
pub fn audit(begin: &State, end: &State) -> (Criterion, Criterion) {
    let done = {
        let (name, limit) = ("auditor abreast", "nothing left to read, all of it auditable");
        let remedy =
            "give the auditor more CPU (auditor.resources.limits.cpu), or look at its log for what it can't judge";
        match &end.findings {
            None => Criterion::unknown(name, limit, "it does not report").or("set auditor.replicas to 1"),
            Some(found) if !found.auditable => {
                let why = if found.remarks.is_empty() { "not auditable".to_owned() } else { found.remarks.join("; ") };
                Criterion::new(name, limit, why, Met::No).or(remedy)
            }
            Some(found) => match found.backlog {
                Some(backlog) => {
                    Criterion::new(name, limit, format!("{backlog} records left"), Met::from(backlog == 0)).or(remedy)
                }
                None => Criterion::unknown(name, limit, "it does not report what is left").or(remedy),
            },
        }
    };
    (findings(begin.findings.as_ref(), end.findings.as_ref()), done)
}
