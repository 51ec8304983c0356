//! What a search found.

use serde::{Deserialize, Serialize};

use super::bounds::{Belief, Bounds, of_first};
use super::{Phase, Search, is_same};

/// Why a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// It did all it wanted.
    Complete,
    /// Its time was over before.
    OutOfTime,
    /// A step could not be judged twice in a row.
    Invalid,
    /// Not even the lowest rate held.
    NothingHeld,
}

/// The answer of a search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Found {
    /// Why it ended.
    pub end: End,
    /// Capacity: the largest rate that held below the smallest that failed.
    pub held: Option<f64>,
    /// The smallest rate that failed. None: the highest rate offered held, and capacity is "at least".
    pub failed: Option<f64>,
    /// Whether fresh steps have confirmed both.
    pub confirmed: bool,
    /// How many of the steps at the rate that held did hold, and how many there were.
    pub repeats: (u32, u32),
    /// Rates that held although a lower one failed.
    pub irregular: Vec<f64>,
    /// How the first judged rate did at the end; none if it was not offered again.
    pub control: Option<Drift>,
}

/// The first judged rate, at the beginning and at the end.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Drift {
    /// The rate.
    pub rate: f64,
    /// Whether it held at the beginning.
    pub held_first: bool,
    /// Whether it held at the end.
    pub held_last: bool,
    /// They differ by more than the width of the search: the cluster has changed meanwhile.
    pub drifted: bool,
}

impl Found {
    /// How wide the interval is, as a share of the lower end.
    pub fn width(&self) -> Option<f64> {
        Some(self.failed? / self.held? - 1.0)
    }

    /// The highest rate that could be offered held.
    pub fn is_at_least(&self) -> bool {
        self.held.is_some() && self.failed.is_none()
    }

    /// The cluster changed while it was measured.
    pub fn drifted(&self) -> bool {
        self.control.is_some_and(|control| control.drifted)
    }
}

impl Search {
    pub(super) fn found(&self, end: End) -> Found {
        let Bounds { lower, upper } = self.bounds();
        // One failure does not decide, but it is all that is known when the time is over.
        let upper = upper.or_else(|| self.failed_once().filter(|_| end == End::OutOfTime));
        let counting: &[Phase] =
            if self.limits.only_brackets() { &[Phase::Ramp] } else { &[Phase::Bisect, Phase::Confirm, Phase::Above] };
        let repeats = lower.map_or((0, 0), |lower| {
            let tally = self.tally(lower, counting);
            (tally.held, tally.all())
        });
        Found {
            end,
            held: lower,
            failed: upper,
            confirmed: self.is_confirmed(),
            repeats,
            irregular: self.irregular(),
            control: self.drift(lower),
        }
    }

    fn drift(&self, capacity: Option<f64>) -> Option<Drift> {
        let first = self.valid(&[Phase::Bisect]).next()?;
        let rate = first.step.rate;
        let holds = |belief: Belief| belief == Belief::Holds;
        let held_first = holds(of_first(self.tally(rate, &[Phase::Bisect]))?);
        let held_last = holds(of_first(self.tally(rate, &[Phase::Control]))?);
        // At the edge a rate now holds and now fails, which is spread and not drift.
        let edge = (1.0 + self.limits.width).powi(2);
        let is_off_edge = capacity.is_none_or(|capacity| (rate / capacity).max(capacity / rate) > edge);
        // Two steps that failed are compared by what came through.
        let carried = |phase| self.valid(phase).find(|past| is_same(past.step.rate, rate))?.delivered;
        let carried_else = match (held_first || held_last, carried(&[Phase::Bisect]), carried(&[Phase::Control])) {
            (false, Some(then), Some(now)) => (then / now).max(now / then) > edge,
            _ => false,
        };
        let drifted = held_first != held_last && is_off_edge || carried_else;
        Some(Drift { rate, held_first, held_last, drifted })
    }

    /// Sales per second that came through in each step that counts at the rate that held.
    pub fn repeats(&self) -> Vec<f64> {
        self.bounds().lower.map_or_else(Vec::new, |lower| self.delivered(lower))
    }
}
