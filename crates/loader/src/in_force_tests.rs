use proptest::prelude::*;

use super::*;
use crate::curve::{Piece, Then};
use crate::rate::CatchUp;

/// A loader on a simulated clock, whose sending thread turns when it is told to.
struct Simulated {
    start: Instant,
    in_force: InForce,
    schedule: Schedule,
    now_us: u64,
    not_offered: u64,
}

const S: u64 = 1_000_000;

impl Simulated {
    fn begin(rate: &str, end_us: u64) -> Self {
        let mut in_force = InForce::new(rate.parse::<Rate>().unwrap());
        let start = Instant::now();
        in_force.begin(start, 0, end_us);
        let (segment, end_us) = in_force.followed().unwrap();
        Self {
            start,
            in_force,
            schedule: Schedule::new(segment, end_us, CatchUp::default()),
            now_us: 0,
            not_offered: 0,
        }
    }

    fn now(&self) -> Instant {
        self.start + Duration::from_micros(self.now_us)
    }

    /// Turns once, and sends what may be sent.
    fn turn(&mut self) -> Vec<Followed> {
        let followed = self.in_force.follow(self.now(), &mut self.schedule);
        self.not_offered += followed.iter().map(|it| it.not_offered).sum::<u64>();
        for _ in 0..self.schedule.allowed(self.now_us) {
            self.schedule.sent();
        }
        followed
    }

    fn turn_until(&mut self, until_us: u64) {
        while self.now_us < until_us {
            self.turn();
            self.now_us = (self.now_us + 1_000).min(until_us);
        }
        self.turn();
    }

    fn set(&mut self, rate: f64, step: &str, lease_s: u64) -> Result<(), Refused> {
        let rate = Rate::per_second_of(rate).unwrap_or(Rate::PAUSE);
        let wanted = Wanted { rate, lease: Duration::from_secs(lease_s), step: step.to_owned() };
        self.in_force.set(self.now(), wanted)
    }

    fn view(&self) -> View {
        self.in_force.view(self.now(), self.schedule.next(), |us| i64::try_from(us).unwrap())
    }
}

fn told(rate: f64, step: Option<&str>, t0_us: u64, [due, handed_over, not_offered]: [u64; 3]) -> Told {
    Told { rate, step: step.map(str::to_owned), t0_us: t0_us.cast_signed(), due, handed_over, not_offered }
}

#[test]
fn a_set_rate_begins_a_segment_at_its_moment_and_numbers_go_on() {
    let mut loader = Simulated::begin("100", u64::MAX);
    loader.turn_until(2_005_000);
    loader.set(1_000.0, "ramp-1", 10).unwrap();
    assert_eq!(loader.view().segment, Some(told(1_000.0, Some("ramp-1"), 2_005_000, [0, 0, 0])));
    loader.now_us += 100;
    let followed = loader.turn();
    assert_eq!(followed.len(), 1);
    assert_eq!((followed[0].first, followed[0].segment.t0_us()), (201, 2_005_000));
    loader.turn_until(3_005_000);
    let view = loader.view();
    assert_eq!(view.segment, Some(told(1_000.0, Some("ramp-1"), 2_005_000, [1_000, 1_000, 0])));
    assert_eq!(view.previous, Some(told(100.0, None, 0, [201, 201, 0])));
    assert_eq!((view.rate.per_second(), view.set), (1_000.0, Some(("ramp-1".to_owned(), Duration::from_secs(9)))));
}

#[test]
fn a_renewal_only_extends_the_lease() {
    let mut loader = Simulated::begin("100", u64::MAX);
    loader.set(50.0, "a", 10).unwrap();
    loader.turn_until(9 * S);
    loader.set(50.0, "a", 10).unwrap();
    assert!(loader.turn().is_empty());
    loader.turn_until(18 * S);
    assert_eq!(loader.view().set.unwrap().1, Duration::from_secs(1));
    for (rate, step) in [(50.0, "b"), (51.0, "b")] {
        loader.set(rate, step, 10).unwrap();
        assert_eq!(loader.turn().len(), 1, "{rate} {step} is another segment");
    }
}

#[test]
fn without_a_renewal_the_configured_rate_comes_back() {
    let mut loader = Simulated::begin("100", u64::MAX);
    loader.turn_until(S);
    loader.set(0.0, "pause", 5).unwrap();
    loader.turn_until(6 * S - 1_000);
    assert_eq!((loader.view().rate, loader.schedule.next()), (Rate::PAUSE, 101));
    loader.turn_until(7 * S);
    let view = loader.view();
    assert_eq!((view.rate.per_second(), view.set), (100.0, None));
    assert_eq!(view.segment, Some(told(100.0, None, 6 * S, [100, 100, 0])));
    assert_eq!(view.previous, Some(told(0.0, Some("pause"), S, [0, 0, 0])));
}

