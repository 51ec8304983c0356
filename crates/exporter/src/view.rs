//! The ledger as others see it: stages, load, instances, resources.

use std::time::Instant;

use service::state::{Instance, Kafka, Load, Received, Stage, State, Use};
use service::unix_us;

use crate::ledger::{Incarnation, Ledger};
use crate::merged::Merged;
use crate::usage;

/// A place where every sale must come by, and who counts the sales there. The counter and the latency in that
/// component's report have the stage's name.
pub(crate) struct Place {
    pub(crate) stage: &'static str,
    pub(crate) component: &'static str,
}

/// In the order of the flow. The first is what the others are compared with.
pub(crate) const PLACES: [Place; 5] = [
    Place { stage: "accepted", component: LOADER },
    Place { stage: "routed", component: "etl-fan-out" },
    Place { stage: "cached", component: "etl-redis" },
    Place { stage: "stored", component: "etl-postgres" },
    Place { stage: "returned", component: "etl-spout" },
];

pub(crate) const LOADER: &str = "loader";
const AUDITOR: &str = "auditor";

/// Puts everything together as it is now.
pub(crate) fn state(ledger: &Ledger, kafka: Option<Kafka>, now: Instant) -> State {
    State {
        at_us: unix_us(),
        stages: stages(ledger, now),
        load: load(ledger, now),
        instances: instances(ledger, now),
        resources: resources(ledger, now),
        kafka,
    }
}

/// The stages that this installation has.
pub(crate) fn stages(ledger: &Ledger, now: Instant) -> Vec<Stage> {
    let accepted = ledger.total(PLACES[0].component, PLACES[0].stage);
    let offered = rate(ledger, PLACES[0].component, PLACES[0].stage, now);
    PLACES
        .iter()
        .filter(|place| ledger.targets.has(place.component))
        .map(|place| {
            let counted = ledger.total(place.component, place.stage);
            let audited = |what: &str| audited(ledger, &format!("{}_{what}", place.stage), now);
            let of_it: Vec<_> = of(ledger, place.component).collect();
            let stale = of_it.iter().filter(|answered| answered.is_none_or(|it| it.is_stale(now))).count();
            let ages = of_it.iter().flatten().map(|it| it.age(now).as_secs_f64());
            Stage {
                name: place.stage.to_owned(),
                component: place.component.to_owned(),
                sales: audited("found").or(counted),
                rate: rate(ledger, place.component, place.stage, now),
                lag: audited("late")
                    .or_else(|| accepted.zip(counted).and_then(|(accepted, found)| lag(accepted, found, offered))),
                latency: ledger.latency(place.component, place.stage).and_then(Merged::percentiles),
                recent: recent(ledger, place.component, place.stage),
                age_seconds: ages.reduce(f64::max),
                instances: of_it.len(),
                stale,
            }
        })
        .collect()
}

/// Sales accepted and not found, by the programs' own counters: for want of an auditor.
///
/// Found is polled first, but a sale may be found before its loader has heard that it was accepted: a little below
/// zero is zero. Far below, accepted sales were never reported, since a loader was killed or the exporter came later
/// than the load: then nobody knows.
fn lag(accepted: u64, found: u64, offered: Option<f64>) -> Option<u64> {
    let early = found.saturating_sub(accepted) as f64;
    (early <= offered.unwrap_or(0.0) * SKEW_SECONDS + SKEW_SALES).then(|| accepted.saturating_sub(found))
}

/// How much later than others a loader may report: two polls.
const SKEW_SECONDS: f64 = 2.0;
/// A batch, when the load has just begun.
const SKEW_SALES: f64 = 100.0;

/// What the auditor says of a stage: its account outlives the programs, as their counters do not.
fn audited(ledger: &Ledger, gauge: &str, now: Instant) -> Option<u64> {
    let auditor = of(ledger, AUDITOR).flatten().find(|it| !it.is_stale(now))?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the auditor counts sales")]
    auditor.report.gauges.get(gauge).map(|count| *count as u64)
}

/// The last report of every instance.
pub(crate) fn reports(ledger: &Ledger, now: Instant) -> Vec<Received> {
    ledger
        .instances()
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
        asked: of(ledger, LOADER)
            .flatten()
            .filter(|it| !it.is_stale(now))
            .filter_map(|it| it.report.gauges.get("rate").copied())
            .reduce(|all, one| all + one),
        sent: rate(ledger, LOADER, "sent", now),
        schedule_lag: recent(ledger, LOADER, "schedule_lag"),
        blocked: recent(ledger, LOADER, "blocked"),
    })
}

