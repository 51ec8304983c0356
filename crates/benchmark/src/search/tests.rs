//! The search against simulated clusters.

use proptest::prelude::*;

use super::simulated::{Random, count, noisy, search, sharp, unhurried};
use super::*;

const MAXIMUM: f64 = 10_000.0;

/// The rounding of rates to three digits moves an end by at most this much.
const ROUNDING: f64 = 1.006;

proptest! {
    #[test]
    fn a_sharp_limit_is_between_the_rate_that_held_and_the_one_that_failed(limit in 25.0..9_900.0_f64) {
        let searched = search(unhurried(MAXIMUM), sharp(limit));
        let found = &searched.found;
        let (held, failed) = (found.held.unwrap(), found.failed.unwrap());
        prop_assert!(held <= limit && limit < failed, "{found:?}");
        prop_assert!(failed / held <= 1.05 * ROUNDING, "{found:?}");
        prop_assert_eq!(found.end, End::Complete);
        prop_assert!(found.confirmed && found.irregular.is_empty() && !found.drifted(), "{:?}", found);
        prop_assert!(found.repeats.0 >= 5 && found.repeats.0 == found.repeats.1);
        prop_assert!(count(&searched, Phase::Above) >= 3);
    }

    #[test]
    fn noise_moves_the_answer_by_no_more_than_its_own_spread(limit in 100.0..9_000.0_f64, seed: u64) {
        let found = search(unhurried(MAXIMUM), noisy(limit, 0.04, seed)).found;
        let (held, failed) = (found.held.unwrap(), found.failed.unwrap());
        prop_assert!(held < failed, "{found:?}");
        prop_assert!(held > limit * 0.89 && held < limit * 1.05, "{limit}: {found:?}");
    }

    #[test]
    fn one_failure_by_bad_luck_changes_nothing(limit in 100.0..9_000.0_f64, unlucky in 0..25_usize) {
        let without = search(unhurried(MAXIMUM), sharp(limit)).found;
        let mut cluster = sharp(limit);
        let with = search(unhurried(MAXIMUM), |step, n| {
            if n == unlucky { Outcome::Failed } else { cluster(step, n) }
        });
        prop_assert_eq!((with.found.held, with.found.failed), (without.held, without.failed));
        prop_assert!(!with.found.drifted());
    }

    #[test]
    fn two_failures_by_bad_luck_at_a_judged_rate_are_found_out(limit in 500.0..9_000.0_f64) {
        // The first rate that the bisection tries fails twice although it holds.
        let mut cluster = sharp(limit);
        let mut unlucky = 0;
        let searched = search(unhurried(MAXIMUM), |step, n| {
            if step.phase == Phase::Bisect && step.rate <= limit && unlucky < 2 {
                unlucky += 1;
                return Outcome::Failed;
            }
            cluster(step, n)
        });
        let found = searched.found;
        let (held, failed) = (found.held.unwrap(), found.failed.unwrap());
        prop_assert!(held <= limit && limit < failed && failed / held <= 1.05 * ROUNDING, "{limit}: {found:?}");
    }

    #[test]
    fn a_cluster_that_grows_slower_is_called_drifted(limit in 1_000.0..9_000.0_f64) {
        let searched = search(unhurried(MAXIMUM), |step, n| {
            let left = if n < 14 { limit } else { limit / 3.0 };
            if step.rate <= left { Outcome::Held } else { Outcome::Failed }
        });
        let first = searched.search.past().iter().find(|past| past.step.phase == Phase::Bisect).unwrap();
        let control = searched.found.control.unwrap();
        prop_assert_eq!(control.rate.to_bits(), first.step.rate.to_bits());
        if first.outcome == Outcome::Held {
            prop_assert!(searched.found.drifted(), "{:?}", searched.found);
        }
    }

    #[test]
    fn above_the_highest_rate_the_answer_is_at_least(limit in 10_000.0..1e9_f64) {
        let searched = search(unhurried(MAXIMUM), sharp(limit));
        prop_assert_eq!((searched.found.held, searched.found.failed), (Some(MAXIMUM), None));
        prop_assert!(searched.found.is_at_least() && searched.found.confirmed);
        prop_assert!(searched.search.past().iter().all(|past| past.step.rate <= MAXIMUM));
    }

    #[test]
    fn a_rate_that_holds_above_one_that_fails_is_not_capacity(dip in 300.0..3_000.0_f64) {
        // Everything holds up to 8,000/s, but for a band.
        let band = dip..dip * 1.6;
        let cluster = |step: Step, _| {
            if step.rate > 8_000.0 || band.contains(&step.rate) { Outcome::Failed } else { Outcome::Held }
        };
        let found = search(unhurried(MAXIMUM), cluster).found;
        let (held, failed) = (found.held.unwrap(), found.failed.unwrap());
        prop_assert!(held < failed && !band.contains(&held), "{found:?}");
        prop_assert!(found.irregular.iter().all(|rate| *rate > failed));
    }

    #[test]
    fn whatever_happens_the_search_ends_in_time_and_its_answer_is_ordered(seed: u64, minutes in 1..120_u64) {
        let mut random = Random(seed);
        let limits = Limits { budget: Duration::from_secs(60 * minutes), ..unhurried(MAXIMUM) };
        let searched = search(limits, |_, _| match random.next() {
            chance if chance < 0.45 => Outcome::Held,
            chance if chance < 0.95 => Outcome::Failed,
            _ => Outcome::Invalid,
        });
        prop_assert!(searched.elapsed <= limits.budget);
        let found = searched.found;
        if let (Some(held), Some(failed)) = (found.held, found.failed) {
            prop_assert!(held < failed);
        }
        prop_assert!(!found.confirmed || found.repeats.0 > 0);
    }
}

