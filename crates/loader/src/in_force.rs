//! Which rate is in force: the configured one, or one that was set from outside as long as its lease lasts. Pure: time comes
//! in as moments of the monotonic clock.
//!
//! Each change begins a segment of the plan at its own moment; the sending thread [follows](InForce::follow) soon after.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use service::Segment as Told;

use crate::arrivals::Arrivals;
use crate::curve::{Curve, SALE};
use crate::rate::Rate;
use crate::schedule::{Pace, Schedule, Segment, due_by};

/// Segments that the sending thread has not followed yet. It does so within 50 ms: so many mean that it hangs.
const PENDING: usize = 64;

/// A rate set from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Sales per second; may be 0.
    pub rate: Rate,
    /// For how long, unless it is renewed.
    pub lease: Duration,
    /// What it is called.
    pub step: String,
}

/// Why the rate can't be set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The load has ended, and why.
    #[error("{0}, so its rate can't be set")]
    Ended(&'static str),
    /// The sending thread doesn't keep up with the changes.
    #[error("this loader has not followed the last {PENDING} changes of its rate yet: try again in a second")]
    Busy,
}

/// Why no rate can be set any more, once the load has ended as planned.
pub const ENDED: &str = "this load has ended as planned (loader.stopAfter counts from its first start)";
/// The same while the loader stops.
pub const STOPPING: &str = "this loader is stopping";

/// The load that was asked for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Sales per second; what a shape is a part or a multiple of.
    pub rate: Rate,
    /// How the rate changes with time, if it does.
    pub shape: Option<Arc<Curve>>,
    /// How sales are spread.
    pub arrivals: Arrivals,
}

impl From<Rate> for Asked {
    fn from(rate: Rate) -> Self {
        Self { rate, shape: None, arrivals: Arrivals::default() }
    }
}

/// What is in force, and what is known of the plan.
#[derive(Debug)]
pub struct InForce {
    configured: Asked,
    /// How long the load had gone on before the plan began: it goes on over restarts.
    before_us: u64,
    set: Option<Set>,
    plan: Option<Plan>,
    ended: Option<&'static str>,
}

#[derive(Debug)]
struct Set {
    rate: Rate,
    step: String,
    until: Instant,
}

/// The plan of a load that has begun.
#[derive(Debug)]
struct Plan {
    start: Instant,
    end_us: u64,
    /// The segments that the sending thread has not followed yet.
    pending: VecDeque<Part>,
    /// The segment that it follows.
    current: Part,
    /// How many sales of all segments before it were not offered.
    earlier: u64,
    /// The segment before, to its end.
    previous: Option<(Part, Outcome)>,
}

/// A segment and its name.
#[derive(Clone, Debug)]
struct Part {
    segment: Segment,
    step: Option<String>,
}

#[derive(Clone, Copy, Debug)]
struct Outcome {
    due: u64,
    handed_over: u64,
    not_offered: u64,
}

/// A segment that the sending thread goes on with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Followed {
    /// The number of its first sale.
    pub first: u64,
    /// The segment.
    pub segment: Segment,
    /// How many sales of the segment before are not offered.
    pub not_offered: u64,
    /// How many of all segments before: what a sale's number in the plan is ahead of its own.
    pub earlier: u64,
}

impl Followed {
    /// When a sale of it was due, in microseconds after the start.
    pub fn due_at(&self, number: u64) -> u64 {
        self.segment.due_at(number + self.earlier)
    }
}

/// What is said of the rate in force.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// Sales per second; 0 once the load has ended.
    pub rate: Rate,
    /// The name of a rate that was set from outside, and what is left of its lease.
    pub set: Option<(String, Duration)>,
    /// The segment in force; none before the load begins and after it has ended.
    pub segment: Option<Told>,
    /// The segment before it.
    pub previous: Option<Told>,
    /// Why the load has ended.
    pub ended: Option<&'static str>,
}

