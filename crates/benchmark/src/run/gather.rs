//! Evidence for the diagnosis: what a step's reports say of stages, pods, nodes and partitions.
//!
//! What no program reports yet (sessions of Postgres, Redis' own figures, a broker's handlers, garbage and leaders) is left
//! out, so that its rows don't fit.

use std::collections::BTreeMap;

use pipeline::{Role, Stage};
use service::reported::{etl, probe};
use service::resources::{self, Limit};
use service::state::{Received, Shares};
use service::{Merged, Report, Resources, busiest_since};

use crate::diagnose::{Moment, Node, PartitionSeen, Pod, StageSeen};
use crate::judge::{Judged, LEAST_SAMPLES, Met, Partition, TAKEN, Window};

/// The moment that a step was.
pub(super) fn moment(window: &Window, judged: &Judged) -> Moment {
    let pairs = pairs(&window.begin.reports, &window.end.reports);
    Moment {
        rate: judged.offered,
        stages: stages(window, judged, &pairs),
        pods: pairs.iter().filter_map(Pair::pod).collect(),
        nodes: nodes(&pairs),
        partitions: partitions(window, judged),
        postgres: None,
        redis: None,
        under_min_isr: None,
    }
}

/// The first and the last report of one incarnation.
struct Pair<'a> {
    component: &'a str,
    first: &'a Report,
    last: &'a Report,
    seconds: f64,
}

fn pairs<'a>(first: &'a [Received], last: &'a [Received]) -> Vec<Pair<'a>> {
    let same = |a: &Received, b: &Received| {
        a.component == b.component && a.report.pod == b.report.pod && a.report.incarnation == b.report.incarnation
    };
    let paired = last.iter().filter_map(|last| {
        let before = first.iter().find(|first| same(first, last))?;
        let us = last.report.at_us.checked_sub(before.report.at_us).filter(|us| *us > 0)?;
        Some(Pair { component: &last.component, first: &before.report, last: &last.report, seconds: us as f64 / 1e6 })
    });
    paired.collect()
}

impl Pair<'_> {
    fn rate(&self, counter: &str) -> Option<f64> {
        let last = *self.last.counters.get(counter)?;
        Some(last.checked_sub(self.first.counters.get(counter).copied().unwrap_or(0))? as f64 / self.seconds)
    }

    /// Where the time of the thread goes that waits least for input.
    fn busiest(&self) -> Option<Shares> {
        busiest_since(&self.last.threads, &self.first.threads)
    }

    /// The p99 of what was measured under names that begin so, in milliseconds; of the worst of them.
    fn p99_ms(&self, prefix: &str) -> Option<f64> {
        let named = self.last.latencies.iter().filter(|(name, _)| name.starts_with(prefix));
        let each = named.filter_map(|(name, last)| {
            let measured = Merged::between(self.first.latencies.get(name), last).ok()?;
            Some(measured.percentiles()?.p99_us? as f64 / 1e3)
        });
        each.reduce(f64::max)
    }

    /// The program itself; of a probe, the process that it watches.
    fn pod(&self) -> Option<Pod> {
        let program = |pod: Pod| Pod {
            component: self.component.to_owned(),
            pod: self.last.pod.clone(),
            node: self.last.node.clone(),
            ..pod
        };
        let Some(neighbour) = &self.last.neighbour else {
            let (first, last) = (self.first.resources.as_ref()?, self.last.resources.as_ref()?);
            let time = self.busiest();
            let pod = used(first, last, self.seconds);
            let pod = Pod { retransmits: retransmits(first, last), ..pod };
            // Without being throttled or waiting for a CPU, a thread that works uses one.
            return Some(program(Pod { time, busiest_thread: time.map(|time| time.working), ..pod }));
        };
        let before = self.first.neighbour.as_ref()?;
        let restarted = before.incarnation.zip(neighbour.incarnation).map(|(before, now)| f64::from(before != now));
        let own = self.first.resources.as_ref().zip(self.last.resources.as_ref());
        let free = neighbour.disk.as_ref().filter(|disk| disk.size_bytes > 0);
        let pod = used(&before.resources, &neighbour.resources, self.seconds);
        Some(program(Pod {
            restarts: restarted,
            disk_free: free.map(|disk| disk.free_bytes as f64 / disk.size_bytes as f64),
            fsync_ms: self.p99_ms(probe::FSYNC),
            round_trip_ms: self.p99_ms(probe::ROUND_TRIP),
            retransmits: own.and_then(|(first, last)| retransmits(first, last)),
            ..pod
        }))
    }
}

