//! Steps that went well but for one thing.

use std::collections::BTreeMap;

use service::reported::loader::LATE_THROTTLED;
use service::state::Clock;

use super::samples::{LIMIT, RATE, healthy, histogram, report, state};
use super::*;

fn judged(window: &Window) -> Judged {
    judge(window, &Terms { offered: RATE, latency_limit: LIMIT, swings: BTreeMap::new(), mix: BTreeMap::new() })
}

/// The step with one thing changed.
fn with(change: impl FnOnce(&mut Window)) -> Judged {
    let mut window = healthy();
    change(&mut window);
    judged(&window)
}

fn failed_by(judged: &Judged) -> (&str, &str) {
    assert_eq!(judged.outcome, Outcome::Failed, "{judged:#?}");
    let broken = judged.broken().unwrap();
    (&broken.name, &broken.measured)
}

fn invalid_by(judged: &Judged) -> (&str, &str) {
    assert_eq!(judged.outcome, Outcome::Invalid, "{judged:#?}");
    let distrust = judged.distrust().unwrap();
    assert!(distrust.met == Met::Unknown || distrust.remedy.is_some(), "it tells what to do: {distrust:?}");
    (&distrust.name, &distrust.measured)
}

#[test]
fn a_step_that_went_well_held() {
    let judged = judged(&healthy());
    assert_eq!(judged.outcome, Outcome::Held, "{judged:#?}");
    assert_eq!((judged.sent, judged.delivered), (Some(1_000.0), Some(1_000.0)));
    let worst = judged.worst().unwrap();
    assert_eq!(
        (worst.percentiles.n, worst.missing, worst.late),
        (60_000, Some(0), Some(0.0)),
        "only the sales of the step"
    );
    assert!((49_900..50_100).contains(&worst.percentiles.p99_us.unwrap()));
    assert!(judged.levels.iter().all(|level| level.met == Met::Yes), "{:#?}", judged.levels);
    assert_eq!(judged.drain_seconds, Some(5.0));
}

#[test]
fn the_p99_to_the_worst_store_counts_and_is_named() {
    let slow = |late| {
        with(|window| {
            let latencies = histogram(&[(50, 65_000 - late), (3_000, late)]);
            report(&mut window.drained, "etl-redis").latencies.insert("cached".to_owned(), latencies);
        })
    };
    assert_eq!(failed_by(&slow(601)), ("p99 from due to each store", "3000 ms to cached of 60000 sales"));
    assert_eq!(slow(600).outcome, Outcome::Held, "one in a hundred may be late");
}

#[test]
fn a_slow_stage_alone_does_not_fail_a_step() {
    let judged = with(|window| {
        report(&mut window.drained, "etl-fan-out").latencies.insert("routed".to_owned(), histogram(&[(3_000, 65_000)]));
    });
    assert_eq!(judged.outcome, Outcome::Held);
}

#[test]
fn a_sale_that_did_not_arrive_is_late() {
    let judged = with(|window| {
        report(&mut window.drained, "etl-postgres").latencies.insert("stored".to_owned(), histogram(&[(50, 55_000)]));
        window.drained.state.stages[3].lag = Some(10_000);
    });
    assert_eq!(
        failed_by(&judged),
        ("p99 from due to each store", "more than was measured to stored of 50000 sales, 10000 not arrived")
    );
}

#[test]
fn a_lag_that_grows_by_more_than_a_hundredth_of_the_rate_fails() {
    let growing = |slope: f64| {
        with(|window| {
            for (at, second) in (0_u32..).zip(&mut window.seconds) {
                let lag = second.state.stages[3].lag.as_mut().unwrap();
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of sales")]
                let more = (slope * f64::from(at)) as u64;
                *lag += more;
            }
        })
    };
    assert_eq!(failed_by(&growing(12.0)), ("lag not growing", "stored: it grows by 12 sales/s"));
    assert_eq!(growing(8.0).outcome, Outcome::Held);
}

#[test]
fn a_lag_above_the_latency_limit_fails_though_it_does_not_grow() {
    let judged = with(|window| {
        for second in &mut window.seconds {
            second.state.stages[1].lag = Some(1_500);
        }
    });
    assert_eq!(failed_by(&judged), ("lag not growing", "routed: 1500 sales are 1.5 s of what arrives"));
}

#[test]
fn one_partition_that_falls_behind_fails_though_the_sum_holds() {
    let judged = with(|window| {
        for (at, second) in (0..).zip(&mut window.seconds) {
            second.partitions.as_mut().unwrap()[0].lag = 7 + at * 15;
        }
    });
    assert_eq!(failed_by(&judged), ("lag not growing", "postgres sales.ca/0: it grows by 15 sales/s"));
}

