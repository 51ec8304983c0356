use kafka::blocks::{LoadRecord, Via};
use petstore::Parameters;

use super::*;
use crate::account::Owner;

fn account() -> Account {
    let load = LoadRecord { began_at_us: 0, micro_rate: 1, length_us: 1, shape: 0, via: Via::Kafka };
    Account::new(Owner { run: 1, loader: 0, incarnation: 1, parameters: Parameters::default(), load }, 0)
}

fn begun(rate: &str) -> Load {
    let load = Load::new(rate.parse::<Rate>().unwrap(), Metrics::default());
    load.open(account(), Span { left: Duration::MAX, ..Span::default() });
    load.begin();
    load
}

fn wanted(rate: &str) -> Wanted {
    Wanted { rate: rate.parse().unwrap(), lease: Duration::from_secs(10), step: "a".to_owned() }
}

#[test]
fn nothing_is_due_before_the_load_begins() {
    let rate: Rate = "1000000".parse().unwrap();
    let load = Load::new(rate, Metrics::default());
    assert_eq!(load.figures().counters["due"], 0);
    assert_eq!(load.figures().segment, None);
    assert!(!load.is_over(), "nobody knows");
    load.open(account(), Span { left: Duration::MAX, ..Span::default() });
    load.begin();
    assert!(load.figures().counters["due"] >= 1);
    assert!(load.figures().segment.unwrap().t0_us > 0);
}

#[test]
fn what_has_no_answer_is_in_flight() {
    let load = Load::new("1".parse::<Rate>().unwrap(), Metrics::default());
    load.metrics.sent.inc_by(5);
    load.metrics.accepted.inc_by(2);
    load.metrics.unknown.inc();
    assert!((load.figures().gauges["in_flight"] - 2.0).abs() < f64::EPSILON);
}

#[test]
fn a_sale_keeps_the_due_time_that_it_was_handed_over_with() {
    let load = begun("1");
    let clock = load.begin();
    let mut account = load.account().unwrap();
    account.reserve(0.0, 0);
    account.begin(0, 0);
    drop(account);
    let mut schedule = load.schedule(CatchUp::default());
    let mut due = Vec::new();
    for rate in ["3", "0.5", "700"] {
        for _ in 0..3 {
            due.push(schedule.next_due_at());
            schedule.sent();
        }
        load.set_rate(wanted(rate)).unwrap();
        assert!(load.follow(&mut schedule, clock, clock.elapsed_us()));
        assert!(!load.follow(&mut schedule, clock, clock.elapsed_us()));
    }
    let told = (0..due.len() as u64).map(|number| load.due_at(number).unwrap()).collect::<Vec<_>>();
    assert_eq!(told, due);
}

#[test]
fn segments_whose_sales_all_have_their_answer_are_forgotten() {
    let load = begun("1");
    let clock = load.begin();
    let mut schedule = load.schedule(CatchUp::default());
    for number in 1..500 {
        load.set_rate(wanted(&number.to_string())).unwrap();
        load.follow(&mut schedule, clock, clock.elapsed_us());
        schedule.sent();
    }
    assert!(load.unanswered.read().unwrap().len() <= 2, "no block is open, so nothing is in flight");
}

#[test]
fn the_configured_rate_is_told_apart_from_the_one_in_force() {
    let load = begun("100");
    load.set_rate(wanted("7")).unwrap();
    let figures = load.figures();
    assert_eq!((figures.gauges["rate"], figures.gauges["configured_rate"]), (7.0, 100.0));
    assert_eq!((load.rate().micro(), load.configured_rate().micro()), (7_000_000, 100_000_000));
    let segment = figures.segment.unwrap();
    assert_eq!((segment.rate, segment.step.as_deref()), (7.0, Some("a")));
    load.unset_rate().unwrap();
    assert!((load.figures().gauges["rate"] - 100.0).abs() < f64::EPSILON);
}

#[test]
fn a_thread_that_waits_is_woken_by_another_rate() {
    let load = begun("1");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let since = Instant::now();
            load.wait(Duration::from_mins(1));
            since.elapsed()
        });
        load.set_rate(wanted("7")).unwrap();
        assert!(waiting.join().unwrap() < Duration::from_secs(30));
    });
    let since = Instant::now();
    load.wait(Duration::from_mins(1));
    assert!(since.elapsed() < Duration::from_secs(30), "it was set before, and is not followed yet");
}

#[test]
fn what_is_due_when_the_loader_stops_is_not_offered() {
    let load = begun("1000000");
    let schedule = load.schedule(CatchUp::default());
    while load.figures().counters["due"] < 10 {}
    load.end(crate::in_force::STOPPING, &schedule);
    let counters = load.figures().counters;
    assert!(counters["not_offered"] >= 10);
    assert_eq!(counters["not_offered"], counters["due"]);
    assert_eq!(load.in_force().ended, Some(crate::in_force::STOPPING));
}
