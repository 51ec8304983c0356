//! The search for the highest rate that holds. Pure: it takes how each step ended, and returns which comes next.
//!
//! 1. A *ramp* doubles the rate until it fails twice. It only brackets: apart from `smoke`, which stops there, nothing
//!    measured in it counts.
//! 2. The bracket is *bisected* geometrically until it is one width wide. One bad step is not the truth, so a step that
//!    failed is repeated once, and two failures decide (as in TST009).
//! 3. Fresh steps at the rate that held *confirm* it, interleaved with steps at the rate *above* that failed. The lower must
//!    hold in most of them and the upper in no more than half; otherwise the search moves on from there. A rate that failed
//!    by bad luck is therefore no ceiling for ever, which makes the result of a one-sided search low.
//! 4. The first judged rate is the *control* at the end: did the cluster change meanwhile?
//!
//! Capacity is the largest rate that held below the smallest that failed (RFC 9971's relevant lower bound), which is one
//! rate even if steps contradict each other.

mod bounds;
mod found;
mod next;
#[cfg(test)]
mod simulated;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use found::{Drift, End, Found};
pub use next::Next;

use crate::mode::{Mode, Times};

/// Why a rate is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// To find a bracket.
    Ramp,
    /// To narrow it.
    Bisect,
    /// To confirm the rate that held.
    Confirm,
    /// To confirm that the rate above it does not hold.
    Above,
    /// To see whether the cluster has changed since the first judged step.
    Control,
    /// To see that the service levels hold before the load jumps. This one and the next are no part of a search.
    Before,
    /// To see when they hold again.
    Jump,
}

impl Phase {
    /// Its name in progress lines and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ramp => "ramp",
            Self::Bisect => "bisect",
            Self::Confirm => "confirm",
            Self::Above => "above",
            Self::Control => "control",
            Self::Before => "before",
            Self::Jump => "jump",
        }
    }
}

/// A rate to be offered.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Step {
    /// Sales per second, all loaders together.
    pub rate: f64,
    /// Why.
    pub phase: Phase,
    /// The step before it had this rate as well, and failed or could not be judged.
    pub repeat: bool,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// All service levels held.
    Held,
    /// One did not.
    Failed,
    /// It can't be judged.
    Invalid,
}

/// A step that is over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Past {
    /// What was offered.
    pub step: Step,
    /// How it ended.
    pub outcome: Outcome,
    /// Sales per second that came through the whole pipeline; none if that is not known.
    pub delivered: Option<f64>,
}

/// What a search may do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// The first rate of the ramp.
    pub start: f64,
    /// The lowest rate that is offered.
    pub minimum: f64,
    /// The highest: what the loaders were calibrated to.
    pub maximum: f64,
    /// How wide the interval may be in the end, as a share of its lower end.
    pub width: f64,
    /// How many fresh steps confirm the rate that held.
    pub repeats: u32,
    /// How many fresh steps confirm that the rate above does not hold.
    pub above: u32,
    /// The time for all steps.
    pub budget: Duration,
    /// What a step of the ramp takes at most.
    pub ramp_step: Duration,
    /// What any other step takes at most.
    pub judged_step: Duration,
}

/// Doubling from a 32nd of the maximum takes six steps.
const RAMP_FROM: f64 = 32.0;
/// `smoke` has time for four, and two more if the loaders turn out to do more.
const SMOKE_RAMP_FROM: f64 = 8.0;
/// If the first rate fails, the ramp goes down to this share of it.
const DOWN_TO: f64 = 1.0 / 16.0;

impl Limits {
    /// Those of a mode and its times, with loaders that can offer `maximum`.
    pub fn new(mode: Mode, times: &Times, maximum: f64) -> Self {
        let (repeats, above) = mode.confirming();
        let start = maximum / if mode == Mode::Smoke { SMOKE_RAMP_FROM } else { RAMP_FROM };
        Self {
            start,
            minimum: start * DOWN_TO,
            maximum,
            width: mode.width(),
            repeats,
            above,
            budget: times.search,
            ramp_step: times.settle + times.ramp + times.drain,
            judged_step: times.settle + times.measure + times.drain,
        }
    }

    /// Begins the ramp no higher than this: a rate that the cluster is thought to carry.
    #[must_use]
    pub fn starting(self, rate: f64) -> Self {
        let start = self.start.min(rate);
        Self { start, minimum: start * DOWN_TO, ..self }
    }

    /// Whether the ramp is all there is.
    fn only_brackets(&self) -> bool {
        self.repeats == 0
    }
}

/// The state of a search: its limits, and all steps so far.
#[derive(Clone, Debug)]
pub struct Search {
    limits: Limits,
    past: Vec<Past>,
}

impl Search {
    /// Begins.
    pub fn new(limits: Limits) -> Self {
        Self { limits, past: Vec::new() }
    }

    /// The loaders can offer more than was known: what they can do is told the better the more they do.
    pub fn can_offer(&mut self, maximum: f64) {
        self.limits.maximum = self.limits.maximum.max(maximum);
    }

    /// Takes how a step ended.
    pub fn record(&mut self, past: Past) {
        self.past.push(past);
    }

    /// All steps so far.
    pub fn past(&self) -> &[Past] {
        &self.past
    }

    /// Steps of a phase that are valid.
    fn valid(&self, phases: &'static [Phase]) -> impl DoubleEndedIterator<Item = &Past> {
        self.past.iter().filter(|past| past.outcome != Outcome::Invalid && phases.contains(&past.step.phase))
    }
}

/// Whether two rates are one. They are copied, never computed twice, but a control may come from a file.
fn is_same(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs()
}

/// Rounds to three digits, which is far below the width.
fn rounded(rate: f64) -> f64 {
    let unit = 10_f64.powf(rate.log10().floor() - 2.0);
    // Divided by a whole number where the unit is below 1, since 0.1 is not a binary fraction.
    if unit < 1.0 { (rate / unit).round() / (1.0 / unit).round() } else { (rate / unit).round() * unit.round() }
}