#[test]
fn deleting_the_rate_brings_the_configured_one_back_once() {
    let mut loader = Simulated::begin("100", u64::MAX);
    loader.in_force.unset(loader.now()).unwrap();
    assert!(loader.turn().is_empty(), "nothing was set");
    loader.set(50.0, "a", 10).unwrap();
    loader.now_us = S;
    loader.in_force.unset(loader.now()).unwrap();
    loader.in_force.unset(loader.now()).unwrap();
    assert_eq!(loader.turn().len(), 2, "the one that was set, and the configured one");
    assert_eq!(loader.view().rate, "100".parse().unwrap());
}

#[test]
fn what_a_stalled_loader_did_not_offer_is_told_of_the_segment_that_ended() {
    let mut loader = Simulated::begin("100", u64::MAX);
    loader.turn_until(S);
    loader.now_us = 3 * S;
    loader.set(10.0, "a", 60).unwrap();
    loader.now_us = 4 * S;
    loader.set(20.0, "b", 60).unwrap();
    let followed = loader.turn();
    assert_eq!(followed.iter().map(|it| it.not_offered).collect::<Vec<_>>(), [200, 10]);
    assert_eq!(followed.last().unwrap().earlier, 210);
    assert_eq!(loader.view().previous, Some(told(10.0, Some("a"), 3 * S, [10, 0, 10])));
    loader.turn_until(5 * S);
    assert_eq!(loader.view().segment, Some(told(20.0, Some("b"), 4 * S, [20, 20, 0])));
    let sale = followed[1].first;
    assert_eq!([0, 1].map(|next| followed[1].due_at(sale + next)), [4 * S + 50_000, 4 * S + 100_000]);
}

#[test]
fn a_load_ends_at_its_time_whatever_rate_is_set_and_then_refuses() {
    let mut loader = Simulated::begin("100", 2 * S);
    loader.turn_until(S);
    loader.set(10.0, "a", 60).unwrap();
    loader.turn_until(5 * S);
    assert!(loader.schedule.is_done(loader.now_us));
    assert_eq!((loader.schedule.next(), loader.in_force.due(loader.now())), (110, 110));
    assert_eq!(loader.set(20.0, "b", 60), Err(Refused::Ended(ENDED)));
    assert_eq!(loader.in_force.unset(loader.now()), Err(Refused::Ended(ENDED)));
    loader.in_force.end(loader.now(), ENDED);
    let view = loader.view();
    assert_eq!((view.rate, view.set, view.segment, view.ended), (Rate::PAUSE, None, None, Some(ENDED)));
}

#[test]
fn nothing_becomes_due_after_a_stop() {
    let mut loader = Simulated::begin("100", u64::MAX);
    loader.turn_until(S);
    loader.in_force.end(loader.now(), STOPPING);
    loader.now_us = 9 * S;
    assert_eq!(loader.in_force.due(loader.now()), 101);
    assert_eq!(loader.set(20.0, "b", 60), Err(Refused::Ended(STOPPING)));
}

#[test]
fn a_lease_that_outlives_the_load_changes_nothing() {
    let mut loader = Simulated::begin("100", 2 * S);
    loader.set(10.0, "a", 3).unwrap();
    loader.turn_until(4 * S);
    // The configured rate's first sale was due when the other was set.
    assert_eq!((loader.schedule.next(), loader.schedule.not_offered(), loader.in_force.due(loader.now())), (19, 1, 20));
}

#[test]
fn a_rate_set_before_the_load_begins_is_that_of_its_first_segment_if_its_lease_lasts() {
    for (begins_s, expected) in [(5, "7"), (11, "100")] {
        let mut in_force = InForce::new("100".parse::<Rate>().unwrap());
        let now = Instant::now();
        let wanted = Wanted { rate: "7".parse().unwrap(), lease: Duration::from_secs(10), step: "early".to_owned() };
        in_force.set(now, wanted).unwrap();
        assert_eq!(in_force.due(now + Duration::from_secs(1)), 0);
        in_force.begin(now + Duration::from_secs(begins_s), 0, u64::MAX);
        assert_eq!(in_force.followed().unwrap().0.rate_at(0), expected.parse().unwrap());
        assert!(in_force.is_followed());
    }
}

