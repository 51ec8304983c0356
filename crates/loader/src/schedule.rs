//! When sales are due, and how many may be sent now. Pure: time comes in as microseconds since the start.

use std::time::Duration;

use crate::rate::{CatchUp, Rate};

/// One sale, in the unit in which rate times time is a whole number: sales per million seconds times microseconds.
const SALE: u128 = 1_000_000_000_000;

/// Sales of this much time may be sent at once, as after a tick that came late. Any more are caught up with at `fastest`.
const BURST_US: u128 = 10_000;

/// The plan: sale `i` is due `i / rate` after the start. Always computed from `i`, so that no error adds up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    rate: Rate,
    total: u64,
}

impl Plan {
    /// Plans the sales that are due within `length` of the start.
    pub fn new(rate: Rate, length: Duration) -> Self {
        let unlimited = Self { rate, total: u64::MAX };
        let length = u64::try_from(length.as_micros()).unwrap_or(u64::MAX);
        Self { total: length.checked_sub(1).map_or(0, |last| unlimited.due_by(last)), ..unlimited }
    }

    /// When sale `index` is due, in microseconds after the start.
    pub fn due_at(&self, index: u64) -> u64 {
        u64::try_from(u128::from(index) * SALE / u128::from(self.rate.micro())).unwrap_or(u64::MAX)
    }

    /// How many sales are due by then, the one due at that very microsecond included.
    pub fn due_by(&self, elapsed_us: u64) -> u64 {
        let due = ((u128::from(elapsed_us) + 1) * u128::from(self.rate.micro())).div_ceil(SALE);
        u64::try_from(due).unwrap_or(u64::MAX).min(self.total)
    }

    /// How many sales the plan has in all.
    pub fn total(&self) -> u64 {
        self.total
    }
}

/// Follows a plan: how many sales may be sent now, never ahead of it, and no faster than allowed when behind it.
#[derive(Clone, Debug)]
pub struct Schedule {
    plan: Plan,
    /// The sale to be sent next.
    next: u64,
    /// The fastest that sales may be sent: sales per million seconds.
    fastest: u128,
    /// What may be sent now, in units of which [`SALE`] make a sale: a bucket that fills at `fastest`.
    credit: u128,
    /// Until when the bucket has been filled.
    filled_us: u64,
}

impl Schedule {
    /// Begins to follow `plan`.
    pub fn new(plan: Plan, catch_up: CatchUp) -> Self {
        let mut schedule =
            Self { plan, next: 0, fastest: u128::from(catch_up.micro(plan.rate)), credit: 0, filled_us: 0 };
        schedule.credit = schedule.brim();
        schedule
    }

