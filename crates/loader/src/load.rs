//! The load in progress: what the threads of the loader share, and what the loader reports.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use service::{Figures, Time};

use crate::account::Account;
use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::rate::Rate;
use crate::schedule::Plan;

/// What a user can do about a load that has ended: each of these makes it another load.
pub(crate) const TO_LOAD_AGAIN: &str = "to load again, change loader.stopAfter, loader.rate or loader.seed";

/// What the schedule, the acknowledgements and the ledger share.
#[derive(Debug)]
pub struct Load {
    /// Counts so far.
    pub metrics: Metrics,
    /// How the threads that make and send the sales spend their time.
    pub time: Time,
    rate: Rate,
    plan: OnceLock<Plan>,
    clock: OnceLock<Clock>,
    account: OnceLock<Mutex<Account>>,
    held: AtomicBool,
}

impl Load {
    /// A load that has not begun.
    pub fn new(rate: Rate, metrics: Metrics) -> Self {
        metrics.rate.set(rate.per_second());
        Self {
            metrics,
            time: Time::default(),
            rate,
            plan: OnceLock::new(),
            clock: OnceLock::new(),
            account: OnceLock::new(),
            held: AtomicBool::new(false),
        }
    }

    /// Sales per second.
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// When each sale is due; an empty plan until it is known what is left of the load.
    pub fn plan(&self) -> Plan {
        self.plan.get().copied().unwrap_or_else(|| Plan::new(self.rate, Duration::ZERO))
    }

    /// Whether it is known that nothing is left of the load.
    pub fn is_over(&self) -> bool {
        self.plan.get().is_some_and(|plan| plan.total() == 0)
    }

    /// Begins the load now, if it has not begun: from here on sales become due.
    pub fn begin(&self) -> &Clock {
        self.clock.get_or_init(Clock::start)
    }

    /// The clock of the load, once it has begun.
    pub fn clock(&self) -> Option<&Clock> {
        self.clock.get()
    }

    /// Opens the account of what is left of the load; a second time changes nothing.
    pub fn open(&self, account: Account, plan: Plan) {
        let _ = self.plan.set(plan);
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
        if let Some(clock) = self.clock() {
            let due = self.plan().due_by(clock.elapsed_us());
            self.metrics.due.inner().fetch_max(due, Ordering::Relaxed);
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
        self.metrics.figures().time(&self.time)
    }
}

#[cfg(test)]
mod tests {
    use kafka::blocks::LoadRecord;
    use petstore::Parameters;

    use super::*;
    use crate::account::Owner;

    fn account() -> Account {
        let load = LoadRecord { began_at_us: 0, micro_rate: 1, length_us: 1 };
        Account::new(Owner { run: 1, loader: 0, incarnation: 1, parameters: Parameters::default(), load }, 0)
    }

    #[test]
    fn nothing_is_due_before_the_load_begins() {
        let rate = "1000000".parse().unwrap();
        let load = Load::new(rate, Metrics::default());
        assert_eq!(load.figures().counters["due"], 0);
        assert!(!load.is_over(), "nobody knows");
        load.open(account(), Plan::new(rate, Duration::MAX));
        load.begin();
        assert!(load.figures().counters["due"] >= 1);
    }

    #[test]
    fn what_has_no_answer_is_in_flight() {
        let load = Load::new("1".parse().unwrap(), Metrics::default());
        load.metrics.sent.inc_by(5);
        load.metrics.accepted.inc_by(2);
        load.metrics.unknown.inc();
        assert!((load.figures().gauges["in_flight"] - 2.0).abs() < f64::EPSILON);
    }
}
