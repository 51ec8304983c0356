//! Row 4: a pod at its CPU limit. It comes before the rows below, since a throttled pod disguises itself as every other wait.

use super::case::{Case, KAFKA, WEBAPP};
use super::cause::{Cause, Change, Resource, millicores, values_of};
use super::evidence::Pod;
use super::signal::Signal;
use super::thresholds::{EXPLAINED, FSYNC_MS, RTT_MS, SESSIONS, STRONGEST, TARGET_USE, THROTTLED};

/// Pods of the stage's own component, of the shop before it, of Kafka, or of its store, each weighted by the time that it explains.
pub(super) fn throttled(case: &Case) -> Vec<Cause> {
    case.suspects()
        .filter_map(|component| {
            let explained = explained(case, component);
            if explained < EXPLAINED {
                return None;
            }
            let (pod, signal) = case.worst(component, THROTTLED, |pod| pod.throttled)?;
            let strength = signal.strength(THROTTLED).min(STRONGEST) * explained;
            Some(cause(case, component, pod, &signal, strength))
        })
        .collect()
}

fn cause(case: &Case, component: &str, pod: &Pod, signal: &Signal, strength: f64) -> Cause {
    let because =
        format!("{} was kept waiting by its CPU limit in {}", pod.pod, signal.written(100.0, "% of its periods"));
    if !fits(case, component, pod) {
        return case
            .cause(2, component, Resource::NodeCpu, strength)
            .at(pod)
            .because(format!("{because}, and its node has no more CPU to give"))
            .advise("more or larger nodes: raising the limit alone would take the CPU from others");
    }
    let value = format!("{}.resources.limits.cpu", values_of(component));
    let change = raised(pod).map(|(from, to)| Change::new(value, Some(from), to));
    let advice = if change.is_some() {
        "it needs more CPU than it may use"
    } else {
        "raise its CPU limit; how much it used can't be read"
    };
    let cause = case.cause(4, component, Resource::CpuLimit, strength).at(pod).because(because).advise(advice);
    Cause { change, ..cause }
}

/// Share of the stage's time that a component's CPU explains.
fn explained(case: &Case, component: &str) -> f64 {
    // A loader that waits for the shop can't tell it from Kafka behind it.
    if matches!(component, KAFKA | WEBAPP) {
        return case.on_kafka();
    }
    if Some(component) == case.store() {
        return case.on_store(component);
    }
    // What waits for someone who waits for it in turn is throttled while it waits.
    let postgres_waits =
        case.evidence.failed.postgres.as_ref().and_then(|it| it.client).is_some_and(|it| it >= SESSIONS);
    let store = if postgres_waits { case.on_store("postgres") } else { 0.0 };
    let brokers_are_quick = case.all_below(KAFKA, RTT_MS, |pod| pod.rtt_ms)
        && case.all_below(KAFKA, THROTTLED, |pod| pod.throttled)
        && case.pods(KAFKA).all(|pod| pod.fsync_ms.is_none_or(|ms| ms < FSYNC_MS));
    let kafka = if brokers_are_quick { case.on_kafka() } else { 0.0 };
    case.on_work() + store + kafka
}

/// The CPU limit as the chart takes it, as it is and as it should be; none if usage or limit are not known.
pub(super) fn raised(pod: &Pod) -> Option<(String, String)> {
    let (from, to) = limits(pod)?;
    Some((millicores(from), millicores(to)))
}

fn limits(pod: &Pod) -> Option<(f64, f64)> {
    let (used, limit) = (pod.cpu_cores?, pod.cpu_limit?);
    let wanted = (used / TARGET_USE).max(limit * 1.25);
    // Rounded up to tenths, but not for the last bit of a quotient.
    Some((limit, (wanted * 10.0 - 1e-6).ceil() / 10.0))
}

/// Share of a node's CPU that is idle if it has some to give, though nobody knows how much is wanted.
const IDLE_ENOUGH: f64 = 0.1;

/// Whether the pod's node has the CPU that is advised, for all of the component's pods on it. Of a node of which nothing is
/// known this is assumed.
fn fits(case: &Case, component: &str, pod: &Pod) -> bool {
    let Some(node) = case.evidence.failed.node(&pod.node) else { return true };
    let Some((idle, (from, to))) = node.idle.zip(node.cores).map(|(idle, cores)| idle * cores).zip(limits(pod)) else {
        return node.idle.is_none_or(|idle| idle >= IDLE_ENOUGH);
    };
    let is_beside = |peer: &&Pod| case.evidence.failed.node(&peer.node).is_some_and(|it| it.shares_machine_with(node));
    let peers = case.evidence.failed.pods(component).filter(is_beside).count();
    // A tenth of a CPU is what a node does besides.
    idle + 0.1 >= (to - from) * peers as f64
}
