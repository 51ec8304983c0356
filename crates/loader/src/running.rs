//! The load in progress: what the threads of the loader share, and what the loader reports.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use service::{Figures, Time};
use tracing::info;

use crate::account::Account;
use crate::clock::Clock;
use crate::in_force::{Asked, Followed, InForce, Refused, View, Wanted};
use crate::metrics::Metrics;
use crate::opening::Span;
use crate::rate::{CatchUp, Rate};
use crate::schedule::{Schedule, Segment};

/// What a user can do about a load that has ended: each of these makes it another load.
pub(crate) const TO_LOAD_AGAIN: &str = "to load again, change loader.stopAfter, loader.rate or loader.seed";

/// What the schedule, the acknowledgements and the ledger share.
#[derive(Debug)]
pub struct Load {
    /// Counts so far.
    pub metrics: Metrics,
    /// How the threads that make and send the sales spend their time.
    pub time: Time,
    in_force: Mutex<InForce>,
    /// Woken when a segment begins.
    changed: Condvar,
    /// The segments of which sales may have no answer yet.
    unanswered: RwLock<Vec<Followed>>,
    span: OnceLock<Span>,
    clock: OnceLock<Clock>,
    account: OnceLock<Mutex<Account>>,
    held: AtomicBool,
}

impl Load {
    /// A load that has not begun.
    pub fn new(asked: impl Into<Asked>, metrics: Metrics) -> Self {
        let in_force = InForce::new(asked);
        metrics.configured_rate.set(in_force.configured().per_second());
        metrics.rate.set(in_force.rate(Instant::now()).per_second());
        Self {
            metrics,
            time: Time::default(),
            in_force: Mutex::new(in_force),
            changed: Condvar::new(),
            unanswered: RwLock::default(),
            span: OnceLock::new(),
            clock: OnceLock::new(),
            account: OnceLock::new(),
            held: AtomicBool::new(false),
        }
    }

    /// The configured rate, by which a load is told from another.
    pub fn configured_rate(&self) -> Rate {
        self.lock().configured()
    }

    /// The rate in force.
    pub fn rate(&self) -> Rate {
        self.lock().rate(Instant::now())
    }

    /// How many sales become due from now on within a time.
    pub fn coming(&self, within: Duration) -> f64 {
        let us = u64::try_from(within.as_micros()).unwrap_or(u64::MAX);
        self.lock().coming(Instant::now(), us)
    }

    /// Puts a rate in force for a while.
    pub fn set_rate(&self, wanted: Wanted) -> Result<(), Refused> {
        self.change(|in_force, now| in_force.set(now, wanted))
    }

    /// Puts the configured rate in force.
    pub fn unset_rate(&self) -> Result<(), Refused> {
        self.change(InForce::unset)
    }

    /// The rate in force, and how its segment goes.
    pub fn in_force(&self) -> View {
        let in_force = self.lock();
        let unix_us = |elapsed_us| self.clock().map_or(0, |clock| clock.unix_us(elapsed_us));
        in_force.view(Instant::now(), self.metrics.sent.get(), unix_us)
    }

    /// No sale becomes due any more, and why. What was due and not sent by `schedule` is not offered.
    pub fn end(&self, reason: &'static str, schedule: &Schedule) {
        self.change(|in_force, now| in_force.end(now, reason));
        self.observe();
        let offered = schedule.next() + schedule.not_offered();
        self.metrics.not_offered.inc_by(self.metrics.due.get().saturating_sub(offered));
    }

    /// Whether it is known that nothing is left of the load.
    pub fn is_over(&self) -> bool {
        self.span.get().is_some_and(|span| span.left.is_zero())
    }

    /// Begins the load now, if it has not begun: from here on sales become due.
    pub fn begin(&self) -> &Clock {
        self.clock.get_or_init(|| {
            let clock = Clock::start();
            let span = self.span.get().copied().unwrap_or_default();
            let [gone_us, end_us] = [span.gone, span.left].map(|us| u64::try_from(us.as_micros()).unwrap_or(u64::MAX));
            let segment = self.change(|in_force, _| {
                in_force.begin(clock.at(0), gone_us, end_us);
                Segment::first(in_force.pace())
            });
            self.note(Followed { first: 0, segment, not_offered: 0, earlier: 0 });
            clock
        })
    }

    /// The clock of the load, once it has begun.
    pub fn clock(&self) -> Option<&Clock> {
        self.clock.get()
    }

    /// A schedule of the load as it is now, of which nothing was sent.
    pub fn schedule(&self, catch_up: CatchUp) -> Schedule {
        let in_force = self.lock();
        let (segment, end_us) = in_force.followed().unwrap_or_else(|| (Segment::first(in_force.pace()), 0));
        Schedule::new(segment, end_us, catch_up)
    }