#[test]
fn a_partition_may_be_behind_by_the_limit_and_what_its_position_and_chance_hide() {
    let judged = |lag: u64, per_second: f64| {
        with(|window| {
            for (at, second) in (0..).zip(&mut window.seconds) {
                let partition = &mut second.partitions.as_mut().unwrap()[0];
                partition.lag = lag;
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few sales")]
                let end = (f64::from(at) * per_second) as u64;
                partition.end = Some(end);
            }
        })
    };
    // A small state's, as on a cluster at 43/s where nothing was late.
    assert_eq!(judged(2, 0.2).outcome, Outcome::Held);
    assert_eq!(judged(1, 0.05).outcome, Outcome::Held);
    // As in a step at 464/s, after which 605/s held.
    assert_eq!(judged(6, 0.4).outcome, Outcome::Held);
    assert_eq!(
        failed_by(&judged(8, 0.2)),
        ("lag not growing", "postgres sales.ca/0: 8 sales are 40.0 s of what arrives")
    );
    // A large one's: 240 in two seconds, and a little more than four times the 15 of chance.
    assert_eq!(judged(305, 120.0).outcome, Outcome::Held);
    let late = judged(310, 120.0);
    assert_eq!(failed_by(&late), ("lag not growing", "postgres sales.ca/0: 310 sales are 2.6 s of what arrives"));
}

#[test]
fn what_swings_as_it_did_when_it_held_does_not_grow() {
    let mut window = healthy();
    for (at, second) in (0..).zip(&mut window.seconds) {
        second.state.stages[3].lag = Some(100 + at * 11);
    }
    let terms = |swing| Terms {
        offered: RATE,
        latency_limit: LIMIT,
        swings: [("stored".to_owned(), swing)].into(),
        mix: BTreeMap::new(),
    };
    assert_eq!(judge(&window, &terms(0.0)).outcome, Outcome::Failed);
    assert_eq!(judge(&window, &terms(0.7)).outcome, Outcome::Held);
}

#[test]
fn in_a_short_step_a_sample_at_the_top_of_the_swing_is_no_growth() {
    // Much as on a cluster at 1,260/s, where nothing grew.
    let mut window = healthy();
    window.seconds.truncate(10);
    window.asked = 10;
    let seen = [230, 410, 180, 350, 260, 420, 190, 300, 410, 520];
    for (second, lag) in window.seconds.iter_mut().zip(seen) {
        second.state.stages[3].lag = Some(lag);
    }
    let swings = BTreeMap::from([("stored".to_owned(), 0.25)]);
    let terms = Terms { offered: RATE, latency_limit: LIMIT, swings, mix: BTreeMap::new() };
    let broken = |window: &Window| {
        let lags = judge(window, &terms).lags;
        lags.into_iter().find(|lag| lag.of == "stored").unwrap().broken
    };
    assert_eq!(broken(&window), None);
    for (at, second) in (0..).zip(&mut window.seconds) {
        second.state.stages[3].lag = Some(200 + at * 40);
    }
    assert_eq!(broken(&window), Some("it grows by 40 sales/s".to_owned()));
}

#[test]
fn a_few_sales_more_at_a_low_rate_are_noise() {
    let mut window = healthy();
    window.seconds.truncate(10);
    window.asked = 10;
    for (at, second) in (0..).zip(&mut window.seconds) {
        // Steeper than 1 % of 100/s, and never more than a tenth of a second of it.
        second.state.stages[3].lag = Some(2 + at);
    }
    let terms = Terms { offered: 100.0, latency_limit: LIMIT, swings: BTreeMap::new(), mix: BTreeMap::new() };
    assert!(judge(&window, &terms).lags.iter().all(|lag| lag.of != "stored" || lag.broken.is_none()));
    for (at, second) in (0..).zip(&mut window.seconds) {
        second.state.stages[3].lag = Some(2 + at * 2);
    }
    assert!(judge(&window, &terms).lags.iter().any(|lag| lag.of == "stored" && lag.broken.is_some()));
}

#[test]
fn a_lag_that_is_absent_is_unknown_and_not_zero() {
    let judged = with(|window| {
        for second in window.seconds.iter_mut().step_by(5) {
            second.state.stages[3].lag = None;
        }
    });
    assert_eq!(invalid_by(&judged), ("lag not growing", "? (the lag at stored was absent too often)"));
}

