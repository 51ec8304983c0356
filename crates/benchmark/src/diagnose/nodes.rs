//! Rows 2, 3 and 13: what pods share with all that is on their nodes.

use super::case::Case;
use super::cause::{Cause, Resource};
use super::evidence::{Node, Pod};
use super::peers::outlier;
use super::signal::{Signal, number};
use super::thresholds::{EXPLAINED, NODE_IDLE, RETRANSMITS, ROUND_TRIP_TIMES, RUN_QUEUE, STEAL, STRONGEST, THROTTLED};

/// A share of a node's CPU that nobody of ours uses: somebody else does.
const OTHERS: f64 = 0.25;

/// A machine without idle CPU, on which several of our pods wait for one and none is at its limit. As a rule it is one node;
/// several are on one where clusters are made of containers.
pub(super) fn full(case: &Case) -> Vec<Cause> {
    let failed = &case.evidence.failed;
    let found = failed.machines().into_iter().filter_map(|nodes| {
        let node = nodes.iter().find(|node| node.idle.is_some())?;
        // Another node's pods may use these CPUs as well.
        if node.machine.is_none() && failed.nodes.len() > 1 {
            return None;
        }
        let idle = node.idle.filter(|idle| *idle < NODE_IDLE && node.steal.is_none_or(|steal| steal < STEAL))?;
        let is_on_it = |pod: &&Pod| nodes.iter().any(|node| node.name == pod.node);
        let on_it: Vec<&Pod> = failed.pods.iter().filter(is_on_it).collect();
        let waits = |pod: &&&Pod| case.signal(pod, |pod| pod.run_queue).rose_beyond(RUN_QUEUE);
        let waiting: Vec<&&Pod> = on_it.iter().filter(waits).collect();
        let is_throttled = on_it.iter().any(|pod| pod.throttled.is_some_and(|share| share >= THROTTLED));
        let is_suspect = waiting.iter().any(|pod| case.suspects().any(|suspect| suspect == pod.component));
        if waiting.len() < 2 || is_throttled || !is_suspect {
            return None;
        }
        let largest =
            on_it.iter().filter(|pod| pod.cpu_cores.is_some()).max_by(|a, b| cores(a).total_cmp(&cores(b)))?;
        let because = format!(
            "{} had {} % idle, and {} of our pods on it waited for a CPU",
            written(&nodes),
            number(idle * 100.0),
            waiting.len()
        );
        let cause = case.cause(2, &largest.component, Resource::NodeCpu, STRONGEST).at(largest);
        Some(match by_others(node, &on_it) {
            Some(others) => Cause {
                pod: None,
                // Nobody can tell on which of several it runs.
                node: (nodes.len() == 1).then(|| node.name.clone()),
                component: case.component().to_owned(),
                ..cause
            }
            .because(format!("{because}; somebody else used {} of its CPUs", number(others)))
            .advise(if nodes.len() == 1 {
                "move what else runs on that node away, or keep this release off it with nodeSelector or affinity"
            } else {
                "move what else runs on that machine away; on another of its nodes the CPUs are the same"
            }),
            None => cause
                .because(format!("{because}; {} used most of it, {} CPUs", largest.pod, number(cores(largest))))
                .advise(if nodes.len() == 1 {
                    "more or larger nodes, or spread the pods further; raising a limit only takes CPU from another pod"
                } else {
                    "a larger machine, or nodes on more of them; raising a limit only takes CPU from another pod"
                }),
        })
    });
    found.collect()
}

fn cores(pod: &Pod) -> f64 {
    pod.cpu_cores.unwrap_or(0.0)
}

/// The machine, by its nodes.
fn written(nodes: &[&Node]) -> String {
    let names: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
    match &names[..] {
        [name] => (*name).to_owned(),
        [names @ .., last] => format!("the machine of {} and {last}", names.join(", ")),
        [] => String::new(),
    }
}

/// CPUs of a machine that others than our pods use, if that is much and can be told.
fn by_others(node: &Node, on_it: &[&Pod]) -> Option<f64> {
    let all = node.cores? * (1.0 - node.idle?);
    let ours = on_it.iter().map(|pod| pod.cpu_cores).sum::<Option<f64>>()?;
    Some(all - ours).filter(|others| *others > OTHERS * all)
}

/// The host under a node takes CPU away.
pub(super) fn stolen(case: &Case) -> Vec<Cause> {
    let failed = &case.evidence.failed;
    let is_suspect = |node: &str| case.suspects().any(|suspect| failed.pods(suspect).any(|pod| pod.node == node));
    let found = failed.nodes.iter().filter(|node| is_suspect(&node.name)).filter_map(|node| {
        let steal = Signal::of(case.evidence, |moment| moment.node(&node.name)?.steal);
        steal.rose_beyond(STEAL).then(|| Cause {
            node: Some(node.name.clone()),
            ..case
                .cause(3, case.component(), Resource::Host, STRONGEST)
                .because(format!("the host of {} took {} away", node.name, steal.written(100.0, "% of its CPU")))
                .advise("no value of this chart helps: use nodes with dedicated CPUs, or another host")
        })
    });
    found.collect()
}

/// A pod to which all is further than to its peers, or than it was at rest, though it has CPU.
pub(super) fn network<'a>(case: &Case<'a>) -> Vec<Cause> {
    let explained = case.time.map_or(0.0, |time| time.kafka + time.store);
    if explained < EXPLAINED {
        return Vec::new();
    }
    let far = |pod: &'a Pod| {
        let has_cpu =
            pod.throttled.is_some_and(|share| share < THROTTLED) && pod.run_queue.is_none_or(|share| share < RUN_QUEUE);
        let trip = case.signal(pod, |pod| pod.round_trip_ms);
        let again = case.signal(pod, |pod| pod.retransmits);
        let times = trip.failed.zip(trip.quiet).map(|(failed, quiet)| failed / quiet);
        let is_far = times.is_some_and(|times| times >= ROUND_TRIP_TIMES);
        let strength = if is_far { times.unwrap_or(0.0) / ROUND_TRIP_TIMES } else { 0.0 };
        let resent = if again.rose_beyond(RETRANSMITS) { again.strength(RETRANSMITS) } else { 0.0 };
        let strength = strength.max(resent);
        (has_cpu && strength > 0.0).then_some((pod, trip, again, strength.min(STRONGEST) * explained))
    };
    let suspects: Vec<&'a Pod> = case.suspects().flat_map(|component| case.pods(component)).collect();
    let trips: Vec<(&str, f64)> =
        suspects.iter().filter_map(|pod| Some((pod.pod.as_str(), pod.round_trip_ms?))).collect();
    let out_of_line = outlier(&trips);
    let mut found: Vec<_> = suspects.iter().filter_map(|pod| far(pod)).collect();
    // Everybody is far from one that is far: only that one is named.
    if let Some(pod) = out_of_line.filter(|name| found.iter().any(|(pod, ..)| pod.pod == *name)) {
        found.retain(|(other, ..)| other.pod == pod);
    }
    let worst = found.into_iter().max_by(|(.., a), (.., b)| a.total_cmp(b));
    let cause = worst.map(|(pod, trip, again, strength)| {
        let again = again.failed.map_or_else(String::new, |_| format!(", and it sent {} again", again.written(100.0, "% of its segments")));
        case.cause(13, &pod.component, Resource::Network, strength)
            .at(pod)
            .because(format!("round trips of {} to its peers took {}{again}", pod.pod, trip.written(1.0, "ms")))
            .advise("the network of its node is the limit: no value of this chart raises that; use a node with a faster link, \
                     or keep the pods together with affinity")
    });
    cause.into_iter().collect()
}
