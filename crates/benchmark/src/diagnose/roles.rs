//! Rows 5, 6, 7 and 15: the stage's own work, its pods and the partitions that it shares out.

use super::case::Case;
use super::cause::{Cause, Change, Resource, values_of};
use super::evidence::{PartitionSeen, Pod};
use super::signal::number;
use super::thresholds::{EXPLAINED, HOT, RUN_QUEUE, THREAD, THROTTLED};

const FAN_OUT: &str = "etl-fan-out";
/// One key in a partition is hot if it is this much of it: more partitions would not part it.
const ONE_KEY: f64 = 0.5;

/// One thread a fan-out is full, and there are partitions for more of them.
pub(super) fn fan_out_core(case: &Case) -> Vec<Cause> {
    if case.component() != FAN_OUT {
        return Vec::new();
    }
    let Some((pod, busy)) = full(case) else { return Vec::new() };
    let Some(allowed) = Allowed::of(case) else { return Vec::new() };
    // With as many fan-outs as partitions row 6 fits instead.
    let partitions = case.evidence.installation.sales_partitions.filter(|partitions| *partitions > allowed.pods);
    let Some(partitions) = partitions else { return Vec::new() };
    vec![more_replicas(case, 5, pod, busy, &allowed, Some(partitions))]
}

/// A sink or a spout at one core a pod.
pub(super) fn sink_core(case: &Case) -> Vec<Cause> {
    let is_other = case.component() != FAN_OUT && case.component().starts_with("etl-");
    if !is_other {
        return Vec::new();
    }
    let Some((pod, busy)) = full(case) else { return Vec::new() };
    let Some(allowed) = Allowed::of(case) else { return Vec::new() };
    vec![more_replicas(case, 15, pod, busy, &allowed, None)]
}

/// How many pods of the stage's role there may be.
pub(super) struct Allowed {
    /// The value that says so, within those of the role.
    value: &'static str,
    pods: u32,
    /// An autoscaler has not made use of all of them.
    is_unused: bool,
}

impl Allowed {
    pub(super) fn of(case: &Case) -> Option<Self> {
        let (installation, component) = (&case.evidence.installation, case.component());
        if let Some(most) = installation.max_replicas.get(component).copied() {
            let is_unused = case.pods(component).count() < most as usize;
            return Some(Self { value: "autoscaling.maxReplicas", pods: most, is_unused });
        }
        let replicas = installation.replicas.get(component).copied()?;
        Some(Self { value: "replicas", pods: replicas, is_unused: false })
    }

    /// The cause with what to change: twice as many pods, but no more than `most`.
    pub(super) fn double(&self, case: &Case, cause: Cause, most: Option<u32>) -> Cause {
        let values = values_of(case.component());
        if self.is_unused {
            return cause.advise(format!(
                "the autoscaler may have {} of these pods and has fewer: lower \
                 {values}.autoscaling.targetCPUUtilizationPercentage",
                self.pods
            ));
        }
        let to = most.map_or(self.pods * 2, |most| most.min(self.pods * 2));
        cause.change(Change::new(format!("{values}.{}", self.value), Some(self.pods.to_string()), to.to_string()))
    }
}

fn more_replicas(case: &Case, row: u8, pod: &Pod, busy: f64, allowed: &Allowed, most: Option<u32>) -> Cause {
    let cause = case
        .cause(row, case.component(), Resource::Parallelism, busy * case.on_work())
        .at(pod)
        .because(format!(
            "the busiest thread of {} used {} of one core, and its limit did not throttle it",
            pod.pod,
            number(busy)
        ))
        .advise("more of these pods, since one thread of each moves the sales");
    allowed.double(case, cause, most)
}

/// The pod whose busiest thread is full, if nothing keeps it from running.
fn full<'a>(case: &Case<'a>) -> Option<(&'a Pod, f64)> {
    if case.on_work() < EXPLAINED {
        return None;
    }
    let (pod, signal) = case.worst(case.component(), THREAD, |pod| pod.busiest_thread)?;
    let runs =
        pod.throttled.is_some_and(|share| share < THROTTLED) && pod.run_queue.is_none_or(|share| share < RUN_QUEUE);
    Some((pod, signal.failed?)).filter(|_| runs)
}

