//! What gives way first: the stage, the resource, the deciding measurement, and the one value to raise. Pure.
//!
//! The stage is the first in the order of the flow whose lag grows, since Kafka between the stages keeps a slow one from
//! slowing those before it; without one, the stage where sales spend the longest time. What its time goes to decides whose
//! resources are looked at: its own, Kafka's, its store's. Each row of the [table](mod@table) then looks for one cause, and
//! states it with a strength: how far the signal is beyond its line, times the share of the stage's time that it explains.
//!
//! A wrong name is worse than none. A row that lacks a signal does not fit; two causes that fit about equally are both stated,
//! and no command is.
#![allow(clippy::similar_names, reason = "a case has causes: both are the field's words")]

mod case;
mod cause;
mod evidence;
mod faults;
mod kafka;
mod limits;
mod nodes;
mod peers;
mod roles;
mod signal;
mod stores;
mod table;
mod thresholds;

use std::collections::BTreeMap;

use pipeline::Stage;
use serde::{Deserialize, Serialize};

pub use cause::{Cause, Change, Resource};
pub use evidence::{Evidence, Installation, Moment, Node, PartitionSeen, Pod, RedisSeen, Sessions, StageSeen};

use case::Case;
use table::{TABLE, Tier};
use thresholds::CLEARER;

/// What kind of answer it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// One cause.
    Named,
    /// Several fit equally, or none does (row 22).
    Unclear,
    /// Something broke: there is no capacity to speak of.
    Fault,
    /// The loaders were the limit: the run is INVALID.
    Instrument,
}

/// Why the step failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Diagnosis {
    /// What kind of answer it is.
    pub kind: Kind,
    /// The stage that gave way; none if that can't be told.
    pub stage: Option<String>,
    /// The cause; several if they fit equally, none if nothing fits.
    pub causes: Vec<Cause>,
    /// The command that takes the advice; none if there is no value to raise or the answer is unclear.
    pub command: Option<String>,
    /// What each stage could do as it is, in the order of the flow, in sales per second.
    pub ceilings: Vec<Ceiling>,
    /// The stage that gives way next, once this one is mended.
    pub next: Option<Ceiling>,
    /// Sales per second to expect once the advice is taken: as much more as the value is raised by, but no more than what gives
    /// way next. None if that can't be told.
    pub expected: Option<f64>,
    /// What can't be said for want of signals.
    pub unknown: Vec<String>,
}

/// What a stage could do as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Ceiling {
    /// The stage.
    pub stage: String,
    /// Sales per second. A low estimate, since larger batches are cheaper.
    pub rate: f64,
}

/// Finds out why the step failed.
pub fn diagnose(evidence: &Evidence) -> Diagnosis {
    let case = Case::find(evidence);
    let (kind, causes) = case.as_ref().map_or((Kind::Unclear, Vec::new()), decide);
    let command = match (&causes[..], kind) {
        ([cause], Kind::Named | Kind::Fault | Kind::Instrument) => {
            cause.change.as_ref().and_then(|change| change.command(&evidence.installation))
        }
        _ => None,
    };
    let raised = command.as_ref().and_then(|_| causes[0].change.as_ref()?.raised_by(causes[0].resource));
    let ceilings = ceilings(evidence);
    let stage = case.as_ref().map(|case| case.stage.stage.clone());
    let others = ceilings.iter().filter(|ceiling| Some(&ceiling.stage) != stage.as_ref());
    let next = others.min_by(|a, b| a.rate.total_cmp(&b.rate)).filter(|_| stage.is_some()).cloned();
    let held = evidence.held.as_ref().map(|held| held.rate);
    let expected =
        held.zip(raised).map(|(held, by)| next.as_ref().map_or(f64::INFINITY, |next| next.rate).min(held * by));
    Diagnosis { kind, stage, causes, command, ceilings, next, expected, unknown: unknown(evidence, case.as_ref()) }
}

/// Reads the table from the top: the instrument, then what broke, then the nodes; the rest are held against each other.
fn decide(case: &Case) -> (Kind, Vec<Cause>) {
    for (tier, kind) in [(Tier::Instrument, Kind::Instrument), (Tier::Fault, Kind::Fault), (Tier::Node, Kind::Named)] {
        let found = of_tier(case, tier);
        if let Some(cause) = found.into_iter().next() {
            return (kind, vec![cause]);
        }
    }
    // The same resource may be found in two ways.
    let mut strongest: BTreeMap<(String, Resource), Cause> = BTreeMap::new();
    for cause in of_tier(case, Tier::Resource) {
        let key = (cause.component.clone(), cause.resource);
        if strongest.get(&key).is_none_or(|other| cause.strength > other.strength) {
            strongest.insert(key, cause);
        }
    }
    let mut causes: Vec<Cause> = strongest.into_values().collect();
    causes.sort_by(|a, b| b.strength.total_cmp(&a.strength));
    let clear = match &causes[..] {
        [] => return (Kind::Unclear, causes),
        [_] => true,
        [first, second, ..] => first.strength >= CLEARER * second.strength,
    };
    if clear {
        causes.truncate(1);
        return (Kind::Named, causes);
    }
    let most = causes[0].strength;
    causes.retain(|cause| cause.strength * CLEARER > most);
    (Kind::Unclear, causes)
}

fn of_tier(case: &Case, tier: Tier) -> Vec<Cause> {
    TABLE.iter().filter(|row| row.tier == tier).flat_map(|row| (row.test)(case)).collect()
}

/// What was looked for, row by row.
pub fn looked_for() -> impl Iterator<Item = (u8, &'static str)> {
    TABLE.iter().map(|row| (row.number, row.what))
}

/// The ceilings of the last step that held, where no stage starves behind another; else of the one that failed.
fn ceilings(evidence: &Evidence) -> Vec<Ceiling> {
    let of = |stage: Stage| {
        let held = evidence.held.as_ref().and_then(|held| held.stage(stage.name())?.ceiling);
        let rate = held.or_else(|| evidence.failed.stage(stage.name())?.ceiling)?;
        Some(Ceiling { stage: stage.name().to_owned(), rate })
    };
    Stage::ALL.into_iter().filter_map(of).collect()
}

/// Names what can't be said.
fn unknown(evidence: &Evidence, case: Option<&Case>) -> Vec<String> {
    let failed = &evidence.failed;
    let mut unknown = Vec::new();
    if evidence.quiet.is_none() {
        unknown.push("what the cluster is like at rest".to_owned());
    }
    let Some(case) = case else {
        unknown.push("which stage gave way: the lag or the latency of one is absent".to_owned());
        return unknown;
    };
    if case.time.is_none() {
        unknown.push(format!("what the time of {} goes to", case.component()));
    }
    for component in case.suspects() {
        let mut pods = failed.pods(component).peekable();
        if pods.peek().is_none() {
            unknown.push(format!("what the pods of {component} use: nothing there is measured"));
        } else if pods.any(|pod| pod.throttled.is_none()) {
            unknown.push(format!("whether {component} is throttled"));
        }
    }
    if failed.nodes.iter().all(|node| node.idle.is_none()) {
        unknown.push("what the nodes' CPUs do besides".to_owned());
    }
    if failed.nodes.len() > 1 && failed.nodes.iter().any(|node| node.machine.is_none()) {
        unknown.push("whether nodes are on the same machine".to_owned());
    }
    unknown
}