impl InForce {
    /// The configured rate is in force, and the load has not begun.
    pub fn new(configured: impl Into<Asked>) -> Self {
        Self { configured: configured.into(), before_us: 0, set: None, plan: None, ended: None }
    }

    /// Begins the plan, which ends so many microseconds later. The load began `before_us` earlier.
    pub fn begin(&mut self, start: Instant, before_us: u64, end_us: u64) {
        self.expire(start);
        self.before_us = before_us;
        let current = Part { segment: Segment::first(self.pace()), step: self.step() };
        self.plan = Some(Plan { start, end_us, pending: VecDeque::new(), current, earlier: 0, previous: None });
    }

    /// The segment that the sending thread follows, and when the load ends; once it has begun.
    pub fn followed(&self) -> Option<(Segment, u64)> {
        self.plan.as_ref().map(|plan| (plan.current.segment.clone(), plan.end_us))
    }

    /// The pace in force.
    pub fn pace(&self) -> Pace {
        let Asked { rate, shape, arrivals } = &self.configured;
        match (&self.set, shape) {
            (Some(set), _) => Pace::steady(set.rate, arrivals.clone()),
            (None, Some(curve)) => Pace::shaped(Arc::clone(curve), self.before_us, arrivals.clone()),
            (None, None) => Pace::steady(*rate, arrivals.clone()),
        }
    }

    /// The rate in force now.
    pub fn rate(&self, now: Instant) -> Rate {
        self.pace().rate_at(self.elapsed_us(now))
    }

    /// How many sales become due from now on within a time: microseconds.
    pub fn coming(&self, now: Instant, us: u64) -> f64 {
        let (pace, now_us) = (self.pace(), self.elapsed_us(now));
        let units = pace.units(now_us.saturating_add(us)).saturating_sub(pace.units(now_us));
        units as f64 / SALE as f64
    }

    /// The configured rate.
    pub fn configured(&self) -> Rate {
        self.configured.rate
    }

    fn elapsed_us(&self, now: Instant) -> u64 {
        self.plan.as_ref().map_or(0, |plan| plan.elapsed_us(now))
    }

    /// Puts a rate in force from now on. One that is in force already, by rate and step, only gets a new lease.
    pub fn set(&mut self, now: Instant, wanted: Wanted) -> Result<(), Refused> {
        self.refuse(now)?;
        let Wanted { rate, lease, step } = wanted;
        let until = now + lease;
        if let Some(set) = self.set.as_mut().filter(|set| set.rate == rate && set.step == step) {
            set.until = until;
            return Ok(());
        }
        self.set = Some(Set { rate, step, until });
        self.change(now);
        Ok(())
    }

    /// Puts the configured rate in force from now on.
    pub fn unset(&mut self, now: Instant) -> Result<(), Refused> {
        self.refuse(now)?;
        if self.set.take().is_some() {
            self.change(now);
        }
        Ok(())
    }

    /// Whether the sending thread has followed every segment.
    pub fn is_followed(&self) -> bool {
        self.plan.as_ref().is_none_or(|plan| plan.pending.is_empty())
    }

    /// Brings `schedule` up to the segment in force. Returns the segments that it had not followed yet.
    ///
    /// `now` is when the schedule's time was read: before this is called, so that nothing is due by then in a segment that has
    /// ended meanwhile.
    pub fn follow(&mut self, now: Instant, schedule: &mut Schedule) -> Vec<Followed> {
        self.expire(now);
        let Some(plan) = &mut self.plan else { return Vec::new() };
        let mut followed = Vec::new();
        while let Some(next) = plan.pending.pop_front() {
            let due = next.segment.before() - plan.current.segment.before();
            let not_offered = schedule.follow(next.segment.clone());
            plan.earlier = schedule.not_offered();
            let (first, segment) = (schedule.next(), next.segment.clone());
            followed.push(Followed { first, segment, not_offered, earlier: plan.earlier });
            let handed_over = due - not_offered;
            let ended = std::mem::replace(&mut plan.current, next);
            plan.previous = Some((ended, Outcome { due, handed_over, not_offered }));
        }
        followed
    }

