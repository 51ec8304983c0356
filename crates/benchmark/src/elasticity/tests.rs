use super::*;
use crate::judge::Met::{No, Unknown, Yes};
use crate::judge::samples::{LIMIT, RATE, healthy, histogram, report, snapshot};

fn terms() -> Terms {
    Terms { offered: RATE, latency_limit: LIMIT, swings: BTreeMap::new(), mix: BTreeMap::new() }
}

/// Looks at a healthy pipeline at 2 s, 32 s and 62 s after the jump, each changed by the test. Returns the two windows.
fn watched(change: impl Fn(u64, &mut Snapshot)) -> (Watch, Vec<Seen>) {
    let look = |at| {
        let mut look = snapshot(at);
        change(at, &mut look);
        look
    };
    let mut watch = Watch::new(30.0, 2.0, look(0));
    let mut windows = Vec::new();
    let mut seconds = healthy().seconds.into_iter();
    for at in [30, 60] {
        for (n, second) in seconds.by_ref().take(30).enumerate() {
            watch.second((at - 30) as f64 + 2.5 + n as f64, Some(second));
        }
        windows.extend(watch.look((at + 2) as f64, look(at)));
    }
    (watch, windows)
}

#[test]
fn windows_follow_one_another_and_the_first_begins_with_the_jump() {
    let (_, windows) = watched(|_, _| {});
    assert_eq!(windows.iter().map(|seen| seen.from).collect::<Vec<_>>(), [0.0, 32.0]);
    for seen in &windows {
        assert_eq!((seen.window.seconds.len(), seen.window.asked), (30, 30));
        let judged = judge(&seen.window, &terms());
        assert!(holds(&judged, &terms()), "{judged:?}");
    }
}

#[test]
fn sales_that_are_still_on_their_way_are_not_late() {
    let (_, windows) = watched(|_, look| look.state.stages.iter_mut().for_each(|stage| stage.lag = Some(900)));
    assert!(holds(&judge(&windows[0].window, &terms()), &terms()));
}

#[test]
fn nothing_holds_before_the_backlog_is_gone() {
    let (_, mut windows) = watched(|_, _| {});
    let window = &mut windows[0].window;
    // It shrinks from two seconds' worth to nothing.
    for (n, second) in window.seconds.iter_mut().enumerate() {
        second.state.stages.iter_mut().for_each(|stage| stage.lag = Some(2_000 - n as u64 * 66));
    }
    let judged = judge(window, &terms());
    assert_eq!(judged.outcome, Outcome::Held);
    assert!(!holds(&judged, &terms()) && wrong(&judged).unwrap().name.starts_with("lag"));
}

#[test]
fn a_new_pod_counts_and_breaks_no_condition() {
    let (watch, windows) = watched(|at, look| {
        if at == 60 {
            let mut new = look.reports.iter().find(|it| it.component == "etl-postgres").unwrap().clone();
            new.report.pod = "postgres-b".to_owned();
            new.report.counters = [("stored".to_owned(), 700)].into();
            new.report.latencies.insert("stored".to_owned(), histogram(&[(50, 700)]));
            look.reports.push(new);
        }
    });
    let judged = watch.since_jump(judge(&windows[1].window, &terms()), &terms());
    assert_eq!(judged.outcome, Outcome::Held, "{judged:?}");
    let stored = judged.latencies.iter().find(|latency| latency.stage == "stored").unwrap();
    assert_eq!(stored.percentiles.n, 30_700);
}

#[test]
fn loaders_that_were_late_after_the_jump_spoil_a_later_window() {
    let (watch, windows) = watched(|at, look| {
        // Late in the first half minute alone.
        let late = if at == 0 { 0 } else { 3_000 };
        let loader = report(look, "loader");
        let sent = loader.counters["sent"];
        loader.latencies.insert("schedule_lag".to_owned(), histogram(&[(1, sent - late), (500, late)]));
    });
    let judged = judge(&windows[1].window, &terms());
    assert_eq!(judged.outcome, Outcome::Held, "{judged:?}");
    let judged = watch.since_jump(judged, &terms());
    assert_eq!(judged.outcome, Outcome::Invalid);
    assert_eq!(judged.distrust().unwrap().name, "loaders on schedule");
}

const JUMP: Jump = Jump { from: 500.0, to: 4_000.0, within_seconds: 600.0 };

fn recovery(seconds: Option<f64>) -> Recovery {
    let pods = |n| BTreeMap::from([("etl-fan-out".to_owned(), 1), ("etl-postgres".to_owned(), n)]);
    Recovery {
        seconds,
        window_seconds: 60.0,
        broken: Some(Criterion::new("p99", "1000 ms", "4.1 s", Met::No)),
        before: pods(1),
        after: pods(3),
        scaled: Vec::new(),
    }
}

fn audited(findings: Met, done: Met) -> Audit {
    Audit {
        findings: Criterion::new("findings", "0", "3 lost at stored", findings),
        done: Criterion::new("auditor abreast", "nothing left", "9 records left", done),
        stages: Vec::new(),
    }
}

#[test]
fn the_verdict_is_about_the_time_and_trust_comes_first() {
    let held = judge(&healthy(), &terms());
    let (mut broken, mut late, mut restarted) = (held.clone(), held.clone(), held.clone());
    broken.levels[0].met = Met::No;
    late.trust[0].met = Met::No;
    let same_pods = restarted.trust.iter_mut().find(|it| it.name == SAME_PODS).unwrap();
    (same_pods.met, same_pods.measured) = (Met::No, "postgres-a restarted".to_owned());
    let mut unknown = held.clone();
    unknown.levels[1].met = Met::Unknown;
    let (in_time, never) = (recovery(Some(85.0)), recovery(None));
    let verdict = |recovery, judged, findings, done| decide(&JUMP, recovery, judged, &audited(findings, done));
    for (recovery, judged, findings, done, expected, says) in [
        (
            &in_time,
            &held,
            Yes,
            Yes,
            Verdict::Pass,
            "held again 1m25s after the jump from 500 to 4,000 sales/s, for 1m00s",
        ),
        (&in_time, &held, Yes, No, Verdict::Invalid, "not abreast"),
        (&in_time, &held, No, Yes, Verdict::Fail, "3 lost at stored"),
        (&in_time, &late, Yes, Yes, Verdict::Invalid, "loaders on schedule"),
        (&never, &broken, Yes, No, Verdict::Fail, "did not hold again within 10m00s of the jump"),
        (&never, &late, Yes, Yes, Verdict::Invalid, "loaders on schedule"),
        (&never, &restarted, Yes, Unknown, Verdict::Fail, "postgres-a restarted"),
        (&never, &unknown, Yes, Yes, Verdict::Invalid, "lag not growing"),
    ] {
        let decision = verdict(recovery, judged, findings, done);
        assert_eq!(decision.verdict, expected, "{decision:?}");
        assert!(decision.reason.contains(says), "{decision:?}");
        assert_eq!(decision.remedy.is_some(), expected == Verdict::Invalid, "{decision:?}");
    }
}

#[test]
fn what_scaled_is_told_and_what_did_not_is_not() {
    assert_eq!(recovery(None).pods().unwrap(), "etl-postgres from 1 to 3 pods");
    let mut same = recovery(Some(0.0));
    same.after.clone_from(&same.before);
    assert_eq!(same.pods(), None);
    let changed =
        changes(&recovery(None).before, &recovery(None).after).map(|(role, n)| (role.clone(), n)).collect::<Vec<_>>();
    assert_eq!(changed, [("etl-postgres".to_owned(), 3)]);
}