    /// How many sales may be sent now.
    pub fn allowed(&mut self, elapsed_us: u64) -> u64 {
        let passed = elapsed_us.saturating_sub(self.filled_us);
        self.filled_us = self.filled_us.max(elapsed_us);
        self.credit = self.credit.saturating_add(u128::from(passed) * self.fastest).min(self.brim());
        let due = self.plan.due_by(elapsed_us).saturating_sub(self.next);
        due.min(u64::try_from(self.credit / SALE).unwrap_or(u64::MAX))
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

    /// When the sale to be sent next is due, in microseconds after the start.
    pub fn next_due_at(&self) -> u64 {
        self.plan.due_at(self.next)
    }

    /// Whether the plan has been sent to its end.
    pub fn is_done(&self) -> bool {
        self.next >= self.plan.total
    }

    /// A full bucket: at least one sale, or a slow schedule would never send.
    fn brim(&self) -> u128 {
        (self.fastest * BURST_US).max(SALE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATES: [&str; 9] = ["0.1", "0.3", "1", "7", "99.9", "1000", "33333.333333", "250000", "500000"];
    const DAY_US: u64 = 86_400_000_000;

    fn plan(rate: &str) -> Plan {
        Plan::new(rate.parse().unwrap(), Duration::MAX)
    }

    fn schedule(rate: &str) -> Schedule {
        Schedule::new(plan(rate), CatchUp::default())
    }

    /// Turns the schedule every `tick_us` from `from_us` to `to_us` and returns when each sale was sent.
    fn turn(schedule: &mut Schedule, from_us: u64, to_us: u64, tick_us: usize) -> Vec<u64> {
        let mut sent = Vec::new();
        for now in (from_us..=to_us).step_by(tick_us) {
            for _ in 0..schedule.allowed(now) {
                schedule.sent();
                sent.push(now);
            }
        }
        sent
    }

    #[test]
    fn due_times_are_spaced_by_the_rate() {
        let slow = plan("0.1");
        assert_eq!([0, 1, 2, 360].map(|index| slow.due_at(index)), [0, 10_000_000, 20_000_000, 3_600_000_000]);
        let fast = plan("500000");
        assert_eq!([0, 1, 2, 500_000].map(|index| fast.due_at(index)), [0, 2, 4, 1_000_000]);
        let third = plan("3");
        assert_eq!([1, 2, 3, 4].map(|index| third.due_at(index)), [333_333, 666_666, 1_000_000, 1_333_333]);
    }

    #[test]
    fn a_sale_is_due_at_its_due_time_and_not_a_microsecond_before() {
        for rate in RATES {
            let plan = plan(rate);
            for index in [1, 2, 3, 10, 999, 123_457, 10_000_000_000] {
                let due = plan.due_at(index);
                assert!(plan.due_by(due) > index, "sale {index} at {rate}/s");
                assert!(plan.due_by(due - 1) <= index, "sale {index} at {rate}/s");
            }
        }
    }

    #[test]
    fn a_long_run_does_not_drift() {
        for (rate, in_a_day) in [("0.1", 8_640), ("7", 604_800), ("99.9", 8_631_360), ("500000", 43_200_000_000)] {
            let plan = plan(rate);
            assert_eq!(plan.due_at(in_a_day), DAY_US, "{rate}/s");
            assert_eq!(plan.due_at(in_a_day * 1000), DAY_US * 1000, "{rate}/s");
        }
    }

    #[test]
    fn nothing_is_sent_ahead_of_the_plan_and_all_of_it_in_its_tick() {
        for rate in RATES {
            let mut schedule = schedule(rate);
            for now in (0..2_000_000).step_by(1_000) {
                for _ in 0..schedule.allowed(now) {
                    assert!(schedule.next_due_at() <= now, "{rate}/s at {now}");
                    schedule.sent();
                }
                assert_eq!(schedule.next(), plan(rate).due_by(now), "{rate}/s at {now}");
            }
        }
    }

    #[test]
    fn after_a_stall_it_catches_up_at_twice_the_rate_and_no_faster() {
        for (rate, per_second) in [("10", 10), ("1000", 1_000), ("500000", 500_000)] {
            let mut schedule = schedule(rate);
            turn(&mut schedule, 0, 1_000_000, 1_000);
            let sent = turn(&mut schedule, 4_000_000, 8_000_000, 1_000);
            assert_eq!(schedule.next(), plan(rate).due_by(8_000_000), "{rate}/s: all is sent in the end");
            let burst = per_second / 50 + 1;
            for (index, at) in sent.iter().enumerate().step_by(per_second / 10) {
                let most = usize::try_from((at - 4_000_000) * 2).unwrap() * per_second / 1_000_000 + burst;
                assert!(index <= most, "{rate}/s: {index} sent by {at}, at most {most}");
            }
            let behind =
                plan(rate).due_by(6_000_000) as f64 - (per_second + sent.partition_point(|at| *at <= 6_000_000)) as f64;
            let expected = per_second as f64;
            assert!((behind - expected).abs() <= expected * 0.05 + 1.0, "{rate}/s: {behind} behind after 2 s");
        }
    }

    #[test]
    fn a_late_tick_is_made_good_at_once() {
        let mut schedule = schedule("1000");
        turn(&mut schedule, 0, 1_000_000, 1_000);
        assert_eq!(schedule.allowed(1_010_000), 10);
    }

    #[test]
    fn a_factor_of_one_never_catches_up() {
        let mut schedule = Schedule::new(plan("1000"), "1".parse().unwrap());
        turn(&mut schedule, 0, 1_000_000, 1_000);
        turn(&mut schedule, 2_000_000, 5_000_000, 1_000);
        assert!((980..=991).contains(&(plan("1000").due_by(5_000_000) - schedule.next())));
    }

    #[test]
    fn what_was_not_sent_stays_allowed() {
        let mut schedule = schedule("1000");
        assert_eq!(schedule.allowed(4_000), 5);
        assert_eq!(schedule.allowed(4_000), 5, "nothing was sent: the queue was full");
        schedule.sent();
        assert_eq!(schedule.allowed(4_000), 4);
    }

    #[test]
    fn a_clock_that_steps_back_changes_nothing() {
        let mut schedule = schedule("1000");
        turn(&mut schedule, 0, 1_000_000, 1_000);
        assert_eq!(schedule.allowed(0), 0);
        assert_eq!(schedule.allowed(1_000_000), 0);
        assert_eq!(schedule.allowed(1_001_000), 1);
    }

    #[test]
    fn a_plan_ends_with_exactly_the_sales_of_its_length() {
        for (rate, seconds, total) in [("100", 10, 1_000), ("0.1", 10, 1), ("0.1", 11, 2), ("3", 1, 3), ("7", 0, 0)] {
            let plan = Plan::new(rate.parse().unwrap(), Duration::from_secs(seconds));
            assert_eq!(plan.total(), total, "{rate}/s for {seconds} s");
            let mut schedule = Schedule::new(plan, CatchUp::default());
            turn(&mut schedule, 0, 60_000_000, 10_000);
            assert!(schedule.is_done());
            assert_eq!(schedule.next(), total);
        }
    }
}