    /// Brings `schedule` up to the rate in force, and returns whether that changed. `now_us` is the time that the schedule
    /// goes on with.
    pub fn follow(&self, schedule: &mut Schedule, clock: &Clock, now_us: u64) -> bool {
        let followed = self.change(|in_force, _| in_force.follow(clock.at(now_us), schedule));
        for segment in &followed {
            self.metrics.not_offered.inc_by(segment.not_offered);
            self.metrics.segments.inc();
            self.note(segment.clone());
            info!(
                rate = segment.segment.rate_at(segment.segment.t0_us()).per_second(),
                not_offered = segment.not_offered,
                "another rate is in force"
            );
        }
        !followed.is_empty()
    }

    /// Waits for so long, or until another rate is in force.
    pub fn wait(&self, rest: Duration) {
        let in_force = self.lock();
        if !in_force.is_followed() {
            return;
        }
        let _ = self.changed.wait_timeout(in_force, rest).unwrap_or_else(PoisonError::into_inner);
    }

    /// When a sale that was handed over was due, in microseconds after the start.
    pub fn due_at(&self, number: u64) -> Option<u64> {
        let segments = self.unanswered.read().unwrap_or_else(PoisonError::into_inner);
        let later = segments.partition_point(|segment| segment.first <= number);
        segments[..later].last().map(|segment| segment.due_at(number))
    }

    /// Opens the account of what is left of the load; a second time changes nothing.
    pub fn open(&self, account: Account, span: Span) {
        let _ = self.span.set(span);
        let _ = self.account.set(Mutex::new(account));
    }

    /// The account, once it is open.
    pub fn account(&self) -> Option<MutexGuard<'_, Account>> {
        // A thread that panics with the lock leaves no half-made change behind.
        self.account.get().map(|account| account.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether nothing may be sent, because there may be a successor.
    pub fn is_held(&self) -> bool {
        self.held.load(Ordering::Relaxed)
    }

    /// Forbids or allows sending.
    pub fn hold(&self, held: bool) {
        self.held.store(held, Ordering::Relaxed);
    }

    /// Sales handed to the client that have no answer yet.
    pub fn in_flight(&self) -> u64 {
        let Metrics { sent, accepted, unknown, .. } = &self.metrics;
        // Answers are read first: what is answered in between was sent.
        let answered = accepted.get() + unknown.get();
        sent.get().saturating_sub(answered)
    }

    /// Updates the figures that follow from the clock and the account, even if the schedule's loop is stuck.
    pub fn observe(&self) {
        let (due, rate) = {
            let (in_force, now) = (self.lock(), Instant::now());
            (in_force.due(now), in_force.rate(now))
        };
        self.metrics.rate.set(rate.per_second());
        self.metrics.due.inner().fetch_max(due, Ordering::Relaxed);
        if let Some(clock) = self.clock() {
            self.metrics.clock_steps.inner().fetch_max(clock.steps(), Ordering::Relaxed);
        }
        self.metrics.in_flight.set(i64::try_from(self.in_flight()).unwrap_or(i64::MAX));
        if let Some(account) = self.account() {
            let counts = account.counts();
            let position = account.settled().unwrap_or_else(|| self.metrics.sent.get());
            drop(account);
            self.metrics.blocks_reserved.inner().fetch_max(counts.reserved, Ordering::Relaxed);
            self.metrics.blocks_closed.inner().fetch_max(counts.closed, Ordering::Relaxed);
            self.metrics.acknowledged.set(i64::try_from(position).unwrap_or(i64::MAX));
        }
    }

    /// The loader's figures for its report.
    pub fn figures(&self) -> Figures {
        self.observe();
        self.metrics.figures().time(&self.time).segment(self.in_force().segment)
    }

    fn lock(&self) -> MutexGuard<'_, InForce> {
        self.in_force.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is in force, at a moment that is read under the lock: so segments begin in the order of their times.
    fn change<T>(&self, change: impl FnOnce(&mut InForce, Instant) -> T) -> T {
        let mut in_force = self.lock();
        let now = Instant::now();
        let changed = change(&mut in_force, now);
        self.metrics.rate.set(in_force.rate(now).per_second());
        if !in_force.is_followed() {
            self.changed.notify_all();
        }
        changed
    }

    /// Sales of a segment are about to be sent. Forgets those of which every sale has its answer.
    fn note(&self, segment: Followed) {
        let settled = self.account().and_then(|account| account.settled()).unwrap_or(segment.first);
        let mut segments = self.unanswered.write().unwrap_or_else(PoisonError::into_inner);
        let later = segments.partition_point(|segment| segment.first <= settled);
        segments.drain(..later.saturating_sub(1));
        segments.push(segment);
    }
}

#[cfg(test)]
#[path = "running_tests.rs"]
mod tests;