fn instances(ledger: &Ledger, now: Instant) -> Vec<Instance> {
    ledger
        .instances()
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
        .instances()
        .filter_map(|(component, _, _, answered)| Some((component, answered?)))
        .flat_map(|(component, answered)| usage::of(component, answered, answered.is_stale(now)))
        .collect();
    uses.sort_by(|a, b| b.ratio.total_cmp(&a.ratio));
    uses
}

fn of<'a>(ledger: &'a Ledger, component: &str) -> impl Iterator<Item = Option<&'a Incarnation>> {
    ledger.instances().filter(move |(other, ..)| *other == component).map(|(_, _, _, answered)| answered)
}

/// The sum of what the instances that report have counted per second; none if none of them does.
fn rate(ledger: &Ledger, component: &str, counter: &str, now: Instant) -> Option<f64> {
    of(ledger, component)
        .flatten()
        .filter(|it| !it.is_stale(now))
        .filter_map(|it| it.window.rate(counter))
        .reduce(|all, one| all + one)
}

fn recent(ledger: &Ledger, component: &str, latency: &str) -> Option<service::state::Percentiles> {
    ledger.recent(component, latency)?.percentiles()
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

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

    #[test]
    fn lag_is_accepted_minus_found_and_never_negative() {
        let (mut ledger, start) = flow();
        let counts = [("loader", "accepted", 100), ("etl-fan-out", "routed", 90), ("etl-postgres", "stored", 101)];
        for (n, (component, counter, count)) in counts.into_iter().enumerate() {
            ledger.received(component, address(n), report("a", 1, 1, &[(counter, count)]), start).unwrap();
        }
        let lags: Vec<_> = stages(&ledger, start).iter().map(|stage| stage.lag).collect();
        assert_eq!(lags, [Some(0), Some(10), Some(0)]);
    }

    #[test]
    fn the_auditor_knows_better_than_counters_that_began_anew() {
        let start = Instant::now();
        let targets = "loader=l:1,etl-postgres=p:1,auditor=a:1".to_owned();
        let mut ledger = Ledger::new(Targets::try_from(targets).unwrap());
        for (n, component) in ["loader", "etl-postgres", "auditor"].into_iter().enumerate() {
            ledger.resolved(component, &[address(n)], start);
        }
        ledger.received("loader", address(0), report("l", 1, 1, &[("accepted", 900)]), start).unwrap();
        ledger.received("etl-postgres", address(1), report("p", 1, 1, &[("stored", 10)]), start).unwrap();
        let mut account = report("a", 1, 1, &[]);
        account.gauges = [("stored_found".to_owned(), 890.0), ("stored_late".to_owned(), 10.0)].into();
        ledger.received("auditor", address(2), account, start).unwrap();
        let stored = &stages(&ledger, start)[1];
        assert_eq!((stored.sales, stored.lag), (Some(890), Some(10)));
    }

    #[test]
    fn a_lag_that_the_counts_cannot_tell_is_absent() {
        assert_eq!(lag(1_000, 1_300, Some(200.0)), Some(0), "heard before the loader was");
        assert_eq!(lag(1_000, 5_000, Some(200.0)), None, "sales that nobody reported as accepted");
        assert_eq!(lag(1_000, 1_101, None), None);
    }

    #[test]
    fn a_stale_rate_is_absent_and_the_total_stays() {
        let (mut ledger, start) = flow();
        for second in 0..5 {
            let report = report("a", 1, second, &[("routed", second * 7)]);
            ledger.received("etl-fan-out", address(1), report, start + Duration::from_secs(second)).unwrap();
        }
        let routed = |seconds| stages(&ledger, start + Duration::from_secs(seconds)).swap_remove(1);
        assert_eq!((routed(4).sales, routed(4).rate, routed(4).stale), (Some(28), Some(7.0), 0));
        assert_eq!((routed(20).sales, routed(20).rate, routed(20).stale), (Some(28), None, 1));
        assert_eq!(routed(20).age_seconds, Some(16.0));
    }

    #[test]
    fn asked_is_the_sum_of_the_loaders_that_report() {
        let (mut ledger, start) = flow();
        ledger.resolved("loader", &[address(7)], start);
        for (n, rate) in [(0, 10.0), (7, 20.5)] {
            let mut report = report(&format!("loader-{n}"), 1, 1, &[]);
            report.gauges.insert("rate".to_owned(), rate);
            ledger.received("loader", address(n), report, start).unwrap();
        }
        assert_eq!(load(&ledger, start).unwrap().asked, Some(30.5));
        assert_eq!(load(&ledger, start + Duration::from_secs(9)).unwrap().asked, None);
    }
}