#[test]
fn a_finding_or_an_error_fails() {
    let found = with(|window| {
        window.drained.state.findings.as_mut().unwrap().counts[0].findings = 2;
    });
    assert_eq!(failed_by(&found), ("findings", "2 lost at stored"));
    let errors = with(|window| {
        *report(&mut window.drained, "etl-redis").counters.get_mut("store_errors").unwrap() += 4;
    });
    assert_eq!(failed_by(&errors), ("errors", "4 store errors in redis-a"));
}

#[test]
fn a_step_does_not_wait_for_the_auditor() {
    let judged = with(|window| window.drained.state.findings = None);
    assert_eq!(judged.outcome, Outcome::Held);
    assert_eq!(judged.levels[3].met, Met::Unknown);
}

fn late(own: bool) -> Judged {
    with(|window| {
        let loader = report(&mut window.drained, "loader");
        loader.latencies.insert("schedule_lag".to_owned(), histogram(&[(1, 60_000), (200, 5_000)]));
        if !own {
            loader.latencies.insert("blocked".to_owned(), histogram(&[(200, 5_000)]));
            loader.counters.insert("blocked_us".to_owned(), 2_000_000);
        }
    })
}

#[test]
fn a_loader_late_for_its_own_reasons_makes_it_invalid_and_one_that_kafka_blocked_fails_it() {
    assert_eq!(invalid_by(&late(true)), ("loaders on schedule", "8.33 % late, 0.00 % not sent by own fault"));
    assert_eq!(
        failed_by(&late(false)),
        ("Kafka takes what is due", "8.33 % late and 0.00 % not sent while it took no more")
    );
}

#[test]
fn a_loader_at_its_cpu_limit_makes_it_invalid() {
    let throttled = with(|window| {
        report(&mut window.end, "loader").resources.as_mut().unwrap().cpu_throttled_us = Some(1_200_000);
    });
    assert_eq!(invalid_by(&throttled).0, "loaders not throttled");
    let busy = with(|window| {
        report(&mut window.end, "loader").resources.as_mut().unwrap().cpu_usage_us = Some(27_000_000);
    });
    assert_eq!(invalid_by(&busy), ("loaders not throttled", "loader-0: throttled 0.00 %, CPU 90 % of its limit"));
    let crowded = |late_ms| {
        with(|window| {
            let loader = report(&mut window.drained, "loader");
            loader.latencies.insert("schedule_lag".to_owned(), histogram(&[(1, 60_000), (late_ms, 5_000)]));
            loader.counters.insert(LATE_THROTTLED.to_owned(), 5_000);
            report(&mut window.begin, "loader").counters.insert(LATE_THROTTLED.to_owned(), 0);
        })
    };
    assert_eq!(crowded(20).outcome, Outcome::Held, "a wait for a CPU that is too short to be seen in the latencies");
    let text = "8.33 % late, 0.00 % not sent by own fault, mostly while waiting for a CPU";
    assert_eq!(invalid_by(&crowded(200)), ("loaders on schedule", text));
    let unknown = with(|window| report(&mut window.end, "loader").resources = None);
    assert_eq!(unknown.outcome, Outcome::Held);
    assert_eq!(unknown.trust[1].met, Met::Unknown, "what can't be read is said, and is not 0");
}

#[test]
fn why_a_loader_was_late_is_not_taken_from_another() {
    let judged = with(|window| {
        let lag = |ms| histogram(&[(1, 60_000), (ms, 5_000)]);
        report(&mut window.drained, "loader").latencies.insert("schedule_lag".to_owned(), lag(200));
        for snapshot in [&mut window.begin, &mut window.end, &mut window.drained] {
            report(snapshot, "loader").counters.insert(LATE_THROTTLED.to_owned(), 0);
            let mut other = snapshot.reports.iter().find(|it| it.component == "loader").unwrap().clone();
            other.report.pod = "loader-1".to_owned();
            snapshot.reports.push(other);
        }
        let other = &mut window.drained.reports.last_mut().unwrap().report;
        other.latencies.insert("schedule_lag".to_owned(), lag(20));
        other.counters.insert(LATE_THROTTLED.to_owned(), 5_000);
    });
    assert_eq!(invalid_by(&judged), ("loaders on schedule", "8.33 % late, 0.00 % not sent by own fault"));
}

#[test]
fn a_load_that_was_not_planned_as_asked_makes_it_invalid() {
    let judged = with(|window| {
        *report(&mut window.end, "loader").counters.get_mut("due").unwrap() -= 3_000;
    });
    assert_eq!(invalid_by(&judged), ("load as asked", "950 sales/s due"));
}

