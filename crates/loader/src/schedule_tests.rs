use proptest::prelude::*;

use super::*;
use crate::arrivals::Kind;
use crate::curve::{Piece, Then};

const RATES: [&str; 9] = ["0.1", "0.3", "1", "7", "99.9", "1000", "33333.333333", "250000", "500000"];
const DAY_US: u64 = 86_400_000_000;

fn plan(rate: &str) -> Segment {
    Segment::first(rate.parse::<Rate>().unwrap().into())
}

fn schedule(rate: &str) -> Schedule {
    Schedule::new(plan(rate), u64::MAX, CatchUp::default())
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
        for plan in [plan(rate), plan("0.7").then(12_345, rate.parse::<Rate>().unwrap().into())] {
            for index in [1, 2, 3, 10, 999, 123_457, 10_000_000_000] {
                let due = plan.due_at(index);
                assert!(plan.due_by(due) > index, "sale {index} at {rate}/s");
                assert!(plan.due_by(due - 1) <= index, "sale {index} at {rate}/s");
            }
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
fn many_changes_do_not_drift_either() {
    // A third of a sale is left over at each change but every third.
    let mut segment = plan("10");
    for change in 1..=30_000 {
        segment = segment.then(change * 33_333, "10".parse::<Rate>().unwrap().into());
    }
    let end = 30_000 * 33_333;
    assert_eq!(segment.before(), plan("10").due_by(end));
    assert_eq!(segment.due_at(segment.before()), plan("10").due_at(segment.before()));
}

#[test]
fn a_rate_of_zero_pauses_and_what_was_left_of_a_sale_is_due_afterwards() {
    let pause = plan("1").then(2_250_000, Rate::PAUSE.into());
    assert_eq!((pause.before(), pause.due_by(DAY_US), pause.due_at(3)), (3, 3, u64::MAX));
    let after = pause.then(10_000_000, "2".parse::<Rate>().unwrap().into());
    assert_eq!(after.before(), 3);
    assert_eq!(after.due_at(3), 10_375_000, "three quarters of a sale at 2/s");
    assert_eq!(after.due_at(4), 10_875_000);
}

#[test]
fn what_was_due_and_not_sent_before_a_change_is_not_offered_and_gets_no_number() {
    let mut schedule = schedule("100");
    turn(&mut schedule, 0, 1_000_000, 1_000);
    assert_eq!(schedule.next(), 101);
    // Nothing is sent for two seconds.
    let next = plan("100").then(3_000_000, "10".parse::<Rate>().unwrap().into());
    assert_eq!(schedule.follow(next), 200);
    assert_eq!((schedule.next(), schedule.not_offered()), (101, 200));
    assert_eq!(schedule.next_due_at(), 3_100_000, "the new segment is not late for what the old one was");
    assert_eq!(schedule.allowed(3_099_999), 0);
    turn(&mut schedule, 3_100_000, 4_000_000, 1_000);
    assert_eq!((schedule.next(), schedule.behind(4_000_000)), (111, 0));
}

#[test]
fn a_step_up_is_not_held_back_by_the_slow_segment_before() {
    let mut schedule = schedule("0.1");
    turn(&mut schedule, 0, 5_000_000, 50_000);
    let fast = plan("0.1").then(5_000_000, "10000".parse::<Rate>().unwrap().into());
    assert_eq!(schedule.follow(fast), 0);
    turn(&mut schedule, 5_000_000, 5_010_000, 1_000);
    assert_eq!(schedule.behind(5_010_000), 0);
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
    let mut schedule = Schedule::new(plan("1000"), u64::MAX, "1".parse().unwrap());
    turn(&mut schedule, 0, 1_000_000, 1_000);
    turn(&mut schedule, 2_000_000, 5_000_000, 1_000);
    assert!((980..=991).contains(&schedule.behind(5_000_000)));
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
fn a_load_ends_at_its_time_with_exactly_the_sales_of_its_length() {
    for (rate, seconds, total) in [("100", 10, 1_000), ("0.1", 10, 1), ("0.1", 11, 2), ("3", 1, 3), ("7", 0, 0)] {
        let end = seconds * 1_000_000;
        let mut schedule = Schedule::new(plan(rate), end, CatchUp::default());
        turn(&mut schedule, 0, 60_000_000, 10_000);
        assert_eq!(schedule.next(), total, "{rate}/s for {seconds} s");
        assert!(schedule.is_done(end));
        assert!(end == 0 || !schedule.is_done(end - 1), "another rate may still be set");
    }
    let mut stalled = Schedule::new(plan("100"), 1_000_000, CatchUp::default());
    assert!(!stalled.is_done(2_000_000), "what was due is still sent");
    turn(&mut stalled, 2_000_000, 3_000_000, 1_000);
    assert!(stalled.is_done(3_000_000));
}

/// Changes of the rate: microseconds since the one before, sales in a million seconds.
fn changes() -> impl Strategy<Value = Vec<(u64, u64)>> {
    let rate = prop_oneof![Just(0u64), 1u64..1_000_000, 1_000_000u64..2_000_000_000_000 / 2];
    proptest::collection::vec((0u64..3_000_000, rate), 1..12)
}

fn rate(micro: u64) -> Rate {
    if micro == 0 { Rate::PAUSE } else { Rate::per_second_of(micro as f64 / 1e6).unwrap() }
}

proptest! {
    /// At any moment, what is planned is the integral of the rate, and not a sale more or less.
    #[test]
    fn the_plan_is_the_integral_of_the_rate(first in 1u64..1_000_000_000_000, changes in changes(), after in 0u64..5_000_000) {
        let (mut segment, mut now, mut integral) = (Segment::first(rate(first).into()), 0, 0u128);
        for (passed, micro) in changes {
            now += passed;
            integral += u128::from(passed) * u128::from(segment.rate_at(now).micro());
            let due = (integral + u128::from(segment.rate_at(now).micro())).div_ceil(SALE);
            let next = segment.then(now, rate(micro).into());
            prop_assert_eq!(u128::from(next.before()), due.max(u128::from(segment.before())));
            prop_assert!(micro == 0 || next.due_at(next.before()) >= now);
            segment = next;
        }
        integral += u128::from(after + 1) * u128::from(segment.rate_at(now).micro());
        let due = integral.div_ceil(SALE).max(u128::from(segment.before()));
        prop_assert_eq!(u128::from(segment.due_by(now + after)), due);
    }

    /// However often the rate changes, and however irregularly the loop turns: each planned sale is sent, not offered, or
    /// still to be sent; none is sent before it is due; due times never go back.
    #[test]
    fn every_planned_sale_is_sent_not_offered_or_behind(
        changes in proptest::collection::vec((0u64..2_000_000, 0u64..300_000_000, 1u64..400_000), 1..10),
        kind in prop_oneof![Just(Kind::Even), Just(Kind::Poisson)],
        shaped in any::<bool>(),
    ) {
        let arrivals = Arrivals::new(kind, 7);
        let pace = |micro| {
            let piece = Piece { from: micro, to: 50_000_000, lasts_us: 300_000 };
            if shaped {
                return Pace::shaped(Arc::new(Curve::new([piece], Then::Repeats)), 123_456, arrivals.clone());
            }
            Pace::steady(rate(micro), arrivals.clone())
        };
        let mut segment = Segment::first(pace(50_000_000));
        let mut schedule = Schedule::new(segment.clone(), u64::MAX, CatchUp::default());
        let (mut now, mut last_due, mut sent) = (0, 0, 0);
        for (passed, micro, tick) in changes {
            let until = now + passed;
            while now < until {
                for _ in 0..schedule.allowed(now) {
                    let due = schedule.next_due_at();
                    prop_assert!(due <= now && due >= last_due, "{} after {} at {}", due, last_due, now);
                    last_due = due;
                    schedule.sent();
                    sent += 1;
                }
                now = (now + tick).min(until);
            }
            segment = segment.then(now, pace(micro));
            schedule.follow(segment.clone());
            prop_assert_eq!(schedule.next(), sent);
            prop_assert_eq!(sent + schedule.not_offered(), segment.before());
            prop_assert_eq!(schedule.behind(now), segment.due_by(now) - segment.before());
        }
    }
}
