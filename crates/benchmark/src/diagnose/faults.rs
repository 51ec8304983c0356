//! Rows 0 and 1: the instrument itself, and what broke.

use pipeline::Stage;

use super::case::{Case, LOADER};
use super::cause::{Cause, Change, Resource, mebibytes, values_of};
use super::limits::raised;
use super::signal::number;
use super::thresholds::THROTTLED;

/// A volume with less free is full.
const DISK_FREE: f64 = 0.02;
/// Redis refuses writes when this much of its memory is used.
const REDIS_FULL: f64 = 0.98;

/// A loader was at its own CPU limit, and Kafka did not block it.
pub(super) fn loader(case: &Case) -> Vec<Cause> {
    let blocked = case.evidence.failed.stage(Stage::Accepted.name()).and_then(|stage| stage.lag_grows);
    let Some((pod, signal)) = case.worst(LOADER, THROTTLED, |pod| pod.throttled).filter(|_| blocked != Some(true))
    else {
        return Vec::new();
    };
    let cause = case
        .cause(0, LOADER, Resource::CpuLimit, signal.strength(THROTTLED))
        .at(pod)
        .because(format!("{} was throttled in {}", pod.pod, signal.written(100.0, "% of its periods")))
        .advise(
            "raise the CPU limit of the loaders, or spread the load over more of them; the cluster was not measured",
        );
    let change = raised(pod).map(|(from, to)| Change::new("loader.resources.limits.cpu", Some(from), to));
    vec![Cause { change, ..cause }]
}

/// Something was restarted, was killed, is full or lacks copies.
pub(super) fn fault(case: &Case) -> Vec<Cause> {
    let failed = &case.evidence.failed;
    let happened = |value: Option<f64>| value.is_some_and(|n| n > 0.0);
    for pod in &failed.pods {
        let values = values_of(&pod.component);
        if happened(pod.oom_kills) {
            let limit = pod.memory_limit;
            let to = limit.map(|limit| mebibytes(limit * 2.0));
            let cause = case
                .cause(1, &pod.component, Resource::Memory, 1.0)
                .at(pod)
                .because(format!("{} ran out of memory and a process of it was killed", pod.pod))
                .advise("raise its memory limit, and measure again: a cluster that breaks has no capacity");
            let value = format!("{values}.resources.limits.memory");
            let change = to.map(|to| Change::new(value, limit.map(mebibytes), to));
            return vec![Cause { change, ..cause }];
        }
        if let Some(free) = pod.disk_free.filter(|free| *free < DISK_FREE) {
            let size = case.evidence.installation.volumes.get(&pod.component).cloned();
            return vec![
                case.cause(1, &pod.component, Resource::Volume, 1.0)
                    .at(pod)
                    .because(format!("the volume of {} is full: {} % free", pod.pod, number(free * 100.0)))
                    .advise("install with a larger volume, or keep less of the data")
                    .change(Change::only_at_install(format!("{values}.persistence.size"), size, None)),
            ];
        }
    }
    if let Some(memory) = failed.redis.as_ref().and_then(|redis| redis.memory).filter(|memory| *memory >= REDIS_FULL) {
        let limit = failed.pods("redis").find_map(|pod| pod.memory_limit);
        let cause = case
            .cause(1, "redis", Resource::Memory, 1.0)
            .because(format!(
                "Redis uses {} % of maxmemory, and refuses writes when it is full",
                number(memory * 100.0)
            ))
            .advise("raise its memory limit, which maxmemory follows, or set redis.maxMemory");
        let change = limit
            .map(|limit| Change::new("redis.resources.limits.memory", Some(mebibytes(limit)), mebibytes(limit * 2.0)));
        return vec![Cause { change, ..cause }];
    }
    if let Some(pod) = failed.pods.iter().find(|pod| happened(pod.restarts)) {
        return vec![
            case.cause(1, &pod.component, Resource::Fault, 1.0)
                .at(pod)
                .because(format!("{} was restarted in the step", pod.pod))
                .advise(format!("look at kubectl describe pod {0} and kubectl logs --previous {0}", pod.pod)),
        ];
    }
    if let Some(partitions) = failed.under_min_isr.filter(|n| *n > 0) {
        return vec![
            case.cause(1, "kafka", Resource::Fault, 1.0)
                .because(format!("{partitions} partitions had fewer copies in sync than an acknowledgement needs"))
                .advise("look at the brokers' logs for the one that fell out of sync, and measure again"),
        ];
    }
    Vec::new()
}