#[test]
fn clocks_that_differ_make_it_invalid() {
    let apart = |offset_us| {
        with(|window| {
            window.drained.state.instances[3].clock = Some(Clock { offset_us, error_us: 1_000 });
        })
    };
    assert_eq!(invalid_by(&apart(80_000)), ("clocks agree", "78.5 ms at least between loader-0 and postgres-a"));
    assert_eq!(invalid_by(&apart(-80_000)).0, "clocks agree");
    assert_eq!(apart(40_000).outcome, Outcome::Held);
    assert_eq!(with(|window| window.drained.state.instances[0].clock = None).trust[4].met, Met::Unknown);
}

#[test]
fn latencies_below_zero_make_it_invalid() {
    let judged = with(|window| {
        report(&mut window.drained, "etl-redis").latencies.get_mut("cached").unwrap().negative = 100;
    });
    assert_eq!(invalid_by(&judged).0, "latencies below zero");
}

#[test]
fn missing_reports_make_it_invalid() {
    let stale = with(|window| {
        for second in window.seconds.iter_mut().step_by(8) {
            second.state.instances[2].age_seconds = Some(4.0);
        }
    });
    assert_eq!(invalid_by(&stale), ("reports complete", "13 % of redis-a"));
    let silent = with(|window| window.seconds.truncate(55));
    assert_eq!(silent.outcome, Outcome::Held);
    let silent = with(|window| {
        window.asked = 61;
        window.seconds.retain(|second| second.state.at_us % 8_000_000 != 0);
        for second in &mut window.seconds {
            second.state.instances[1].stale = second.state.at_us < 0;
        }
    });
    assert_eq!(invalid_by(&silent), ("reports complete", "13 % of the exporter"));
}

#[test]
fn a_restart_makes_it_invalid() {
    let restarted = with(|window| report(&mut window.drained, "etl-postgres").incarnation = 2);
    assert_eq!(invalid_by(&restarted).0, "the same pods throughout");
    assert!(invalid_by(&restarted).1.contains("postgres-a restarted"));
    let gone = with(|window| {
        window.drained.reports.remove(2);
    });
    assert!(gone.trust.iter().any(|it| it.measured == "redis-a disappeared"), "{gone:#?}");
    assert_eq!(gone.outcome, Outcome::Invalid);
}

#[test]
fn too_many_sales_of_unknown_fate_make_it_invalid() {
    let unknown = |n| {
        with(|window| {
            report(&mut window.drained, "loader").counters.insert("unknown".to_owned(), n);
        })
    };
    assert_eq!(unknown(60).outcome, Outcome::Held);
    assert_eq!(invalid_by(&unknown(61)), ("sales of unknown fate", "61 of 60000 (0.10 %)"));
}

#[test]
fn a_missed_mix_makes_it_invalid() {
    let mix = [("load_skew", 0.0)].into();
    let terms = Terms { offered: RATE, latency_limit: LIMIT, swings: BTreeMap::new(), mix };
    let mut window = healthy();
    report(&mut window.end, "loader").gauges.insert("load_skew".to_owned(), 100.0);
    assert_eq!(invalid_by(&judge(&window, &terms)).0, "mix and skew as asked");
}

#[test]
fn a_component_that_says_nothing_is_unknown_and_not_zero() {
    let judged = with(|window| {
        for snapshot in [&mut window.begin, &mut window.end, &mut window.drained] {
            snapshot.reports.retain(|it| it.component != "etl-postgres");
        }
    });
    assert_eq!(invalid_by(&judged), ("p99 from due to each store", "? (no latency to stored)"));
    assert_eq!(judged.delivered, None);
}

#[test]
fn the_auditor_must_be_done_at_the_end_of_the_run() {
    let (begin, mut end) = (state(0), state(9));
    let (findings, done) = audit(&begin, &end);
    assert_eq!((findings.met, done.met), (Met::Yes, Met::Yes));
    end.findings.as_mut().unwrap().backlog = Some(400);
    let done = audit(&begin, &end).1;
    assert_eq!((done.met, done.measured.as_str()), (Met::No, "400 records left"));
    assert!(done.remedy.unwrap().contains("auditor.resources.limits.cpu"));
    end.findings.as_mut().unwrap().backlog = None;
    assert_eq!(audit(&begin, &end).1.met, Met::Unknown);
    end.findings = None;
    assert_eq!((audit(&begin, &end).0.met, audit(&begin, &end).1.met), (Met::Unknown, Met::Unknown));
}