/// What a container used between two readings. What became less was restarted, and is unknown.
fn used(first: &Resources, last: &Resources, seconds: f64) -> Pod {
    let rate = |read: fn(&Resources) -> Option<u64>| difference(first, last, read).map(|n| n as f64 / seconds);
    let waited = difference(first, last, |it| it.processes.as_ref()?.run_queue_us);
    let ran = difference(first, last, |it| it.processes.as_ref()?.running_us);
    let throttled_us = difference(first, last, |it| it.cpu_throttled_us).unwrap_or(0);
    // A throttled thread stays runnable, so that its wait is contained.
    let run_queue = waited.zip(ran).and_then(|(waited, ran)| share(waited.saturating_sub(throttled_us), waited + ran));
    let throttled = match last.cpu_limit_millicores {
        Some(Limit::Unlimited) => Some(0.0),
        _ => difference(first, last, |it| it.cpu_throttled_periods)
            .zip(difference(first, last, |it| it.cpu_periods))
            // Nobody was held up in a period that did not run.
            .map(|(hit, all)| share(hit, all).unwrap_or(0.0)),
    };
    Pod {
        cpu_cores: rate(|it| it.cpu_usage_us).map(|us| us / 1e6),
        cpu_limit: last.cpu_limit_millicores.and_then(Limit::value).map(|millicores| millicores as f64 / 1e3),
        throttled,
        run_queue,
        memory_bytes: last.memory_bytes.map(|bytes| bytes as f64),
        memory_limit: last.memory_limit_bytes.and_then(Limit::value).map(|bytes| bytes as f64),
        refaults: rate(|it| it.memory_refaults),
        major_faults: rate(|it| it.memory_major_faults),
        oom_kills: difference(first, last, |it| it.memory_oom_kills).map(|n| n as f64),
        read_bytes: rate(|it| it.disk_read_bytes).or_else(|| rate(|it| it.processes.as_ref()?.disk_read_bytes)),
        write_bytes: rate(|it| it.disk_written_bytes).or_else(|| rate(|it| it.processes.as_ref()?.disk_written_bytes)),
        dirty_bytes: last.memory_dirty_bytes.map(|bytes| bytes as f64),
        ..Pod::default()
    }
}

fn retransmits(first: &Resources, last: &Resources) -> Option<f64> {
    let again = difference(first, last, |it| it.network.as_ref()?.tcp_retransmitted_segments)?;
    share(again, difference(first, last, |it| it.network.as_ref()?.tcp_sent_segments)? + again)
}

fn difference(first: &Resources, last: &Resources, read: impl Fn(&Resources) -> Option<u64>) -> Option<u64> {
    read(last)?.checked_sub(read(first)?)
}

fn share(part: u64, all: u64) -> Option<f64> {
    (all > 0).then(|| part as f64 / all as f64)
}