/// Every partition has its fan-out, and all of them are full alike.
pub(super) fn partitions(case: &Case) -> Vec<Cause> {
    if case.component() != FAN_OUT {
        return Vec::new();
    }
    let partitions = case.evidence.installation.sales_partitions;
    let (Some(Allowed { pods: replicas, is_unused: false, .. }), Some(partitions)) = (Allowed::of(case), partitions)
    else {
        return Vec::new();
    };
    if replicas < partitions {
        return Vec::new();
    }
    let Some((_, busy)) = full(case) else { return Vec::new() };
    let threads: Option<Vec<f64>> = case.pods(FAN_OUT).map(|pod| pod.busiest_thread).collect();
    let are_alike = threads.is_some_and(|all| all.iter().all(|thread| *thread * HOT > busy));
    if !are_alike {
        return Vec::new();
    }
    let to = (partitions * 2).to_string();
    vec![
        case.cause(6, FAN_OUT, Resource::Parallelism, busy * case.on_work())
            .because(format!(
                "{replicas} fan-outs share {partitions} partitions of sales, and all of them are full alike"
            ))
            .advise(
                "more partitions of sales, and then more fan-outs; partitions can be set only when Kafka is installed",
            )
            .change(Change::only_at_install("kafka.salesPartitions", Some(partitions.to_string()), Some(to))),
    ]
}

/// One partition's lag grows and its share is out of line, while the others hold. With at least twice its peers' share this
/// outweighs the full thread that reads it (rows 5, 6 and 15), which more replicas would not relieve.
pub(super) fn hot(case: &Case) -> Vec<Cause> {
    let hot = hot_partitions(case);
    let [(partition, times)] = hot[..] else { return Vec::new() };
    let name = format!("{}/{}", partition.topic, partition.number);
    let share = partition.share.unwrap_or(0.0);
    let because = format!(
        "only the lag of {name} grew: it has {} % of what {} reads, {} times as much as its peers",
        number(share * 100.0),
        partition.reader,
        number(times)
    );
    let cause = case.cause(7, case.component(), Resource::Skew, times).because(because);
    if partition.topic != "sales" {
        return vec![cause.advise(
            "one state sells too much for its topic, which has one partition: nothing to raise; lower loader.skew to see what \
             the cluster takes without it",
        )];
    }
    let is_one_key = partition.largest_key.is_none_or(|largest| largest >= ONE_KEY);
    if is_one_key {
        return vec![cause.advise("one store is hot: nothing to raise, since a store's sales stay in one partition")];
    }
    let now = case.evidence.installation.sales_partitions;
    vec![cause.advise("more partitions of sales; they can be set only when Kafka is installed").change(
        Change::only_at_install("kafka.salesPartitions", now.map(|n| n.to_string()), now.map(|n| (n * 2).to_string())),
    )]
}

/// Partitions that this stage reads whose lag grows, and how many times their peers' share they have; none unless all are
/// known and most of them hold.
fn hot_partitions<'a>(case: &Case<'a>) -> Vec<(&'a PartitionSeen, f64)> {
    let read: Vec<&PartitionSeen> =
        case.evidence.failed.partitions.iter().filter(|it| it.reader == case.component()).collect();
    let (growing, holding): (Vec<&PartitionSeen>, Vec<_>) = read.iter().partition(|it| it.lag_grows == Some(true));
    let are_known = read.iter().all(|it| it.lag_grows.is_some() && it.share.is_some());
    if growing.is_empty() || holding.len() < 2 || !are_known {
        return Vec::new();
    }
    let peers = holding.iter().filter_map(|it| it.share).sum::<f64>() / holding.len() as f64;
    let times = |it: &&PartitionSeen| it.share.map_or(0.0, |share| share / peers.max(f64::MIN_POSITIVE));
    growing.into_iter().map(|it| (it, times(&it))).filter(|(_, times)| *times >= HOT).collect()
}
