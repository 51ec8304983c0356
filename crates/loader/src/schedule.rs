//! When sales are due, and how many may be sent now. Pure: time comes in as microseconds since the start.
//!
//! The plan is a timeline of [`Segment`]s, each with its own rate. Sales are numbered twice: in the plan, over all segments,
//! and as they are handed over. The two differ by what was *not offered*: due in a segment that ended before it was handed
//! over. Such a sale never gets an id.

use std::sync::Arc;

use crate::arrivals::Arrivals;
use crate::curve::{Curve, SALE};
use crate::rate::{CatchUp, Rate};

/// Sales of this much time may be sent at once, as after a tick that came late. Any more are caught up with.
const BURST_US: u128 = 10_000;

/// How fast sales become due, and how they are spread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pace {
    rates: Rates,
    arrivals: Arrivals,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Rates {
    Steady(Rate),
    /// By the time since the load first began, which is that much longer ago than the plan did.
    Shaped(Arc<Curve>, u64),
}

impl Pace {
    /// Always the same.
    pub fn steady(rate: Rate, arrivals: Arrivals) -> Self {
        Self { rates: Rates::Steady(rate), arrivals }
    }

    /// By the time since the load first began, so many microseconds before the plan did.
    pub fn shaped(curve: Arc<Curve>, before_us: u64, arrivals: Arrivals) -> Self {
        Self { rates: Rates::Shaped(curve, before_us), arrivals }
    }

    /// The rate so many microseconds after the start of the plan.
    pub fn rate_at(&self, us: u64) -> Rate {
        match &self.rates {
            Rates::Steady(rate) => *rate,
            Rates::Shaped(curve, before_us) => curve.rate_at(before_us.saturating_add(us)),
        }
    }

    /// What is due until then, of which [`SALE`] make a sale: from any moment on that stays the same.
    pub fn units(&self, us: u64) -> u128 {
        match &self.rates {
            Rates::Steady(rate) => u128::from(us) * u128::from(rate.micro()),
            Rates::Shaped(curve, before_us) => curve.units(before_us.saturating_add(us)),
        }
    }

    /// The microsecond in which so much is due.
    fn at(&self, units: u128) -> Option<u64> {
        match &self.rates {
            Rates::Steady(rate) => u64::try_from(units.checked_div(u128::from(rate.micro()))?).ok(),
            Rates::Shaped(curve, before_us) => curve.at(units)?.checked_sub(*before_us),
        }
    }
}

impl From<Rate> for Pace {
    fn from(rate: Rate) -> Self {
        Self::steady(rate, Arrivals::default())
    }
}

/// A part of the plan with one pace. It has no end of its own: the next segment ends it.
///
/// Due times are always computed from the segment's beginning, so that no error adds up within one. The part of a sale that
/// was due when it began is carried over from the segment before, so that none adds up over segments either.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    t0_us: u64,
    pace: Pace,
    /// What the pace makes due before it began.
    base: u128,
    /// How many sales are planned before it: the plan's number of its first sale.
    before: u64,
    /// What remains until its first sale is due, in units of [`SALE`].
    remainder: u128,
}

impl Segment {
    /// The plan's first segment. Its first sale is due at once.
    pub fn first(pace: Pace) -> Self {
        Self { t0_us: 0, base: pace.units(0), pace, before: 0, remainder: 0 }
    }

    /// The segment that ends this one at `at_us`. What is due exactly then is still due in this one.
    #[must_use]
    pub fn then(&self, at_us: u64, pace: Pace) -> Self {
        let t0_us = at_us.max(self.t0_us);
        let before = self.due_by(t0_us);
        let left = self.due(before).saturating_sub(self.passed(t0_us));
        let remainder = if pace.arrivals.forget() { 0 } else { left };
        Self { t0_us, base: pace.units(t0_us), pace, before, remainder }
    }

    /// When it began, in microseconds after the start.
    pub fn t0_us(&self) -> u64 {
        self.t0_us
    }

    /// Its rate so many microseconds after the start.
    pub fn rate_at(&self, elapsed_us: u64) -> Rate {
        self.pace.rate_at(elapsed_us)
    }

    /// How many sales are planned before it.
    pub fn before(&self) -> u64 {
        self.before
    }

    /// When the plan's sale `index` is due, in microseconds after the start; never at a rate of 0.
    pub fn due_at(&self, index: u64) -> u64 {
        self.pace.at(self.base + self.due(index)).map_or(u64::MAX, |at| at.max(self.t0_us))
    }

