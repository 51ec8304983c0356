//! Rows 16 to 21: the stage waits for its store, which is not at its CPU limit (row 4).

use super::case::Case;
use super::cause::{Cause, Change, Resource, mebibytes};
use super::evidence::{Pod, Sessions};
use super::limits::raised;
use super::roles::Allowed;
use super::signal::{Signal, number};
use super::thresholds::{EXPLAINED, FSYNC_MS, REFAULTS, RUN_QUEUE, SESSIONS, STRONGEST, THREAD, THROTTLED};

const POSTGRES: &str = "postgres";
const REDIS: &str = "redis";
/// A container that uses so much of its CPU limit is full, even if throttling can't be read.
const CPU_FULL: f64 = 0.9;
/// Batches of fewer rows are small.
const ROWS: f64 = 100.0;
/// Writes that Redis put off for its disk, per second.
const DELAYED: f64 = 0.1;

fn waits(case: &Case, store: &str) -> bool {
    case.on_store(store) >= EXPLAINED
}

fn strength(case: &Case, store: &str, signal: f64) -> f64 {
    signal.min(STRONGEST) * case.on_store(store)
}

/// What Postgres' sessions wait for, if the stage waits for Postgres and it is mostly this.
fn sessions(case: &Case, read: fn(&Sessions) -> Option<f64>) -> Option<Signal> {
    let signal = Signal::of(case.evidence, |moment| read(moment.postgres.as_ref()?));
    // At rest there are no active sessions to speak of: what they wait for can't be a baseline.
    signal.failed.filter(|share| *share >= SESSIONS && waits(case, POSTGRES)).map(|_| signal)
}

fn server<'a>(case: &Case<'a>, component: &'a str) -> Option<&'a Pod> {
    case.pods(component).next()
}

/// The disk of the write-ahead log.
pub(super) fn wal(case: &Case) -> Vec<Cause> {
    let Some(waits) = sessions(case, |it| it.wal) else { return Vec::new() };
    let Some(pod) = server(case, POSTGRES) else { return Vec::new() };
    let fsync = case.signal(pod, |pod| pod.fsync_ms);
    // A throttled container's own writes seem slow as well.
    let is_slow = fsync.failed.is_some_and(|ms| ms >= FSYNC_MS) && pod.throttled.is_some_and(|it| it < THROTTLED);
    if !is_slow {
        return Vec::new();
    }
    let small = case.stage.rows_per_commit.filter(|rows| *rows < ROWS);
    let small = small.map_or_else(String::new, |rows| {
        format!(" A commit has only {} rows: more would need fewer of them.", number(rows))
    });
    vec![
        case.cause(16, POSTGRES, Resource::Disk, strength(case, POSTGRES, fsync.strength(FSYNC_MS)))
            .at(pod)
            .because(format!(
                "a write with fsync beside its data took {}, where {FSYNC_MS} ms are wanted, and its sessions waited for the log \
                 in {}",
                fsync.written(1.0, "ms"),
                waits.written(100.0, "% of the samples")
            ))
            .advise(format!("a faster storage class for Postgres, which can be set only at install.{small}"))
            .change(Change::only_at_install("postgres.persistence.storageClass", None, None)),
    ]
}

/// Its CPU, where throttling can't be read.
pub(super) fn postgres_cpu(case: &Case) -> Vec<Cause> {
    let Some(working) = sessions(case, |it| it.nothing) else { return Vec::new() };
    let Some(pod) = server(case, POSTGRES).filter(|pod| pod.throttled.is_none()) else { return Vec::new() };
    let used = case.signal(pod, |pod| Some(pod.cpu_cores? / pod.cpu_limit?));
    if !used.rose_beyond(CPU_FULL) || pod.run_queue.is_some_and(|share| share >= RUN_QUEUE) {
        return Vec::new();
    }
    let cause = case
        .cause(17, POSTGRES, Resource::CpuLimit, strength(case, POSTGRES, used.strength(CPU_FULL)))
        .at(pod)
        .because(format!(
            "it used {}, and its sessions worked in {}",
            used.written(100.0, "% of its CPU limit"),
            working.written(100.0, "% of the samples")
        ))
        .advise("it needs more CPU than it may use");
    let change = raised(pod).map(|(from, to)| Change::new("postgres.resources.limits.cpu", Some(from), to));
    vec![Cause { change, ..cause }]
}