/// A second at 100/s, then 1000/s for ever.
fn steps() -> Asked {
    let steady = |rate, lasts_us| Piece { from: rate * S, to: rate * S, lasts_us };
    let curve = Curve::new([steady(100, S), steady(1_000, S)], Then::Stays);
    Asked { shape: Some(Arc::new(curve)), ..Asked::from("100".parse::<Rate>().unwrap()) }
}

#[test]
fn a_shape_is_one_segment_and_what_is_late_in_it_is_offered() {
    let mut in_force = InForce::new(steps());
    let start = Instant::now();
    in_force.begin(start, 0, 10 * S);
    let (segment, end_us) = in_force.followed().unwrap();
    let mut schedule = Schedule::new(segment, end_us, CatchUp::default());
    let at = |us| start + Duration::from_micros(us);
    assert_eq!([0, S - 1, S, 9 * S].map(|us| in_force.rate(at(us)).micro() / S), [100, 100, 1_000, 1_000]);
    assert!((in_force.coming(at(0), 2 * S) - 1_100.0).abs() < 1e-9);
    // The sending thread hangs for two seconds.
    assert_eq!((in_force.due(at(2 * S)), schedule.behind(2 * S)), (1_101, 1_101));
    assert!(in_force.follow(at(2 * S), &mut schedule).is_empty());
    assert_eq!((schedule.not_offered(), schedule.next_due_at()), (0, 0));
    assert_eq!(in_force.view(at(2 * S), 0, |_| 0).rate.micro() / S, 1_000);
}

#[test]
fn a_shape_goes_on_over_restarts_and_after_a_rate_that_was_set() {
    let mut in_force = InForce::new(steps());
    let start = Instant::now();
    in_force.begin(start, S / 2, 10 * S);
    let at = |us| start + Duration::from_micros(us);
    assert_eq!([0, S / 2].map(|us| in_force.rate(at(us)).micro() / S), [100, 1_000]);
    assert_eq!(in_force.due(at(S)), 50 + 500 + 1);
    let wanted = Wanted { rate: "7".parse().unwrap(), lease: Duration::from_secs(1), step: "other".to_owned() };
    in_force.set(at(0), wanted).unwrap();
    assert_eq!(in_force.rate(at(S / 2)).micro() / S, 7);
    in_force.unset(at(S)).unwrap();
    assert_eq!(in_force.rate(at(S)).micro() / S, 1_000);
}

#[test]
fn a_sending_thread_that_hangs_is_not_given_ever_more_to_follow() {
    let mut loader = Simulated::begin("100", u64::MAX);
    let set = (0..100).map(|number| loader.set(f64::from(number + 1), "a", 60));
    let refused = set.filter(Result::is_err).collect::<Vec<_>>();
    assert_eq!(refused, vec![Err(Refused::Busy); 100 - PENDING]);
    loader.turn();
    assert_eq!(loader.set(500.0, "a", 60), Ok(()));
}

proptest! {
    /// Whatever is set, renewed, deleted or left to expire, and however late the sending thread turns: segments join without
    /// a gap, and every sale that was due was handed over, not offered, or is still behind.
    #[test]
    fn no_sale_is_counted_twice_or_not_at_all(
        steps in proptest::collection::vec((0u64..4 * S, 0u8..5, 0u32..2_000, 1u64..4), 1..40)
    ) {
        let mut loader = Simulated::begin("50", 60 * S);
        for (passed, action, rate, lease) in steps {
            match action {
                0 => loader.turn_until(loader.now_us + passed),
                1 => loader.now_us += passed,
                2 => drop(loader.set(f64::from(rate), "a", lease)),
                3 => drop(loader.in_force.unset(loader.now())),
                _ => {}
            }
            loader.turn();
            let (not_offered, behind) = (loader.not_offered, loader.schedule.behind(loader.now_us));
            prop_assert_eq!(not_offered, loader.schedule.not_offered());
            prop_assert_eq!(loader.schedule.next() + not_offered + behind, loader.in_force.due(loader.now()));
            let view = loader.view();
            let segment = view.segment.unwrap();
            prop_assert_eq!(segment.due, segment.handed_over + behind);
            if let Some(previous) = view.previous {
                prop_assert_eq!(previous.due, previous.handed_over + previous.not_offered);
                prop_assert!(previous.t0_us <= segment.t0_us);
            }
        }
    }
}