fn stages(window: &Window, judged: &Judged, pairs: &[Pair]) -> Vec<StageSeen> {
    let stages = window.begin.state.stages.iter().map(|stage| {
        let of_it: Vec<&Pair> = pairs.iter().filter(|pair| pair.component == stage.component).collect();
        let ceiling = of_it.iter().map(|pair| pair.busiest()?.ceiling(pair.rate(&stage.name)?));
        let sum =
            |counter: &str| of_it.iter().map(|pair| pair.rate(counter)).reduce(|all, one| Some(all? + one?)).flatten();
        let lag = judged.lags.iter().find(|lag| lag.of == stage.name);
        // The first stage has no lag: it is behind if Kafka took no more.
        let grows = if stage.name == Stage::Accepted.name() {
            let taken = judged.levels.iter().find(|level| level.name == TAKEN);
            taken.filter(|level| level.met != Met::Unknown).map(|level| level.met == Met::No)
        } else {
            lag.map(|lag| lag.broken.is_some())
        };
        let is_fan_out = stage.component == Role::FanOut.component();
        StageSeen {
            stage: stage.name.clone(),
            component: stage.component.clone(),
            lag_grows: grows,
            p99_us: judged
                .latencies
                .iter()
                .find(|latency| latency.stage == stage.name)
                .and_then(|it| it.percentiles.p99_us),
            ceiling: ceiling.reduce(|all, one| Some(all? + one?)).flatten(),
            time: Shares::busiest(of_it.iter().filter_map(|pair| pair.busiest())),
            transactions: if is_fan_out { sum(etl::COMMITS) } else { None },
            rows_per_commit: sum(&stage.name)
                .zip(sum(etl::BATCHES))
                .filter(|(_, n)| *n > 0.0)
                .map(|(rows, n)| rows / n),
        }
    });
    stages.collect()
}

/// The nodes, each by one of the programs on it.
fn nodes(pairs: &[Pair]) -> Vec<Node> {
    let mut nodes: BTreeMap<&str, (Node, Option<&str>)> = BTreeMap::new();
    for pair in pairs.iter().filter(|pair| !pair.last.node.is_empty()) {
        let (Some(first), Some(last)) = (&pair.first.resources, &pair.last.resources) else { continue };
        let total = difference(first, last, |it| it.node.as_ref()?.cpu_total_us);
        let of = |read: fn(&resources::Node) -> Option<u64>| {
            share(difference(first, last, |it| read(it.node.as_ref()?))?, total?)
        };
        let seen = Node {
            name: pair.last.node.clone(),
            machine: None,
            cores: last.node.as_ref().and_then(|node| node.cpus).map(|cpus| cpus as f64),
            idle: of(|node| node.cpu_idle_us),
            steal: of(|node| node.cpu_steal_us),
            iowait: of(|node| node.cpu_iowait_us),
        };
        if seen.idle.is_some() || !nodes.contains_key(pair.last.node.as_str()) {
            let boot_id = last.node.as_ref().and_then(|node| node.boot_id.as_deref());
            nodes.insert(&pair.last.node, (seen, boot_id));
        }
    }
    // Its name in place of the boot id, which is nobody's business in a report.
    let first_with =
        |id: &str| nodes.iter().find(|(_, (_, other))| *other == Some(id)).map(|(name, _)| (*name).to_owned());
    nodes.values().map(|(node, id)| Node { machine: id.and_then(first_with), ..node.clone() }).collect()
}

/// Partitions with their share of what their group reads.
fn partitions(window: &Window, judged: &Judged) -> Vec<PartitionSeen> {
    let looks: Vec<_> = window.seconds.iter().filter_map(|second| second.partitions.as_ref()).collect();
    // With fewer, nobody has judged whether their lag grows.
    let [first, .., last] = &looks[..] else { return Vec::new() };
    if looks.len() < LEAST_SAMPLES {
        return Vec::new();
    }
    let arrived = |partition: &Partition| {
        let before = first.iter().find(|it| it.group == partition.group && it.name() == partition.name())?.end?;
        partition.end?.checked_sub(before)
    };
    let seen = last.iter().filter_map(|partition| {
        let reader = Role::ALL.into_iter().find(|role| partition.group.ends_with(role.name()))?;
        let of_group = last.iter().filter(|it| it.group == partition.group);
        let all = of_group.map(arrived).sum::<Option<u64>>();
        let name = format!("{} {}", partition.group, partition.name());
        let topic = partition.topic.find("sales").map_or(partition.topic.as_str(), |at| &partition.topic[at..]);
        Some(PartitionSeen {
            topic: topic.to_owned(),
            number: partition.number,
            reader: reader.component().to_owned(),
            share: arrived(partition).zip(all).and_then(|(part, all)| share(part, all)),
            lag_grows: Some(judged.partitions.iter().any(|lag| lag.of == name)),
            largest_key: None,
        })
    });
    seen.collect()
}
