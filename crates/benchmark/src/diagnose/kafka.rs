//! Rows 8 to 12 and 14: the stage waits for Kafka, and no broker is at its CPU limit (row 4).

use super::case::{Case, KAFKA};
use super::cause::{Cause, Change, Resource, mebibytes};
use super::evidence::Pod;
use super::peers::outlier;
use super::signal::number;
use super::thresholds::{
    EXPLAINED, FSYNC_MS, GC, HANDLERS_IDLE, NODE_IDLE, READ_BYTES, REFAULTS, RTT_MS, STRONGEST, THROTTLED,
};

/// CPU of a broker whose disk is the limit, as a share of its limit at most.
const CPU_LOW: f64 = 0.5;
/// A broker leads so many times its peers' partitions if they are uneven.
const UNEVEN: f64 = 1.5;
/// A transaction of this many a second costs more than it carries: 10 to 20 ms of broker CPU each over 51 partitions.
const TRANSACTIONS: f64 = 5.0;
/// Request handlers of a broker without a setting.
const HANDLERS: u32 = 8;

/// Whether the stage waits for Kafka, and clients see it.
fn waits(case: &Case) -> bool {
    case.on_kafka() >= EXPLAINED
}

/// Brokers whose clients' requests take longer than at rest; none if that of one is not known.
fn slow<'a>(case: &Case<'a>) -> Option<Vec<&'a Pod>> {
    let brokers: Vec<&Pod> = case.pods(KAFKA).collect();
    let known = !brokers.is_empty() && brokers.iter().all(|pod| pod.rtt_ms.is_some());
    let is_slow = |pod: &&Pod| case.signal(pod, |pod| pod.rtt_ms).rose_beyond(RTT_MS);
    known.then(|| brokers.into_iter().filter(is_slow).collect())
}

fn all_slow(case: &Case) -> bool {
    waits(case) && slow(case).is_some_and(|slow| slow.len() == case.pods(KAFKA).count())
}

fn strength(case: &Case, signal: f64) -> f64 {
    signal.min(STRONGEST) * case.on_kafka()
}

/// Share of its CPU limit that a broker uses.
fn cpu(pod: &Pod) -> Option<f64> {
    Some(pod.cpu_cores? / pod.cpu_limit?)
}

/// All request handlers are busy, though there is CPU.
pub(super) fn handlers(case: &Case) -> Vec<Cause> {
    let has_cpu = |pod: &Pod| {
        let node = case.evidence.failed.node(&pod.node).and_then(|node| node.idle);
        pod.throttled.is_some_and(|share| share < THROTTLED) && node.is_some_and(|idle| idle >= NODE_IDLE)
    };
    let busy = case.all_below(KAFKA, HANDLERS_IDLE, |pod| pod.handlers_idle);
    // A handler that waits for a disk is busy as well.
    let has_disk = case.all_below(KAFKA, FSYNC_MS, |pod| pod.fsync_ms);
    if !all_slow(case) || !busy || !has_disk || !case.pods(KAFKA).all(has_cpu) {
        return Vec::new();
    }
    let idle = case.pods(KAFKA).filter_map(|pod| pod.handlers_idle).fold(f64::INFINITY, f64::min);
    let from = case.evidence.installation.io_threads.unwrap_or(HANDLERS);
    vec![
        case.cause(8, KAFKA, Resource::Threads, strength(case, HANDLERS_IDLE / idle.max(0.05)))
            .because(format!(
                "the brokers' request handlers were idle for {} % of the time, where 30 % are wanted, though there was CPU",
                number(idle * 100.0)
            ))
            .advise("more request handlers; if that brings nothing, more brokers")
            .change(Change::new("kafka.config.num\\.io\\.threads", Some(from.to_string()), (from * 2).to_string())),
    ]
}

/// Clients wait for one broker among its peers.
pub(super) fn one_broker(case: &Case) -> Vec<Cause> {
    let Some(slow) = slow(case).filter(|_| waits(case)) else { return Vec::new() };
    let trips: Vec<(&str, f64)> = case.pods(KAFKA).filter_map(|pod| Some((pod.pod.as_str(), pod.rtt_ms?))).collect();
    let Some(pod) = outlier(&trips).and_then(|name| slow.into_iter().find(|pod| pod.pod == name)) else {
        return Vec::new();
    };
    // At its limit, row 4 names it; without knowing, nothing is said.
    if pod.throttled.is_none_or(|share| share >= THROTTLED) {
        return Vec::new();
    }
    let signal = case.signal(pod, |pod| pod.rtt_ms);
    let because =
        format!("requests to {} took {}, at least twice as long as to its peers", pod.pod, signal.written(1.0, "ms"));
    let strength = strength(case, signal.strength(RTT_MS));
    let uneven = |read: fn(&Pod) -> Option<f64>, times: f64| {
        let mine = read(pod)?;
        let others: Option<Vec<f64>> = case.pods(KAFKA).filter(|peer| peer.pod != pod.pod).map(read).collect();
        let others = others.filter(|others| !others.is_empty())?;
        Some(mine >= times * others.iter().sum::<f64>() / others.len() as f64)
    };
    if uneven(|pod| pod.leaders, UNEVEN) == Some(true) {
        return vec![
            case.cause(9, KAFKA, Resource::Broker, strength)
                .at(pod)
                .because(format!("{because}; it leads more partitions than they do"))
                .advise(
                    "spread the leaders evenly over the brokers again: kafka-leader-election --election-type preferred",
                ),
        ];
    }
    if uneven(|pod| pod.fsync_ms, 2.0) == Some(true) && pod.fsync_ms.is_some_and(|ms| ms >= FSYNC_MS) {
        return vec![
            case.cause(9, KAFKA, Resource::Disk, strength)
                .at(pod)
                .because(format!(
                    "{because}; a write with fsync beside its data took {} ms",
                    number(pod.fsync_ms.unwrap_or(0.0))
                ))
                .advise("the disk of that one broker is slow: look at its node and volume"),
        ];
    }
    vec![
        case.cause(9, KAFKA, Resource::Broker, strength)
            .at(pod)
            .because(because)
            .advise("it has no more to do than its peers: look at its node"),
    ]
}

