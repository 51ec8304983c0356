//! Which step comes next.

use std::time::Duration;

use super::bounds::{Belief, Bounds, of_first};
use super::found::{End, Found};
use super::{Outcome, Phase, Search, Step, is_same, rounded};

/// How far the search goes on beyond what the ramp had bracketed, if judged steps contradict it.
const STRIDE: f64 = 1.25;

/// What comes next.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// A step.
    Step(Step),
    /// Nothing: the search is over.
    Done(Found),
}

/// What is wanted next, whatever the time.
enum Wanted {
    Step(Step),
    End(End),
}

impl Search {
    /// What comes next, so long after the search began.
    pub fn next(&self, elapsed: Duration) -> Next {
        let step = match self.wanted() {
            Wanted::Step(step) => step,
            Wanted::End(end) => return self.done(end),
        };
        let fits = |cost: Duration| elapsed.saturating_add(cost) <= self.limits.budget;
        let (cost, reserved) = match step.phase {
            Phase::Ramp => (self.limits.ramp_step, Duration::ZERO),
            Phase::Control => (self.limits.judged_step, Duration::ZERO),
            _ => (self.limits.judged_step, self.limits.judged_step),
        };
        if fits(cost + reserved) {
            return Next::Step(step);
        }
        match self.control() {
            Some(control) if reserved > Duration::ZERO && fits(cost) => Next::Step(control),
            _ => self.done(End::OutOfTime),
        }
    }

    fn done(&self, end: End) -> Next {
        Next::Done(self.found(end))
    }

    fn wanted(&self) -> Wanted {
        if let Some(wanted) = self.again() {
            return wanted;
        }
        if let Some(step) = self.ramp() {
            return Wanted::Step(step);
        }
        if self.limits.only_brackets() {
            return Wanted::End(if self.ramped().lower.is_some() { End::Complete } else { End::NothingHeld });
        }
        // A failed step is repeated at once, so that both see the same cluster.
        if let Some(last) = self.past.last().filter(|last| last.step.phase == Phase::Bisect)
            && self.belief(last.step.rate) == Some(Belief::Open)
        {
            return Wanted::Step(Step { repeat: true, ..last.step });
        }
        if self.control_begun() {
            return self.control().map_or(Wanted::End(End::Complete), Wanted::Step);
        }
        match self.narrow(self.bounds()) {
            Narrowing::Step(rate) => Wanted::Step(Step { rate, phase: Phase::Bisect, repeat: false }),
            Narrowing::NothingHeld => Wanted::End(End::NothingHeld),
            Narrowing::Narrow { lower, upper } => match self.confirm(lower, upper).or_else(|| self.control()) {
                Some(step) => Wanted::Step(step),
                None => Wanted::End(End::Complete),
            },
        }
    }

    /// A step that could not be judged is repeated once.
    fn again(&self) -> Option<Wanted> {
        let mut invalid = self.past.iter().rev().take_while(|past| past.outcome == Outcome::Invalid);
        let last = invalid.next()?;
        Some(match invalid.next() {
            Some(_) => Wanted::End(End::Invalid),
            None => Wanted::Step(Step { repeat: true, ..last.step }),
        })
    }

    /// The next step of the ramp; none if it is over.
    fn ramp(&self) -> Option<Step> {
        let ramp = |rate| Some(Step { rate, phase: Phase::Ramp, repeat: false });
        let Some(last) = self.valid(&[Phase::Ramp]).last() else { return ramp(rounded(self.limits.start)) };
        let rate = last.step.rate;
        match of_first(self.tally(rate, &[Phase::Ramp]))? {
            Belief::Open => Some(Step { repeat: true, ..last.step }),
            Belief::Holds if self.ramped().upper.is_some() || rate >= self.limits.maximum => None,
            Belief::Holds => ramp(rounded(rate * 2.0).min(self.limits.maximum)),
            // The first rate was too much already.
            Belief::Fails if self.ramped().lower.is_none() && rate > self.limits.minimum => {
                ramp(rounded(rate / 2.0).max(self.limits.minimum))
            }
            Belief::Fails => None,
        }
    }

    fn narrow(&self, bounds: Bounds) -> Narrowing {
        let limits = &self.limits;
        match (bounds.lower, bounds.upper) {
            (None, None) => Narrowing::NothingHeld,
            (None, Some(upper)) if upper <= limits.minimum => Narrowing::NothingHeld,
            (None, Some(upper)) => Narrowing::Step(rounded(upper / STRIDE).max(limits.minimum)),
            (Some(lower), None) if lower < limits.maximum => {
                Narrowing::Step(rounded(lower * STRIDE).min(limits.maximum))
            }
            (Some(lower), None) => Narrowing::Narrow { lower, upper: None },
            (Some(lower), Some(upper)) => {
                let middle = rounded((lower * upper).sqrt());
                let is_between = lower < middle && middle < upper && self.belief(middle).is_none();
                if upper / lower > 1.0 + limits.width + 1e-9 && is_between {
                    Narrowing::Step(middle)
                } else {
                    Narrowing::Narrow { lower, upper: Some(upper) }
                }
            }
        }
    }

    /// The next fresh step, interleaved; none if there were enough.
    fn confirm(&self, lower: f64, upper: Option<f64>) -> Option<Step> {
        let repeats = (self.fresh(lower).all(), self.limits.repeats);
        let above = upper.map_or((0, 0), |upper| (self.fresh(upper).all(), self.limits.above));
        let is_short = |(done, wanted): (u32, u32)| done < wanted;
        let lower_turn = is_short(repeats) && (!is_short(above) || repeats.0 * above.1 <= above.0 * repeats.1);
        let (rate, phase) =
            if lower_turn { (lower, Phase::Confirm) } else { (upper.filter(|_| is_short(above))?, Phase::Above) };
        Some(Step { rate, phase, repeat: false })
    }

    /// The first judged rate once more, and again if it failed though it held at first; none if that is done.
    fn control(&self) -> Option<Step> {
        let first = self.valid(&[Phase::Bisect]).next()?.step.rate;
        let control = |repeat| Some(Step { rate: first, phase: Phase::Control, repeat });
        let held_first = of_first(self.tally(first, &[Phase::Bisect])) == Some(Belief::Holds);
        match of_first(self.tally(first, &[Phase::Control])) {
            None => control(false),
            Some(Belief::Open) if held_first => control(true),
            Some(_) => None,
        }
    }

    fn control_begun(&self) -> bool {
        self.past.iter().any(|past| past.step.phase == Phase::Control)
    }
}

enum Narrowing {
    Step(f64),
    Narrow { lower: f64, upper: Option<f64> },
    NothingHeld,
}

impl Search {
    /// Whether the rates of the interval have had all their fresh steps.
    pub(super) fn is_confirmed(&self) -> bool {
        let Bounds { lower: Some(lower), upper } = self.bounds() else { return false };
        let is_narrow = upper.is_none_or(|upper| upper / lower <= 1.0 + self.limits.width + 0.01);
        !self.limits.only_brackets() && is_narrow && self.confirm(lower, upper).is_none()
    }

    /// Delivered rates of the steps that count at a rate.
    pub(super) fn delivered(&self, rate: f64) -> Vec<f64> {
        let phases: &[Phase] =
            if self.limits.only_brackets() { &[Phase::Ramp] } else { &[Phase::Bisect, Phase::Confirm, Phase::Above] };
        self.valid(phases).filter(|past| is_same(past.step.rate, rate)).filter_map(|past| past.delivered).collect()
    }
}