#[test]
fn loaders_that_turn_out_to_do_more_are_used() {
    let mut search = Search::new(unhurried(1_000.0));
    let mut cluster = sharp(3_000.0);
    while let Next::Step(step) = search.next(Duration::ZERO) {
        let outcome = cluster(step, 0);
        search.record(Past { step, outcome, delivered: None });
        search.can_offer(step.rate * 3.0);
    }
    assert!(search.bounds().lower.is_some_and(|held| held > 2_800.0), "{:?}", search.bounds());
}

#[test]
fn what_holds_nothing_says_so() {
    let searched = search(unhurried(MAXIMUM), |_, _| Outcome::Failed);
    assert_eq!((searched.found.end, searched.found.held), (End::NothingHeld, None));
    assert!(
        searched.search.past().last().unwrap().step.rate <= MAXIMUM / 512.0 * ROUNDING,
        "it went down to the minimum"
    );
    assert!(searched.search.past().len() < 30);
}

#[test]
fn smoke_stops_at_the_bracket_and_knows_how_wide_it_is() {
    let searched = search(
        Limits { budget: Duration::MAX, ..Limits::new(Mode::Smoke, &Mode::Smoke.times(), MAXIMUM) },
        sharp(3_000.0),
    );
    let found = searched.found;
    assert_eq!((found.held, found.failed, found.end), (Some(2_500.0), Some(5_000.0), End::Complete));
    assert_eq!(found.width(), Some(1.0));
    assert!(!found.confirmed && found.control.is_none());
    let rates: Vec<_> = searched.search.past().iter().map(|past| past.step.rate).collect();
    assert_eq!(rates, [1_250.0, 2_500.0, 5_000.0, 5_000.0], "the failed one is repeated once");
}

#[test]
fn what_the_ramp_measured_counts_for_nothing_else() {
    // The ramp's lower end held by luck, and its upper end failed by bad luck.
    for limit in [1_000.0, 5_600.0] {
        let mut cluster = sharp(limit);
        let found = search(unhurried(MAXIMUM), |step, n| match step.phase {
            Phase::Ramp if step.rate > 3_000.0 => Outcome::Failed,
            Phase::Ramp => Outcome::Held,
            _ => cluster(step, n),
        })
        .found;
        let (held, failed) = (found.held.unwrap(), found.failed.unwrap());
        assert!(held <= limit && limit < failed && failed / held <= 1.05 * ROUNDING, "{limit}: {found:?}");
    }
}