/// Brokers write more than their disks take.
pub(super) fn disk(case: &Case) -> Vec<Cause> {
    let has_cpu = case.pods(KAFKA).all(|pod| cpu(pod).is_some_and(|share| share < CPU_LOW));
    // A broker that reads its disk again is short of memory, which makes its disk slow.
    let reads_little = case.all_below(KAFKA, READ_BYTES, |pod| pod.read_bytes);
    if !all_slow(case) || !has_cpu || !reads_little {
        return Vec::new();
    }
    let slow: Vec<&Pod> = case.pods(KAFKA).filter(|pod| pod.fsync_ms.is_some_and(|ms| ms >= FSYNC_MS)).collect();
    if slow.len() < case.pods(KAFKA).count() {
        return Vec::new();
    }
    let Some(pod) = slow.into_iter().max_by(|a, b| a.fsync_ms.unwrap_or(0.0).total_cmp(&b.fsync_ms.unwrap_or(0.0)))
    else {
        return Vec::new();
    };
    let signal = case.signal(pod, |pod| pod.fsync_ms);
    vec![
        case.cause(10, KAFKA, Resource::Disk, strength(case, signal.strength(FSYNC_MS)))
            .at(pod)
            .because(format!(
                "a write with fsync beside the data of {} took {}, where {FSYNC_MS} ms are wanted, while its CPU was idle",
                pod.pod,
                signal.written(1.0, "ms")
            ))
            .advise("a faster storage class for the brokers, which can be set only at install; or more brokers to share it")
            .change(Change::only_at_install("kafka.persistence.storageClass", None, None)),
    ]
}

/// Brokers collect garbage instead of working.
pub(super) fn heap(case: &Case) -> Vec<Cause> {
    let Some((pod, signal)) = case.worst(KAFKA, GC, |pod| pod.gc).filter(|_| waits(case)) else { return Vec::new() };
    vec![memory(case, 11, pod, strength(case, signal.strength(GC))).because(format!(
        "{} collected garbage for {}",
        pod.pod,
        signal.written(100.0, "% of the time")
    ))]
}

/// Brokers read from their disks what they wrote a moment ago.
pub(super) fn page_cache(case: &Case) -> Vec<Cause> {
    let Some((pod, refaults)) = case.worst(KAFKA, REFAULTS, |pod| pod.refaults).filter(|_| waits(case)) else {
        return Vec::new();
    };
    let read = case.signal(pod, |pod| pod.read_bytes);
    if !read.rose_beyond(READ_BYTES) {
        return Vec::new();
    }
    vec![memory(case, 12, pod, strength(case, refaults.strength(REFAULTS))).because(format!(
        "{} read {} from its disk, and {} again that it had dropped for want of memory",
        pod.pod,
        read.written(1e-6, "MB/s"),
        refaults.written(1.0, "pages/s")
    ))]
}

fn memory(case: &Case, row: u8, pod: &Pod, strength: f64) -> Cause {
    let cause = case
        .cause(row, KAFKA, Resource::Memory, strength)
        .at(pod)
        .advise("raise the brokers' memory limit: half of it is the heap, the rest the page cache");
    let change = pod
        .memory_limit
        .map(|limit| Change::new("kafka.resources.limits.memory", Some(mebibytes(limit)), mebibytes(limit * 2.0)));
    Cause { change, ..cause }
}

/// The fan-out waits for commits, and the brokers are well.
pub(super) fn transactions(case: &Case) -> Vec<Cause> {
    let are_well = slow(case).is_some_and(|slow| slow.is_empty())
        && case.all_below(KAFKA, THROTTLED, |pod| pod.throttled)
        && case.all_below(KAFKA, FSYNC_MS, |pod| pod.fsync_ms);
    let installation = &case.evidence.installation;
    let each = case.stage.transactions.filter(|each| *each >= TRANSACTIONS);
    let (Some(each), Some(interval)) = (each, installation.transaction_ms) else { return Vec::new() };
    if case.component() != "etl-fan-out" || !waits(case) || !are_well {
        return Vec::new();
    }
    let (from, to) = (format!("{interval:.0}ms"), format!("{:.0}ms", interval * 2.5));
    vec![
        case.cause(14, "etl-fan-out", Resource::Batches, strength(case, 1.0))
            .because(format!(
                "it waited for Kafka for {} % of its time, at {} transactions a second, while no broker was slow",
                number(case.on_kafka() * 100.0),
                number(each)
            ))
            .advise("longer transactions cost less, and add to the latency")
            .change(Change::new("etl.fanOut.transactionInterval", Some(from), to)),
    ]
}
