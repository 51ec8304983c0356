//! The service levels: what the cluster has to keep.

use service::reported::etl::{GAP_OFFSETS, MALFORMED, STORE_ERRORS};
use service::state::{Findings, State};

use super::latency::{StageLatency, written};
use super::sample::Between;
use super::{Criterion, Measured, Met, Terms};

/// Counters of the programs that are errors. A client's own errors, which it mends, show in latency and lag.
const ERRORS: [&str; 3] = [MALFORMED, GAP_OFFSETS, STORE_ERRORS];
/// Name of the criterion that the first stage has in place of a lag.
pub(crate) const TAKEN: &str = "Kafka takes what is due";
/// Share of late sales that a p99 leaves.
const LATE_SHARE: f64 = 0.01;
/// Share of the sales due that must have been handed over.
pub(super) const OFFERED_SHARE: f64 = 0.999;

/// All of them, in the order of the report.
pub(super) fn all(
    measured: &Measured,
    terms: &Terms,
    whole: &Between,
    begin: &State,
    drained: &State,
) -> Vec<Criterion> {
    vec![
        latency(measured, terms),
        lag(measured, terms),
        taken(measured),
        findings(begin.findings.as_ref(), drained.findings.as_ref()),
        errors(whole),
    ]
}

/// The p99 to each enabled store; the worst is named.
fn latency(measured: &Measured, terms: &Terms) -> Criterion {
    let limit = format!("{} ms", terms.latency_limit.as_millis());
    let name = "p99 from due to each store";
    if measured.stores.is_empty() {
        return Criterion::unknown(name, limit, "there is no stage after the first");
    }
    let mut stores = Vec::new();
    for stage in &measured.stores {
        match measured.latencies.iter().find(|latency| latency.stage == *stage) {
            Some(latency) if latency.late.is_some() => stores.push(latency),
            _ => return Criterion::unknown(name, limit, &format!("no latency to {stage}")),
        }
    }
    let late = |latency: &StageLatency| latency.late.unwrap_or(1.0);
    let Some(worst) = stores
        .into_iter()
        .max_by(|a, b| late(a).total_cmp(&late(b)).then(a.percentiles.p99_us.cmp(&b.percentiles.p99_us)))
    else {
        return Criterion::unknown(name, limit, "nothing was measured");
    };
    let missing = worst.missing.filter(|missing| *missing > 0);
    let missing = missing.map_or_else(String::new, |missing| format!(", {missing} not arrived"));
    let text =
        format!("{} to {} of {} sales{missing}", written(worst.percentiles.p99_us), worst.stage, worst.percentiles.n);
    Criterion::new(name, limit, text, Met::from(late(worst) <= LATE_SHARE))
}

fn lag(measured: &Measured, terms: &Terms) -> Criterion {
    let (name, limit) = ("lag not growing", format!("slope 1 %, end {} s", terms.latency_limit.as_secs_f64()));
    let broken = measured.lags.iter().chain(&measured.partitions).find_map(|lag| Some((lag, lag.broken.as_ref()?)));
    if let Some((lag, why)) = broken {
        return Criterion::new(name, limit, format!("{}: {why}", lag.of), Met::No);
    }
    if let Some(stage) = measured.lag_unknown.first() {
        return Criterion::unknown(name, limit, &format!("the lag at {stage} was absent too often"));
    }
    let steepest = measured.lags.iter().max_by(|a, b| a.slope.total_cmp(&b.slope));
    match steepest {
        Some(lag) => Criterion::new(name, limit, format!("{:+.0} sales/s at {}", lag.slope, lag.of), Met::Yes),
        None => Criterion::unknown(name, limit, "there is no stage after the first"),
    }
}

/// What Kafka did not take in time is the cluster's failure.
fn taken(measured: &Measured) -> Criterion {
    let (name, limit) = (TAKEN, "99.9 % of it, in time".to_owned());
    let (Some(late), Some(short)) = (measured.late_blocked, measured.short_blocked) else {
        return Criterion::unknown(name, limit, "a loader did not report");
    };
    let met = late <= LATE_SHARE && short <= 1.0 - OFFERED_SHARE;
    let text = format!("{} late and {} not sent while it took no more", percent(late), percent(short));
    Criterion::new(name, limit, text, Met::from(met))
}

/// Whether the auditor found something. Steps don't wait for it: what it finds later counts at the end of the run.
pub(super) fn findings(begin: Option<&Findings>, end: Option<&Findings>) -> Criterion {
    let (name, limit) = ("findings", "0");
    let (Some(begin), Some(end)) = (begin, end) else {
        return Criterion::unknown(name, limit, "the auditor does not report");
    };
    let before = |stage: &str, kind: &str| {
        let same = begin.counts.iter().find(|count| count.stage == stage && count.kind == kind);
        same.map_or(0, |count| count.findings)
    };
    let new: Vec<String> = end
        .counts
        .iter()
        .filter_map(|count| {
            let more = count.findings.saturating_sub(before(&count.stage, &count.kind));
            (more > 0).then(|| format!("{more} {} at {}", count.kind.replace('_', " "), count.stage))
        })
        .collect();
    if new.is_empty() {
        return Criterion::new(name, limit, "0", Met::Yes);
    }
    Criterion::new(name, limit, new.join(", "), Met::No)
}

fn errors(whole: &Between) -> Criterion {
    let mut found = Vec::new();
    for pair in &whole.pairs {
        for error in ERRORS {
            if let Some(n) = pair.count(error).filter(|n| *n > 0) {
                found.push(format!("{n} {} in {}", error.replace('_', " "), pair.pod()));
            }
        }
    }
    if whole.pairs.is_empty() {
        return Criterion::unknown("errors", "0", "nobody reports");
    }
    let text = if found.is_empty() { "0".to_owned() } else { found.join(", ") };
    Criterion::new("errors", "0", text, Met::from(found.is_empty()))
}

pub(super) fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}
