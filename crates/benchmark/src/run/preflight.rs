//! What can be seen before a run: whether all that is needed is there.

use service::reported::loader::CEILING;
use service::state::{Instance, State};

use crate::diagnose::Installation;
use crate::verdict::Decision;

const LOADER: &str = pipeline::Stage::Accepted.component();

/// The addresses of all loaders; or why the run can't begin, yet or at all.
pub(super) fn check(state: &State, installation: &Installation) -> Result<Vec<String>, Decision> {
    let loaders: Vec<&Instance> = state.instances.iter().filter(|instance| instance.component == LOADER).collect();
    let wanted = installation.replicas.get(LOADER).map(|n| *n as usize);
    if loaders.is_empty() || wanted == Some(0) {
        return Err(Decision::could_not_run("there is no loader", installation.upgrade("loader.replicas=1")));
    }
    if let Some(wanted) = wanted.filter(|wanted| *wanted != loaders.len()) {
        return Err(Decision::could_not_run(
            format!("{} of {wanted} loaders are there", loaders.len()),
            "wait until all pods run, and look at those that do not: kubectl get pods",
        ));
    }
    for (component, wanted) in &installation.replicas {
        let there = state.instances.iter().filter(|instance| instance.component == *component).count();
        // Servers are seen by their probes, which not every installation has.
        if there < *wanted as usize && component.starts_with("etl-") {
            return Err(Decision::could_not_run(
                format!("{there} of {wanted} pods of {component} are there"),
                "wait until all pods run, and look at those that do not: kubectl get pods",
            ));
        }
    }
    let on_the_way = |instance: &&Instance| state.stages.iter().any(|stage| stage.component == instance.component);
    if let Some(silent) = state.instances.iter().filter(on_the_way).find(|instance| instance.stale) {
        let pod = silent.pod.as_deref().unwrap_or(&silent.address);
        let why = silent.error.as_deref().map_or_else(String::new, |why| format!(": {why}"));
        return Err(Decision::could_not_run(
            format!("{pod} ({}) does not report{why}", silent.component),
            format!("look at its log and events: kubectl describe pod {pod}"),
        ));
    }
    if state.stages.len() < 2 {
        return Err(Decision::could_not_run(
            "there is no stage after the first",
            "enable a store: postgres.enabled=true or redis.enabled=true",
        ));
    }
    if let Some(kafka) = state.kafka.as_ref().filter(|kafka| kafka.leaderless > 0) {
        return Err(Decision::could_not_run(
            format!("{} partitions have no leader", kafka.leaderless),
            "wait until all brokers are ready, and look at those that are not: kubectl get pods",
        ));
    }
    Ok(loaders.into_iter().map(|loader| loader.address.clone()).collect())
}

/// Sales per second that the loaders can make and hand over, all together; none while one of them can't tell.
pub(super) fn ceiling(state: &State) -> Option<f64> {
    let loaders = state.instances.iter().filter(|instance| instance.component == LOADER && !instance.stale);
    let each = loaders.map(|loader| loader.gauges.get(CEILING).copied().filter(|ceiling| *ceiling > 0.0));
    each.reduce(|all, one| Some(all? + one?)).flatten()
}

/// The loaders can't offer enough for a target.
pub(super) fn too_few(most: f64, wanted: f64, loaders: usize, installation: &Installation) -> Decision {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of pods")]
    let needed = (wanted / (most / loaders as f64)).ceil() as u64;
    Decision::could_not_run(
        format!("the loaders can offer {most:.0} sales/s, and {wanted:.0} are needed: 1.5 times the target"),
        installation.upgrade(&format!("loader.replicas={needed}")),
    )
}

#[cfg(test)]
mod tests {
    use service::state::{Kafka, Stage};

    use super::*;

    fn state() -> State {
        let stage = |name: &str, component: &str| Stage {
            name: name.to_owned(),
            component: component.to_owned(),
            ..Stage::default()
        };
        let instance = |component: &str, ceiling: f64| Instance {
            component: component.to_owned(),
            address: format!("{component}:8080"),
            gauges: [(CEILING.to_owned(), ceiling)].into(),
            ..Instance::default()
        };
        State {
            stages: vec![stage("accepted", "loader"), stage("stored", "etl-postgres")],
            instances: vec![instance("loader", 900.0), instance("loader", 600.0), instance("etl-postgres", 0.0)],
            ..State::default()
        }
    }

    fn installation(loaders: u32) -> Installation {
        Installation {
            release: "kapture".to_owned(),
            namespace: "perf-test".to_owned(),
            chart: "./charts/kapture".to_owned(),
            replicas: [("loader".to_owned(), loaders), ("etl-postgres".to_owned(), 1)].into(),
            ..Installation::default()
        }
    }

    fn refused(change: impl FnOnce(&mut State)) -> Decision {
        let mut state = state();
        change(&mut state);
        check(&state, &installation(2)).unwrap_err()
    }

    #[test]
    fn a_run_begins_when_all_is_there() {
        assert_eq!(check(&state(), &installation(2)).unwrap(), ["loader:8080", "loader:8080"]);
        assert_eq!(ceiling(&state()), Some(1_500.0));
    }

    #[test]
    fn what_is_missing_is_named_with_what_to_do() {
        let no_loader = refused(|state| state.instances.drain(..2).for_each(drop));
        assert_eq!(no_loader.reason, "there is no loader");
        let remedy =
            "helm upgrade kapture ./charts/kapture -n perf-test --reset-then-reuse-values --set loader.replicas=1";
        assert_eq!(no_loader.remedy.as_deref(), Some(remedy));
        assert_eq!(refused(|state| drop(state.instances.remove(0))).reason, "1 of 2 loaders are there");
        assert_eq!(refused(|state| drop(state.instances.remove(2))).reason, "0 of 1 pods of etl-postgres are there");
        let silent = refused(|state| {
            state.instances[2].stale = true;
            state.instances[2].error = Some("no answer".to_owned());
        });
        assert_eq!(silent.reason, "etl-postgres:8080 (etl-postgres) does not report: no answer");
        assert_eq!(refused(|state| state.stages.truncate(1)).reason, "there is no stage after the first");
        let leaderless = refused(|state| state.kafka = Some(Kafka { leaderless: 3, ..Kafka::default() }));
        assert_eq!(leaderless.reason, "3 partitions have no leader");
    }

    #[test]
    fn loaders_that_are_too_weak_are_counted() {
        let decision = too_few(1_500.0, 4_000.0, 2, &installation(2));
        assert!(decision.remedy.unwrap().ends_with("--set loader.replicas=6"));
        let mut untold = state();
        untold.instances[1].gauges.clear();
        assert_eq!(ceiling(&untold), None);
    }
}