#[test]
fn confirming_steps_are_interleaved() {
    let searched = search(unhurried(MAXIMUM), sharp(3_000.0));
    let phases: String = searched
        .search
        .past()
        .iter()
        .filter_map(|past| match past.step.phase {
            Phase::Confirm => Some('c'),
            Phase::Above => Some('a'),
            _ => None,
        })
        .collect();
    assert_eq!(phases, "cacaccac");
    assert_eq!(searched.search.past().last().unwrap().step.phase, Phase::Control);
}

#[test]
fn a_step_that_cannot_be_judged_is_repeated_once() {
    let mut cluster = sharp(3_000.0);
    let once = search(unhurried(MAXIMUM), |step, n| if n == 9 { Outcome::Invalid } else { cluster(step, n) });
    assert_eq!(once.found.end, End::Complete);
    let past = once.search.past();
    assert_eq!((past[10].step.rate, past[10].step.repeat), (past[9].step.rate, true));

    let mut cluster = sharp(3_000.0);
    let twice =
        search(unhurried(MAXIMUM), |step, n| if n == 9 || n == 10 { Outcome::Invalid } else { cluster(step, n) });
    assert_eq!((twice.found.end, twice.search.past().len()), (End::Invalid, 11));
}

#[test]
fn a_rate_that_failed_once_when_the_time_was_over_is_the_upper_end() {
    let limits = Limits { budget: Duration::from_mins(8), ..unhurried(MAXIMUM) };
    let found = search(limits, sharp(3_000.0)).found;
    assert_eq!((found.end, found.held, found.failed), (End::OutOfTime, Some(2_500.0), Some(5_000.0)));
    assert!(!found.confirmed);
}

#[test]
fn the_usual_smoke_fits_into_its_time() {
    let (times, limits) = (Mode::Smoke.times(), Limits::new(Mode::Smoke, &Mode::Smoke.times(), MAXIMUM));
    // What a step takes that drains at once, and the seconds to see that it has.
    let drained = times.settle + times.ramp + Duration::from_secs(4);
    let mut worst = Duration::ZERO;
    for limit in [2_000.0, 4_000.0, 9_000.0, 20_000.0, 39_000.0] {
        let (mut search, mut elapsed, mut cluster) = (Search::new(limits), Duration::ZERO, sharp(limit));
        let found = loop {
            let step = match search.next(elapsed) {
                Next::Done(found) => break found,
                Next::Step(step) => step,
            };
            let outcome = cluster(step, 0);
            elapsed += if outcome == Outcome::Held { drained } else { limits.ramp_step };
            search.record(Past { step, outcome, delivered: None });
            search.can_offer(40_000.0);
        };
        assert_eq!(found.end, End::Complete, "{limit}: {found:?} after {elapsed:?}");
        worst = worst.max(elapsed);
    }
    assert!(worst <= times.search, "{worst:?}");
}

#[test]
fn when_time_is_short_the_control_comes_before_narrowing() {
    let limits = Limits { budget: Duration::from_secs(80 * 11), ..unhurried(MAXIMUM) };
    let searched = search(limits, sharp(3_000.0));
    assert_eq!(searched.search.past().last().unwrap().step.phase, Phase::Control);
    assert!(!searched.found.confirmed && searched.found.control.is_some());
    assert!(searched.found.width().unwrap() > 0.05);
}

#[test]
fn the_usual_search_fits_into_the_time_of_its_mode() {
    for mode in [Mode::Default, Mode::Certificate] {
        let limits = Limits::new(mode, &mode.times(), MAXIMUM);
        let searched = search(Limits { budget: Duration::MAX, ..limits }, sharp(3_000.0));
        let ramp = u32::try_from(count(&searched, Phase::Ramp)).unwrap();
        let judged = u32::try_from(searched.search.past().len()).unwrap() - ramp;
        // A step that holds drains in seconds.
        let (times, drained) = (mode.times(), Duration::from_secs(5));
        let takes = (times.settle + times.ramp + drained) * ramp + (times.settle + times.measure + drained) * judged;
        assert!(takes < times.search, "{mode}: {takes:?} for {ramp} + {judged} steps");
    }
}

#[test]
fn rates_have_three_digits() {
    for (rate, expected) in [(3_456.7, 3_460.0), (12.345, 12.3), (0.1234, 0.123), (99_999.0, 100_000.0)] {
        assert!((rounded(rate) - expected).abs() < 1e-12, "{rate}: {}", rounded(rate));
    }
}
