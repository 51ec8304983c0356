//! What a step is judged by: what the exporter said at its ends and each second between.

use std::collections::BTreeMap;
use std::time::Duration;

use service::resources::Limit;
use service::state::{Received, State};
use service::{Merged, Report, Resources};

/// Everything cumulative, at one end of a step.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// What the exporter makes of the reports.
    pub state: State,
    /// The reports themselves, with their histograms.
    pub reports: Vec<Received>,
}

/// One look at the exporter during a step.
#[derive(Clone, Debug, Default)]
pub struct Second {
    /// What the exporter makes of the reports.
    pub state: State,
    /// What is known of each partition; absent if it was not asked or did not say.
    pub partitions: Option<Vec<Partition>>,
}

/// A partition that a consumer group reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partition {
    /// The group.
    pub group: String,
    /// The topic.
    pub topic: String,
    /// Its number in the topic.
    pub number: u32,
    /// Records that the group has still to read.
    pub lag: u64,
    /// The end of its log; absent if that is not known.
    pub end: Option<u64>,
}

impl Partition {
    /// Its name in texts, such as `sales/3`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.topic, self.number)
    }
}

/// A step, from after it has settled until its queues are empty.
#[derive(Clone, Debug, Default)]
pub struct Window {
    /// When the rate had settled.
    pub begin: Snapshot,
    /// When the rate was taken back.
    pub end: Snapshot,
    /// When the queues were empty, or the time for that was over.
    pub drained: Snapshot,
    /// Each second from `begin` to `end` in which the exporter answered.
    pub seconds: Vec<Second>,
    /// How many times it was asked.
    pub asked: usize,
    /// How long the queues took to become empty; none if they did not in time.
    pub drain: Option<Duration>,
}

/// What the instances did between two snapshots.
#[derive(Debug)]
pub(super) struct Between<'a> {
    /// Instances that are in both.
    pub(super) pairs: Vec<Pair<'a>>,
    /// In words, what is not the same any more: a restart, a pod that came or went.
    pub(super) changes: Vec<String>,
}

/// The first and the last report of one incarnation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair<'a> {
    pub(super) component: &'a str,
    first: &'a Report,
    pub(super) last: &'a Report,
}

impl<'a> Between<'a> {
    pub(super) fn new(first: &'a Snapshot, last: &'a Snapshot) -> Self {
        let by_name = |snapshot: &'a Snapshot| -> BTreeMap<(&'a str, &'a str), &'a Report> {
            let named = |it: &'a Received| ((it.component.as_str(), it.report.pod.as_str()), &it.report);
            snapshot.reports.iter().map(named).collect()
        };
        let (before, after) = (by_name(first), by_name(last));
        let (mut pairs, mut changes) = (Vec::new(), Vec::new());
        for ((component, pod), last) in &after {
            match before.get(&(*component, *pod)) {
                None => changes.push(format!("{pod} appeared")),
                Some(first) if first.incarnation != last.incarnation => changes.push(format!("{pod} restarted")),
                Some(first) => pairs.push(Pair { component, first, last }),
            }
        }
        let gone = before.keys().filter(|key| !after.contains_key(*key));
        changes.extend(gone.map(|(_, pod)| format!("{pod} disappeared")));
        Self { pairs, changes }
    }

    /// The instances of a component.
    pub(super) fn of(&self, component: &str) -> impl Iterator<Item = &Pair<'a>> {
        self.pairs.iter().filter(move |pair| pair.component == component)
    }

    /// What all instances of a component have counted; none if one of them does not say, or if there are none.
    pub(super) fn count(&self, component: &str, counter: &str) -> Option<u64> {
        self.of(component).map(|pair| pair.count(counter)).reduce(|all, one| Some(all? + one?)).flatten()
    }

    /// Counts per second of all instances of a component, each by its own clock.
    pub(super) fn rate(&self, component: &str, counter: &str) -> Option<f64> {
        let rate = |pair: &Pair| Some(pair.count(counter)? as f64 / pair.seconds()?);
        self.of(component).map(rate).reduce(|all, one| Some(all? + one?)).flatten()
    }
}

impl Pair<'_> {
    pub(super) fn pod(&self) -> &str {
        &self.last.pod
    }

    /// Seconds between the two, by its own clock.
    pub(super) fn seconds(&self) -> Option<f64> {
        let us = self.last.at_us.checked_sub(self.first.at_us).filter(|us| *us > 0)?;
        Some(us as f64 / 1e6)
    }

    /// What it has counted between the two.
    pub(super) fn count(&self, counter: &str) -> Option<u64> {
        let last = *self.last.counters.get(counter)?;
        last.checked_sub(self.first.counters.get(counter).copied().unwrap_or(0))
    }

    /// What it has measured between the two; none if it measures nothing of this name.
    pub(super) fn measured(&self, name: &str) -> Option<Merged> {
        Merged::between(self.first.latencies.get(name), self.last.latencies.get(name)?).ok()
    }

    /// CPU used, in cores; none if it is not known.
    pub(super) fn cores(&self) -> Option<f64> {
        let (first, last) = self.resources()?;
        Some(last.cpu_usage_us?.checked_sub(first.cpu_usage_us?)? as f64 / 1e6 / self.seconds()?)
    }

    /// Its CPU limit in cores; none if there is none or it is not known.
    pub(super) fn cpu_limit(&self) -> Option<f64> {
        Some(self.last.resources.as_ref()?.cpu_limit_millicores?.value()? as f64 / 1e3)
    }

    /// Share of the time that its CPU limit kept it waiting; none if that is not known.
    pub(super) fn throttled(&self) -> Option<f64> {
        let (first, last) = self.resources()?;
        if last.cpu_limit_millicores == Some(Limit::Unlimited) {
            return Some(0.0);
        }
        Some(last.cpu_throttled_us?.checked_sub(first.cpu_throttled_us?)? as f64 / 1e6 / self.seconds()?)
    }

    fn resources(&self) -> Option<(&Resources, &Resources)> {
        self.first.resources.as_ref().zip(self.last.resources.as_ref())
    }
}
