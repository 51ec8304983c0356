//! The ledger as others see it: stages, load, instances, resources.

use std::time::Instant;

use service::reported::loader::{BLOCKED, RATE, SCHEDULE_LAG, SENT};
use service::state::{Findings, Instance, Kafka, Load, Percentiles, Received, Shares, Stage, State, Use};
use service::{Merged, unix_us};

use crate::config::LOADER;
use crate::lag;
use crate::ledger::Ledger;
use crate::usage;

/// Puts all that programs and Kafka report together, as it is now.
pub(crate) fn state(ledger: &Ledger, kafka: Option<Kafka>, now: Instant) -> State {
    State {
        at_us: unix_us(),
        stages: stages(ledger, now),
        load: load(ledger, now),
        instances: instances(ledger, now),
        resources: resources(ledger, now),
        kafka,
        findings: findings(ledger, now),
        ..State::default()
    }
}

/// What the auditor has found; none while it doesn't answer.
pub(crate) fn findings(ledger: &Ledger, now: Instant) -> Option<Findings> {
    ledger.audit.as_ref()?.findings(now)
}

/// The stages that this installation has. The counter and the latency in a component's report have the stage's name.
pub(crate) fn stages(ledger: &Ledger, now: Instant) -> Vec<Stage> {
    pipeline::Stage::ALL
        .into_iter()
        .filter(|stage| ledger.targets.has(stage.component()))
        .map(|stage| {
            let of_it: Vec<_> = ledger.of(stage.component(), now).collect();
            let stale = of_it.iter().filter(|answered| answered.is_none_or(|it| it.is_stale(now))).count();
            let ages = of_it.iter().flatten().map(|it| it.age(now).as_secs_f64());
            Stage {
                name: stage.name().to_owned(),
                after: stage.after().map(|before| before.name().to_owned()),
                store: stage.place().store().map(|store| store.name().to_owned()),
                component: stage.component().to_owned(),
                sales: ledger.total(stage.component(), stage.name()),
                rate: ledger.rate(stage.component(), stage.name(), now),
                lag: lag::of(ledger, stage, now),
                audited: ledger.audit.as_ref().and_then(|audit| audit.of(stage.name(), now)),
                time: busiest(ledger, stage.component(), now),
                ceiling: ceiling(ledger, stage, now),
                latency: ledger.latency(stage.component(), stage.name()).and_then(Merged::percentiles),
                recent: recent(ledger, stage.component(), stage.name()),
                age_seconds: ages.reduce(f64::max),
                instances: of_it.len(),
                stale,
            }
        })
        .collect()
}

/// The last report of every instance.
pub(crate) fn reports(ledger: &Ledger, now: Instant) -> Vec<Received> {
    ledger
        .instances(now)
        .filter_map(|(component, socket, _, answered)| {
            let answered = answered?;
            Some(Received {
                component: component.to_owned(),
                address: socket.to_string(),
                age_seconds: answered.age(now).as_secs_f64(),
                report: answered.report.clone(),
            })
        })
        .collect()
}

fn load(ledger: &Ledger, now: Instant) -> Option<Load> {
    ledger.targets.has(LOADER).then(|| Load {
        asked: asked(ledger, now).map(|(_, rate)| rate).reduce(|all, one| all + one),
        sent: ledger.rate(LOADER, SENT, now),
        schedule_lag: recent(ledger, LOADER, SCHEDULE_LAG),
        blocked: recent(ledger, LOADER, BLOCKED),
    })
}

/// Sales per second that each loader that reports was asked for, by pod.
pub(crate) fn asked(ledger: &Ledger, now: Instant) -> impl Iterator<Item = (&str, f64)> {
    ledger
        .of(LOADER, now)
        .flatten()
        .filter(move |it| !it.is_stale(now))
        .filter_map(|it| Some((it.report.pod.as_str(), *it.report.gauges.get(RATE)?)))
}

fn instances(ledger: &Ledger, now: Instant) -> Vec<Instance> {
    ledger
        .instances(now)
        .map(|(component, socket, address, answered)| {
            let mut instance = Instance {
                component: component.to_owned(),
                address: socket.to_string(),
                stale: true,
                error: address.error.clone(),
                ..Instance::default()
            };
            if let Some(answered) = answered {
                let report = &answered.report;
                instance.pod = Some(report.pod.clone());
                instance.node = Some(report.node.clone());
                instance.incarnation = Some(report.incarnation);
                instance.sequence = Some(report.sequence);
                instance.age_seconds = Some(answered.age(now).as_secs_f64());
                instance.stale = answered.is_stale(now);
                instance.clock = answered.clock.best();
                instance.counters.clone_from(&report.counters);
                instance.gauges.clone_from(&report.gauges);
            }
            instance
        })
        .collect()
}

