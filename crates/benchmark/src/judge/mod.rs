//! One step: whether the service levels held, and whether that can be believed. Pure.
//!
//! What a step did is the difference of two cumulative reports of the same incarnation. Latencies are those of all sales that
//! were due since the rate had settled, whenever they arrived, so they are read when the queues are empty again: a look at
//! arrivals alone would see only the survivors of an overload. What is missing is missing, and never 0.

mod criterion;
mod lag;
mod latency;
mod levels;
mod load;
mod mix;
mod sample;
#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;
mod trust;

use std::collections::BTreeMap;
use std::time::Duration;

use pipeline::Stage;
use serde::{Deserialize, Serialize};
use service::reported::loader::SENT;

pub use criterion::{Criterion, Met};
pub(crate) use lag::LEAST_SAMPLES;
pub use lag::Lag;
pub use latency::{StageLatency, written};
pub(crate) use levels::TAKEN;
pub use mix::parameters_of;
pub use sample::{Partition, Second, Snapshot, Window};
pub(crate) use trust::SAME_PODS;
pub use trust::audit;

use crate::search::Outcome;
use load::Schedule;
use sample::Between;

/// What a step is held to.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Sales per second that were asked for.
    pub offered: f64,
    /// The limit of the p99 from due to each store, and of the lag in seconds of what is offered.
    pub latency_limit: Duration,
    /// How far the lag of each stage or partition swung in the steps that held, at most, in seconds of what was offered: at
    /// twice the rate, a commit brings twice the sales.
    pub swings: BTreeMap<String, f64>,
    /// The parameters of the load: see [`parameters_of`]. Empty if they are not known.
    pub mix: BTreeMap<&'static str, f64>,
}

/// A judged step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Judged {
    /// Sales per second that were asked for.
    pub offered: f64,
    /// Sales per second handed to Kafka.
    pub sent: Option<f64>,
    /// Sales per second that came through, at the slowest store.
    pub delivered: Option<f64>,
    /// How the step ended.
    pub outcome: Outcome,
    /// The service levels.
    pub levels: Vec<Criterion>,
    /// Whether it can be trusted.
    pub trust: Vec<Criterion>,
    /// The latency to each stage.
    pub latencies: Vec<StageLatency>,
    /// The lag of each stage.
    pub lags: Vec<Lag>,
    /// Partitions whose lag grows or is too much.
    pub partitions: Vec<Lag>,
    /// Seconds until the queues were empty; none if they were not in time.
    pub drain_seconds: Option<f64>,
}

impl Judged {
    /// The service level that decided: the first that did not hold.
    pub fn broken(&self) -> Option<&Criterion> {
        self.levels.iter().find(|level| level.met == Met::No)
    }

    /// Why it can't be judged: the first condition that is not met, or a level that nobody can tell.
    pub fn distrust(&self) -> Option<&Criterion> {
        let is_unknown = |level: &&Criterion| level.met == Met::Unknown && level.name != FINDINGS;
        self.trust.iter().find(|it| it.met == Met::No).or_else(|| self.levels.iter().find(is_unknown))
    }

    /// The p99 to the worst store, in microseconds.
    pub fn worst(&self) -> Option<&StageLatency> {
        let late = |latency: &&StageLatency| latency.late.unwrap_or(0.0);
        let stores = stores(self.latencies.iter().map(|it| it.stage.as_str()));
        let of_stores = self.latencies.iter().filter(|it| stores.contains(&it.stage));
        of_stores.max_by(|a, b| late(a).total_cmp(&late(b)).then(a.percentiles.p99_us.cmp(&b.percentiles.p99_us)))
    }
}

/// Steps do not wait for the auditor, so that what it can't say yet makes none of them INVALID.
const FINDINGS: &str = "findings";

/// What was measured, from which all criteria are judged.
#[derive(Debug)]
pub(crate) struct Measured {
    /// The stages that are stores, or without one the last.
    stores: Vec<String>,
    latencies: Vec<StageLatency>,
    lags: Vec<Lag>,
    /// Stages whose lag was absent too often.
    lag_unknown: Vec<String>,
    partitions: Vec<Lag>,
    schedule: Schedule,
    late_blocked: Option<f64>,
    short_blocked: Option<f64>,
}

/// Judges a step.
pub fn judge(window: &Window, terms: &Terms) -> Judged {
    let whole = Between::new(&window.begin, &window.drained);
    let inner = Between::new(&window.begin, &window.end);
    let stages = &window.begin.state.stages;
    let limit = terms.latency_limit;

    let of_stages = lag::of_stages(window, terms.offered, limit, &terms.swings);
    let lag_unknown = of_stages.iter().filter(|(_, lag)| lag.is_none()).map(|(stage, _)| stage.clone()).collect();
    let mut partitions = lag::of_partitions(window, terms.offered, limit, &terms.swings);
    partitions.retain(|lag| lag.broken.is_some());
    let schedule = Schedule::of(&whole, limit);
    let measured = Measured {
        stores: stores(stages.iter().map(|stage| stage.name.as_str())),
        latencies: stages
            .iter()
            .filter_map(|stage| latency::of(window, &whole, &stage.name, &stage.component, limit))
            .collect(),
        lags: of_stages.into_iter().filter_map(|(_, lag)| lag).collect(),
        lag_unknown,
        partitions,
        late_blocked: schedule.late_blocked,
        short_blocked: schedule.short_blocked,
        schedule,
    };

    let delivered = measured.stores.iter().map(|store| {
        let stage = stages.iter().find(|stage| stage.name == *store)?;
        inner.rate(&stage.component, store)
    });
    let mut judged = Judged {
        offered: terms.offered,
        sent: inner.rate(load::LOADER, SENT),
        delivered: delivered.reduce(|all, one| Some(all?.min(one?))).flatten(),
        outcome: Outcome::Held,
        levels: levels::all(&measured, terms, &whole, &window.begin.state, &window.drained.state),
        trust: trust::step(&measured, terms, window, &whole, &inner),
        latencies: measured.latencies,
        lags: measured.lags,
        partitions: measured.partitions,
        drain_seconds: window.drain.map(|drain| drain.as_secs_f64()),
    };
    judged.outcome = if judged.distrust().is_some() {
        Outcome::Invalid
    } else if judged.broken().is_some() {
        Outcome::Failed
    } else {
        Outcome::Held
    };
    judged
}

/// The stages among these whose latency counts: the stores; without one, the last after the first.
fn stores<'a>(stages: impl Iterator<Item = &'a str>) -> Vec<String> {
    let known: Vec<Stage> = stages.filter_map(Stage::named).collect();
    let is_store = |stage: &&Stage| stage.place().store().is_some();
    let stores: Vec<String> = known.iter().filter(is_store).map(|stage| stage.name().to_owned()).collect();
    if stores.is_empty() {
        return known.iter().skip(1).last().map(|stage| stage.name().to_owned()).into_iter().collect();
    }
    stores
}