/// Its memory: it reads data files again and again.
pub(super) fn postgres_memory(case: &Case) -> Vec<Cause> {
    let Some(reads) = sessions(case, |it| it.data_files) else { return Vec::new() };
    let Some((pod, refaults)) = case.worst(POSTGRES, REFAULTS, |pod| pod.refaults) else { return Vec::new() };
    let cause = case
        .cause(18, POSTGRES, Resource::Memory, strength(case, POSTGRES, refaults.strength(REFAULTS)))
        .at(pod)
        .because(format!(
            "its sessions waited for data files in {}, and it read {} again",
            reads.written(100.0, "% of the samples"),
            refaults.written(1.0, "pages/s")
        ))
        .advise("raise its memory limit, which its buffers and its page cache follow");
    let change = pod
        .memory_limit
        .map(|limit| Change::new("postgres.resources.limits.memory", Some(mebibytes(limit)), mebibytes(limit * 2.0)));
    vec![Cause { change, ..cause }]
}

/// Postgres waits for us, and yet we wait for it: what is between the two is slow, or asked too often.
pub(super) fn round_trips(case: &Case) -> Vec<Cause> {
    let Some(waits) = sessions(case, |it| it.client) else { return Vec::new() };
    let component = case.component();
    // A sink that can't run would look the same.
    let can_run = case.all_below(component, THROTTLED, |pod| pod.throttled)
        && case.all_below(component, RUN_QUEUE, |pod| pod.run_queue);
    let Some(allowed) = Allowed::of(case).filter(|_| can_run) else { return Vec::new() };
    let cause = case
        .cause(19, component, Resource::Batches, strength(case, POSTGRES, 1.0))
        .because(format!(
            "Postgres waited for its clients in {}, while they waited for it",
            waits.written(100.0, "% of the samples")
        ))
        .advise("more connections: more of these pods");
    vec![allowed.double(case, cause, None)]
}

/// Redis' one thread is full.
pub(super) fn redis_thread(case: &Case) -> Vec<Cause> {
    let thread = Signal::of(case.evidence, |moment| moment.redis.as_ref()?.main_thread);
    let Some(pod) = server(case, REDIS).filter(|_| waits(case, REDIS) && thread.rose_beyond(THREAD)) else {
        return Vec::new();
    };
    if pod.throttled.is_none_or(|share| share >= THROTTLED) {
        return Vec::new();
    }
    vec![
        case.cause(20, REDIS, Resource::Parallelism, strength(case, REDIS, thread.strength(THREAD)))
            .at(pod)
            .because(format!("its main thread used {}", thread.written(100.0, "% of one core")))
            .advise("one Redis is full: it writes with one thread, so that neither replicas nor a higher CPU limit help; use \
                     nodes with faster cores"),
    ]
}

/// Redis waits for its disk.
pub(super) fn redis_disk(case: &Case) -> Vec<Cause> {
    let delayed = Signal::of(case.evidence, |moment| moment.redis.as_ref()?.delayed_fsync);
    let Some(pod) = server(case, REDIS).filter(|_| waits(case, REDIS) && delayed.rose_beyond(DELAYED)) else {
        return Vec::new();
    };
    vec![
        case.cause(21, REDIS, Resource::Disk, strength(case, REDIS, delayed.strength(DELAYED)))
            .at(pod)
            .because(format!("it put off writing its append-only file {}", delayed.written(1.0, "times a second")))
            .advise("a faster storage class for Redis, which can be set only at install, or no persistence")
            .change(Change::only_at_install("redis.persistence.storageClass", None, None)),
    ]
}