/// What the pods use of their limits, the nearest to its limit first.
pub(crate) fn resources(ledger: &Ledger, now: Instant) -> Vec<Use> {
    let mut uses: Vec<Use> = ledger
        .instances(now)
        .filter_map(|(component, _, _, answered)| Some((component, answered?)))
        .flat_map(|(component, answered)| usage::of(component, answered, answered.is_stale(now)))
        .collect();
    uses.sort_by(|a, b| b.ratio.total_cmp(&a.ratio));
    uses
}

/// How the instance that waits least for input spends its time.
fn busiest(ledger: &Ledger, component: &str, now: Instant) -> Option<Shares> {
    Shares::busiest(
        ledger.of(component, now).flatten().filter(|it| !it.is_stale(now)).filter_map(|it| it.window.time()),
    )
}

/// What all instances together could do; of those that report where their time goes and didn't only wait.
fn ceiling(ledger: &Ledger, stage: pipeline::Stage, now: Instant) -> Option<f64> {
    ledger
        .of(stage.component(), now)
        .flatten()
        .filter(|it| !it.is_stale(now))
        .filter_map(|it| it.window.time()?.ceiling(it.window.rate(stage.name())?))
        .reduce(|all, one| all + one)
}

fn recent(ledger: &Ledger, component: &str, latency: &str) -> Option<Percentiles> {
    ledger.recent(component, latency)?.percentiles()
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use service::Spent;

    use super::*;
    use crate::config::Targets;
    use crate::samples::report;

    fn flow() -> (Ledger, Instant) {
        let start = Instant::now();
        let targets = "loader=l:1,etl-fan-out=f:1,etl-postgres=p:1".to_owned();
        let mut ledger = Ledger::new(Targets::try_from(targets).unwrap());
        for (n, component) in ["loader", "etl-fan-out", "etl-postgres"].into_iter().enumerate() {
            ledger.resolved(component, &[address(n)], start);
        }
        (ledger, start)
    }

    fn address(n: usize) -> SocketAddr {
        format!("10.0.0.{n}:8080").parse().unwrap()
    }

    #[test]
    fn each_stage_says_what_it_comes_after_and_in_which_store_it_is() {
        let (ledger, start) = flow();
        let stages = stages(&ledger, start);
        let places: Vec<_> = stages.iter().map(|stage| (stage.after.as_deref(), stage.store.as_deref())).collect();
        assert_eq!(places, [(None, None), (Some("accepted"), None), (Some("routed"), Some("postgres"))]);
    }

    #[test]
    fn what_was_never_heard_is_absent_and_not_zero() {
        let (ledger, start) = flow();
        let state = state(&ledger, None, start);
        let names: Vec<_> = state.stages.iter().map(|stage| stage.name.as_str()).collect();
        assert_eq!(names, ["accepted", "routed", "stored"]);
        for stage in &state.stages {
            assert_eq!((stage.sales, stage.rate, stage.lag, stage.age_seconds), (None, None, None, None));
            assert_eq!((stage.instances, stage.stale), (1, 1));
        }
        assert!(state.instances.iter().all(|instance| instance.stale && instance.age_seconds.is_none()));
    }

    /// Kafka says that nothing is left before any stage.
    fn caught_up(ledger: &mut Ledger, now: Instant) {
        let left = ["fan-out", "postgres"].map(|role| (role.to_owned(), 0)).into();
        lag::observe(ledger, &left, Duration::ZERO, now);
    }

    fn count(ledger: &mut Ledger, second: u64, start: Instant, counts: [u64; 3]) {
        let stages = [("loader", "accepted"), ("etl-fan-out", "routed"), ("etl-postgres", "stored")];
        for (n, ((component, counter), count)) in stages.into_iter().zip(counts).enumerate() {
            let report = report("a", 1, second, &[(counter, count)]);
            ledger.reported(component, address(n), report, start + Duration::from_secs(second)).unwrap();
        }
    }

    #[test]
    fn lag_is_accepted_minus_found_at_every_stage() {
        let (mut ledger, start) = flow();
        count(&mut ledger, 0, start, [0, 0, 0]);
        let lags = |ledger: &Ledger, now| stages(ledger, now).iter().map(|stage| stage.lag).collect::<Vec<_>>();
        assert_eq!(lags(&ledger, start), [Some(0), None, None], "unknown until Kafka says what is left");
        caught_up(&mut ledger, start);
        count(&mut ledger, 1, start, [30_000, 20_000, 10_000]);
        let now = start + Duration::from_secs(1);
        assert_eq!(lags(&ledger, now), [Some(0), Some(10_000), Some(20_000)], "of all that was accepted");
    }

    #[test]
    fn while_a_loader_does_not_report_the_lag_is_absent() {
        let (mut ledger, start) = flow();
        count(&mut ledger, 0, start, [0, 0, 0]);
        caught_up(&mut ledger, start);
        let later = start + Duration::from_secs(9);
        ledger.reported("etl-fan-out", address(1), report("a", 1, 9, &[("routed", 0)]), later).unwrap();
        assert_eq!(stages(&ledger, later)[1].lag, None);
    }

    #[test]
    fn what_the_auditor_says_changes_no_figure_of_the_pipeline() {
        let start = Instant::now();
        let mut ledger = flow().0;
        count(&mut ledger, 0, start, [0, 0, 0]);
        caught_up(&mut ledger, start);
        count(&mut ledger, 1, start, [900, 890, 880]);
        let now = start + Duration::from_secs(1);
        let figures =
            |ledger: &Ledger, now| stages(ledger, now).iter().map(|stage| (stage.sales, stage.lag)).collect::<Vec<_>>();
        let without = figures(&ledger, now);
        assert_eq!(without[2], (Some(880), Some(20)));
        let account = r#"{"stages": {"stored": {"found": 500, "late": 390, "lost": 1}}}"#;
        ledger.audited(serde_json::from_str(account).unwrap(), now);
        assert_eq!(figures(&ledger, now), without);
        let audited = service::state::Audited { found: 500, late: 390, lost: 1 };
        assert_eq!(stages(&ledger, now)[2].audited, Some(audited));
    }

    #[test]
    fn a_stale_rate_is_absent_and_the_total_stays() {
        let (mut ledger, start) = flow();
        for second in 0..5 {
            let report = report("a", 1, second, &[("routed", second * 7)]);
            ledger.reported("etl-fan-out", address(1), report, start + Duration::from_secs(second)).unwrap();
        }
        let routed = |seconds| stages(&ledger, start + Duration::from_secs(seconds)).swap_remove(1);
        assert_eq!((routed(4).sales, routed(4).rate, routed(4).stale), (Some(28), Some(7.0), 0));
        assert_eq!((routed(20).sales, routed(20).rate, routed(20).stale), (Some(28), None, 1));
        assert_eq!(routed(20).age_seconds, Some(16.0));
    }

    #[test]
    fn a_ceiling_is_what_a_stage_would_do_without_waiting_for_input() {
        let (mut ledger, start) = flow();
        for second in 0..4 {
            let mut report = report("a", 1, second, &[("routed", second * 100)]);
            let spent = Spent { input_us: second * 750_000, kafka_us: second * 250_000, ..Spent::default() };
            report.threads.insert("sales".to_owned(), spent);
            ledger.reported("etl-fan-out", address(1), report, start + Duration::from_secs(second)).unwrap();
        }
        let stages = stages(&ledger, start + Duration::from_secs(3));
        assert_eq!((stages[1].rate, stages[1].ceiling), (Some(100.0), Some(400.0)));
        let expected = Shares { waiting_for_input: 0.75, waiting_for_kafka: 0.25, ..Shares::default() };
        assert_eq!(stages[1].time, Some(expected));
        assert_eq!((stages[2].time, stages[2].ceiling), (None, None), "of what says nothing nothing is known");
    }

    #[test]
    fn asked_is_the_sum_of_the_loaders_that_report() {
        let (mut ledger, start) = flow();
        ledger.resolved("loader", &[address(7)], start);
        for (n, rate) in [(0, 10.0), (7, 20.5)] {
            let mut report = report(&format!("loader-{n}"), 1, 1, &[]);
            report.gauges.insert(RATE.to_owned(), rate);
            ledger.reported("loader", address(n), report, start).unwrap();
        }
        assert_eq!(load(&ledger, start).unwrap().asked, Some(30.5));
        assert_eq!(load(&ledger, start + Duration::from_secs(9)).unwrap().asked, None);
    }
}