    /// How many of the plan's sales are due by then, those of earlier segments and the one due at that very microsecond
    /// included.
    pub fn due_by(&self, elapsed_us: u64) -> u64 {
        if elapsed_us < self.t0_us {
            return self.before;
        }
        let passed = self.passed(elapsed_us.saturating_add(1)).saturating_sub(self.remainder);
        self.before.saturating_add(self.pace.arrivals.count(self.before, passed))
    }

    /// What must have passed of it before the plan's sale `index` is due.
    fn due(&self, index: u64) -> u128 {
        self.remainder + self.pace.arrivals.due(self.before, index.saturating_sub(self.before))
    }

    /// What has passed of it by then.
    fn passed(&self, elapsed_us: u64) -> u128 {
        self.pace.units(elapsed_us).saturating_sub(self.base)
    }
}

/// Follows the plan: how many sales may be sent now, never ahead of it, and no faster than allowed when behind it.
#[derive(Clone, Debug)]
pub struct Schedule {
    segment: Segment,
    /// When the load ends: nothing is due from then on.
    end_us: u64,
    /// The sale to be sent next.
    next: u64,
    /// How many of the plan's sales were not offered so far.
    not_offered: u64,
    catch_up: CatchUp,
    /// What may be sent now, in units of which [`SALE`] make a sale: a bucket that fills as fast as catching up is allowed.
    credit: u128,
    /// Until when the bucket has been filled.
    filled_us: u64,
}

impl Schedule {
    /// Begins to follow a plan.
    pub fn new(segment: Segment, end_us: u64, catch_up: CatchUp) -> Self {
        let (next, not_offered, credit, filled_us) = (segment.before, 0, 0, segment.t0_us);
        let mut schedule = Self { segment, end_us, next, not_offered, catch_up, credit, filled_us };
        schedule.credit = schedule.brim();
        schedule
    }

    /// The plan goes on with `segment`. Returns how many sales of the one before are not offered thereby.
    pub fn follow(&mut self, segment: Segment) -> u64 {
        self.fill(segment.t0_us);
        self.segment = segment;
        self.credit = self.credit.min(self.brim());
        let not_offered = self.segment.before.saturating_sub(self.next_index());
        self.not_offered += not_offered;
        not_offered
    }

    /// How many sales may be sent now.
    pub fn allowed(&mut self, elapsed_us: u64) -> u64 {
        self.fill(elapsed_us);
        self.behind(elapsed_us).min(u64::try_from(self.credit / SALE).unwrap_or(u64::MAX))
    }

    /// How many sales are due and not sent.
    pub fn behind(&self, elapsed_us: u64) -> u64 {
        due_by(&self.segment, self.end_us, elapsed_us).saturating_sub(self.next_index())
    }

    /// The next sale was sent.
    pub fn sent(&mut self) {
        self.next += 1;
        self.credit = self.credit.saturating_sub(SALE);
    }

    /// The sale to be sent next, counted from 0.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// How many of the plan's sales were not offered so far.
    pub fn not_offered(&self) -> u64 {
        self.not_offered
    }

    /// When the sale to be sent next is due, in microseconds after the start.
    pub fn next_due_at(&self) -> u64 {
        self.segment.due_at(self.next_index())
    }

    /// Whether the load has come to its end, and all that was due is sent.
    pub fn is_done(&self, elapsed_us: u64) -> bool {
        elapsed_us >= self.end_us && self.behind(elapsed_us) == 0
    }

    /// The plan's number of the sale to be sent next.
    fn next_index(&self) -> u64 {
        self.next + self.not_offered
    }

    fn fill(&mut self, elapsed_us: u64) {
        let passed = elapsed_us.saturating_sub(self.filled_us);
        self.filled_us = self.filled_us.max(elapsed_us);
        self.credit = self.credit.saturating_add(u128::from(passed) * self.fastest()).min(self.brim());
    }

    /// In sales in a million seconds.
    fn fastest(&self) -> u128 {
        u128::from(self.catch_up.micro(self.segment.rate_at(self.filled_us)))
    }

    /// A full bucket: at least one sale, or a slow schedule would never send.
    fn brim(&self) -> u128 {
        (self.fastest() * BURST_US).max(SALE)
    }
}

/// How many sales of a plan that ends are due by then, if it goes on with `segment`.
pub fn due_by(segment: &Segment, end_us: u64, elapsed_us: u64) -> u64 {
    end_us.checked_sub(1).map_or(0, |last| segment.due_by(elapsed_us.min(last)))
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
