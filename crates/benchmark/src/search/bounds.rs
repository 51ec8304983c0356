//! What the steps so far say of each rate.

use super::{Outcome, Phase, Search, is_same};

/// Steps that began because their rate was not known yet.
const FIRST: &[Phase] = &[Phase::Bisect];
/// Fresh steps at a rate that had been judged.
const FRESH: &[Phase] = &[Phase::Confirm, Phase::Above];

/// How steps at one rate ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) held: u32,
    pub(super) failed: u32,
}

impl Tally {
    pub(super) fn all(self) -> u32 {
        self.held + self.failed
    }
}

/// What is believed of a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Belief {
    Holds,
    Fails,
    /// It failed once: to be repeated.
    Open,
}

/// The interval in which the answer is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Bounds {
    /// The largest rate that held below `upper`.
    pub(super) lower: Option<f64>,
    /// The smallest rate that failed.
    pub(super) upper: Option<f64>,
}

impl Search {
    /// The interval that the ramp has found. Rates that failed once don't count.
    pub(super) fn ramped(&self) -> Bounds {
        let rates = self.rates(&[Phase::Ramp]);
        let believed = |rate: &f64| of_first(self.tally(*rate, &[Phase::Ramp]));
        let upper = rates.iter().copied().filter(|rate| believed(rate) == Some(Belief::Fails)).reduce(f64::min);
        let lower = rates
            .iter()
            .copied()
            .filter(|rate| believed(rate) == Some(Belief::Holds) && upper.is_none_or(|upper| *rate < upper))
            .reduce(f64::max);
        Bounds { lower, upper }
    }

    /// The interval that all steps have found, where those of the ramp count only as long as nothing better is known.
    pub(super) fn bounds(&self) -> Bounds {
        let ramped = self.ramped();
        let judged = self.judged();
        let of = |belief: Belief| {
            judged.iter().copied().filter(move |rate| self.belief(*rate) == Some(belief)).collect::<Vec<_>>()
        };
        let (held, failed) = (of(Belief::Holds), of(Belief::Fails));
        let highest = held.iter().copied().reduce(f64::max);
        // Once a judged rate at or above the ramp's upper end held, that end no longer counts.
        let assumed = ramped.upper.filter(|upper| {
            highest.is_none_or(|highest| highest < *upper) && self.belief(*upper).is_none_or(|it| it == Belief::Fails)
        });
        let upper = failed.into_iter().chain(assumed).reduce(f64::min);
        let below = |rate: &f64| upper.is_none_or(|upper| *rate < upper);
        let assumed = ramped.lower.filter(|lower| self.belief(*lower).is_none_or(|it| it == Belief::Holds));
        let lower = held.into_iter().chain(assumed).filter(below).reduce(f64::max);
        Bounds { lower, upper }
    }

    /// The rate that failed once, and was not repeated.
    pub(super) fn failed_once(&self) -> Option<f64> {
        let last = self.valid(&[Phase::Ramp, Phase::Bisect]).last()?;
        let phases: &[Phase] = if last.step.phase == Phase::Ramp { &[Phase::Ramp] } else { FIRST };
        (of_first(self.tally(last.step.rate, phases)) == Some(Belief::Open)).then_some(last.step.rate)
    }

    /// Rates that held although a lower one failed.
    pub(super) fn irregular(&self) -> Vec<f64> {
        let Some(upper) = self.bounds().upper else { return Vec::new() };
        let mut above = self.judged();
        above.retain(|rate| *rate > upper && self.belief(*rate) == Some(Belief::Holds));
        above.sort_by(f64::total_cmp);
        above
    }

    /// What is believed of a rate by steps that count; none if there were none.
    pub(super) fn belief(&self, rate: f64) -> Option<Belief> {
        let (first, fresh) = (self.tally(rate, FIRST), self.fresh(rate));
        let before = of_first(first);
        if fresh.all() == 0 {
            return before;
        }
        // Of a rate that was only in the ramp, the ramp's word is what the fresh steps confirm or refute.
        let ramped = self.ramped();
        let fails = match before {
            Some(before) => before == Belief::Fails,
            None => ramped.upper.is_some_and(|upper| rate >= upper),
        };
        let now_fails = if fails {
            !(fresh.held * 2 > self.limits.above && fresh.held > fresh.failed)
        } else {
            fresh.failed >= self.limits.repeats.div_ceil(2) && fresh.failed >= fresh.held
        };
        Some(if now_fails { Belief::Fails } else { Belief::Holds })
    }

    /// Fresh steps at a rate.
    pub(super) fn fresh(&self, rate: f64) -> Tally {
        self.tally(rate, FRESH)
    }

    /// All rates with steps that count.
    fn judged(&self) -> Vec<f64> {
        self.rates(&[Phase::Bisect, Phase::Confirm, Phase::Above])
    }

    fn rates(&self, phases: &'static [Phase]) -> Vec<f64> {
        let mut rates: Vec<f64> = Vec::new();
        for past in self.valid(phases) {
            if !rates.iter().any(|rate| is_same(*rate, past.step.rate)) {
                rates.push(past.step.rate);
            }
        }
        rates
    }

    pub(super) fn tally(&self, rate: f64, phases: &'static [Phase]) -> Tally {
        let mut tally = Tally::default();
        for past in self.valid(phases).filter(|past| is_same(past.step.rate, rate)) {
            match past.outcome {
                Outcome::Held => tally.held += 1,
                Outcome::Failed => tally.failed += 1,
                Outcome::Invalid => {}
            }
        }
        tally
    }
}

/// A step that failed is repeated once, and the repeat may save it.
pub(super) fn of_first(tally: Tally) -> Option<Belief> {
    match (tally.held, tally.failed) {
        (0, 0) => None,
        (0, 1) => Some(Belief::Open),
        (held, failed) if held >= failed => Some(Belief::Holds),
        _ => Some(Belief::Fails),
    }
}