    /// The load ends now, and why. Nothing becomes due any more. The first reason counts.
    pub fn end(&mut self, now: Instant, reason: &'static str) {
        self.ended.get_or_insert(reason);
        self.set = None;
        if let Some(plan) = &mut self.plan {
            plan.end_us = plan.end_us.min(plan.elapsed_us(now).saturating_add(1));
        }
    }

    /// How many sales are due by now in all.
    pub fn due(&self, now: Instant) -> u64 {
        self.plan.as_ref().map_or(0, |plan| plan.due_by(now))
    }

    /// What is in force now. `handed` sales were handed over in all; `unix_us` tells the wall clock's time.
    pub fn view(&self, now: Instant, handed: u64, unix_us: impl Fn(u64) -> i64) -> View {
        let plan = self.plan.as_ref().filter(|_| self.ended.is_none());
        let told = |part: &Part, at_us: u64, outcome: Outcome| Told {
            rate: part.segment.rate_at(at_us).per_second(),
            step: part.step.clone(),
            t0_us: unix_us(part.segment.t0_us()),
            due: outcome.due,
            handed_over: outcome.handed_over,
            not_offered: outcome.not_offered,
        };
        let segment = plan.map(|plan| {
            let newest = plan.newest();
            let due = plan.due_by(now).saturating_sub(newest.segment.before());
            // None, if it is not followed yet.
            let index = if plan.pending.is_empty() { handed + plan.earlier } else { 0 };
            let handed_over = index.saturating_sub(newest.segment.before());
            told(newest, plan.elapsed_us(now), Outcome { due, handed_over, not_offered: 0 })
        });
        let previous = plan.and_then(|plan| {
            let (part, outcome) = plan.previous.as_ref()?;
            Some(told(part, plan.current.segment.t0_us(), *outcome))
        });
        let left = |set: &Set| (set.step.clone(), set.until.saturating_duration_since(now));
        let rate = if self.ended.is_some() { Rate::PAUSE } else { self.rate(now) };
        View { rate, set: self.set.as_ref().map(left), segment, previous, ended: self.ended }
    }

    fn step(&self) -> Option<String> {
        self.set.as_ref().map(|set| set.step.clone())
    }

    fn refuse(&mut self, now: Instant) -> Result<(), Refused> {
        self.expire(now);
        if let Some(reason) = self.ended {
            return Err(Refused::Ended(reason));
        }
        match &self.plan {
            Some(plan) if plan.elapsed_us(now) >= plan.end_us => Err(Refused::Ended(ENDED)),
            Some(plan) if plan.pending.len() >= PENDING => Err(Refused::Busy),
            _ => Ok(()),
        }
    }

    /// Without a renewal the configured rate comes back.
    fn expire(&mut self, now: Instant) {
        if self.set.as_ref().is_some_and(|set| set.until <= now) {
            self.set = None;
            self.change(now);
        }
    }

    /// Begins the segment of what is in force now. After the end of the load nothing is due whatever the rate.
    fn change(&mut self, now: Instant) {
        let (pace, step) = (self.pace(), self.step());
        if let Some(plan) = &mut self.plan
            && plan.elapsed_us(now) < plan.end_us
        {
            let segment = plan.newest().segment.then(plan.elapsed_us(now), pace);
            plan.pending.push_back(Part { segment, step });
        }
    }
}

impl Plan {
    fn newest(&self) -> &Part {
        self.pending.back().unwrap_or(&self.current)
    }

    fn elapsed_us(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.start).as_micros()).unwrap_or(u64::MAX)
    }

    fn due_by(&self, now: Instant) -> u64 {
        due_by(&self.newest().segment, self.end_us, self.elapsed_us(now))
    }
}

#[cfg(test)]
#[path = "in_force_tests.rs"]
mod tests;
