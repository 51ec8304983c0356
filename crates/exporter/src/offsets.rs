//! What Kafka says of its topics and consumer groups.
//!
//! The committed offsets are read before the ends of the partitions, so that a lag is never below zero. Kafka is
//! only asked, and by few requests: the ends of all partitions come by one call.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use kafka::Asker;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::Consumer;
use rdkafka::topic_partition_list::Offset;

/// One request to Kafka. All requests of a poll together take no longer than a few of these.
const REQUEST_LIMIT: Duration = Duration::from_secs(3);

/// What Kafka said when it was last asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) brokers: usize,
    pub(crate) topics: BTreeMap<String, BTreeMap<i32, Partition>>,
    pub(crate) groups: BTreeMap<String, Group>,
}

/// One partition of a topic.
#[derive(Clone, Debug, Default)]
pub(crate) struct Partition {
    /// The broker that leads it; none if nobody does.
    pub(crate) leader: Option<i32>,
    pub(crate) replicas: Vec<i32>,
    pub(crate) in_sync: usize,
    pub(crate) oldest: Option<i64>,
    pub(crate) end: Option<i64>,
}

/// One consumer group.
#[derive(Clone, Debug, Default)]
pub(crate) struct Group {
    pub(crate) members: usize,
    /// By topic and partition; none where nothing has been committed yet.
    pub(crate) committed: BTreeMap<(String, i32), Option<i64>>,
}

impl Partition {
    pub(crate) fn under_replicated(&self) -> bool {
        self.in_sync < self.replicas.len()
    }
}

impl Snapshot {
    /// Offsets between what a group committed and the end, by topic and partition. A group that has committed
    /// nothing will begin at the oldest record.
    pub(crate) fn lags<'a>(&'a self, group: &'a Group) -> impl Iterator<Item = (&'a str, i32, i64)> {
        group.committed.iter().filter_map(|((topic, partition), committed)| {
            let of = self.topics.get(topic)?.get(partition)?;
            let position = committed.or(of.oldest)?;
            // Below zero only where Kafka was emptied under a group that had committed more.
            Some((topic.as_str(), *partition, (of.end? - position).max(0)))
        })
    }

    pub(crate) fn partitions(&self) -> impl Iterator<Item = &Partition> {
        self.topics.values().flat_map(BTreeMap::values)
    }
}

/// Asks Kafka. Blocks: to be called on a thread that may wait.
pub(crate) struct Watcher {
    ends: Asker,
    groups: Vec<Watched>,
    known: BTreeSet<String>,
}

struct Watched {
    name: String,
    topics: Vec<String>,
    asker: Asker,
}

impl Watcher {
    /// Makes the clients, without connecting them yet. `roles` are those of etl.
    pub(crate) fn new<'a>(config: &kafka::Config, roles: impl Iterator<Item = &'a str>) -> anyhow::Result<Self> {
        let names = config.names();
        let mut known = BTreeSet::from([names.sales(), names.rejected(), names.blocks(), names.audit()]);
        known.extend(names.states());
        let groups = roles
            .map(|role| {
                // The fan-out reads what is sold, the sinks what it has routed.
                let topics = if role == "fan-out" { vec![names.sales()] } else { names.states() };
                Ok(Watched { name: names.group(role), topics, asker: Asker::new(config, role)? })
            })
            .collect::<anyhow::Result<_>>()?;
        Ok(Self { ends: Asker::new(config, "reader")?, groups, known })
    }

    /// Asks for everything. What couldn't be read of single partitions or groups keeps its value of `before`.
    pub(crate) fn poll(&self, before: &Snapshot) -> anyhow::Result<(Snapshot, Option<String>)> {
        let deadline = Instant::now() + 4 * REQUEST_LIMIT;
        let mut problems = Vec::new();
        let mut snapshot = self.metadata()?;
        for group in &self.groups {
            let last = before.groups.get(&group.name);
            match group.read(&snapshot, remaining(deadline)) {
                Ok(now) => drop(snapshot.groups.insert(group.name.clone(), now)),
                Err(err) => {
                    problems.push(format!("{err:#}"));
                    snapshot.groups.extend(last.map(|last| (group.name.clone(), last.clone())));
                }
            }
        }
        for (offset, put) in [
            (Offset::Beginning, (|it, value| it.oldest = value) as fn(&mut Partition, Option<i64>)),
            (Offset::End, |it, value| it.end = value),
        ] {
            if let Err(err) = self.ends(&mut snapshot, offset, put, remaining(deadline)) {
                problems.push(format!("{err:#}"));
            }
        }
        keep_missing_ends(&mut snapshot, before);
        Ok((snapshot, (!problems.is_empty()).then(|| problems.join("; "))))
    }

    fn metadata(&self) -> anyhow::Result<Snapshot> {
        let asked = self.ends.ask(|client| client.fetch_metadata(None, REQUEST_LIMIT));
        let metadata = asked.context("reading the metadata")?;
        let ours = metadata.topics().iter().filter(|topic| self.known.contains(topic.name()));
        let topics = ours.map(|topic| {
            let partitions = topic.partitions().iter().map(|partition| {
                let leader = (partition.leader() >= 0).then(|| partition.leader());
                let replicas = partition.replicas().to_vec();
                let read = Partition { leader, replicas, in_sync: partition.isr().len(), oldest: None, end: None };
                (partition.id(), read)
            });
            (topic.name().to_owned(), partitions.collect())
        });
        Ok(Snapshot { brokers: metadata.brokers().len(), topics: topics.collect(), groups: BTreeMap::new() })
    }

    /// Looks up one end of all partitions that have a leader: "by time", with the two times that stand for the ends.
    fn ends(
        &self,
        snapshot: &mut Snapshot,
        which: Offset,
        put: fn(&mut Partition, Option<i64>),
        limit: Duration,
    ) -> anyhow::Result<()> {
        let mut wanted = TopicPartitionList::new();
        for (topic, partitions) in &snapshot.topics {
            for (id, _) in partitions.iter().filter(|(_, partition)| partition.leader.is_some()) {
                wanted.add_partition_offset(topic, *id, which).context("asking for an end")?;
            }
        }
        if wanted.count() == 0 {
            return Ok(());
        }
        let found = self.ends.ask(|client| client.offsets_for_times(wanted, limit));
        let found = found.context("reading the ends of partitions")?;
        let mut missing = 0;
        for element in found.elements() {
            let partition =
                snapshot.topics.get_mut(element.topic()).and_then(|topic| topic.get_mut(&element.partition()));
            match (element.error(), element.offset(), partition) {
                (Ok(()), Offset::Offset(offset), Some(partition)) => put(partition, Some(offset)),
                _ => missing += 1,
            }
        }
        if missing > 0 {
            bail!("{missing} partitions did not tell their ends");
        }
        Ok(())
    }
}

impl Watched {
    fn read(&self, snapshot: &Snapshot, limit: Duration) -> anyhow::Result<Group> {
        let doing = || format!("reading the group {}", self.name);
        let mut wanted = TopicPartitionList::new();
        for topic in &self.topics {
            for partition in snapshot.topics.get(topic).into_iter().flat_map(BTreeMap::keys) {
                wanted.add_partition(topic, *partition);
            }
        }
        if wanted.count() == 0 {
            return Ok(Group::default());
        }
        let offsets = self.asker.ask(|client| client.committed_offsets(wanted, limit)).with_context(doing)?;
        let mut group = Group::default();
        for element in offsets.elements() {
            element.error().with_context(doing)?;
            let committed = match element.offset() {
                Offset::Offset(offset) => Some(offset),
                _ => None,
            };
            group.committed.insert((element.topic().to_owned(), element.partition()), committed);
        }
        let listed = self.asker.ask(|client| client.fetch_group_list(Some(&self.name), limit)).with_context(doing)?;
        group.members = listed.groups().iter().map(|group| group.members().len()).sum();
        Ok(group)
    }
}

fn remaining(deadline: Instant) -> Duration {
    // Never nothing at all: one slow request must not leave the others without an answer.
    deadline.saturating_duration_since(Instant::now()).min(REQUEST_LIMIT).max(REQUEST_LIMIT / 10)
}

fn keep_missing_ends(snapshot: &mut Snapshot, before: &Snapshot) {
    for (topic, partitions) in &mut snapshot.topics {
        for (id, partition) in partitions {
            let last = before.topics.get(topic).and_then(|topic| topic.get(id));
            partition.oldest = partition.oldest.or(last.and_then(|last| last.oldest));
            partition.end = partition.end.or(last.and_then(|last| last.end));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(oldest: i64, end: i64) -> Partition {
        Partition { leader: Some(0), replicas: vec![0], in_sync: 1, oldest: Some(oldest), end: Some(end) }
    }

    fn snapshot(committed: Option<i64>, end: i64) -> Snapshot {
        let topics = BTreeMap::from([("sales".to_owned(), BTreeMap::from([(0, partition(5, end))]))]);
        let committed = BTreeMap::from([(("sales".to_owned(), 0), committed)]);
        let groups = BTreeMap::from([("fan-out".to_owned(), Group { members: 1, committed })]);
        Snapshot { brokers: 1, topics, groups }
    }

    fn lag(snapshot: &Snapshot) -> Vec<i64> {
        snapshot.lags(&snapshot.groups["fan-out"]).map(|(_, _, lag)| lag).collect()
    }

    #[test]
    fn lag_is_what_lies_between_commit_and_end() {
        assert_eq!(lag(&snapshot(Some(12), 20)), [8]);
    }

    #[test]
    fn a_group_that_never_committed_has_all_before_it() {
        assert_eq!(lag(&snapshot(None, 20)), [15]);
    }

    #[test]
    fn lag_is_not_negative_on_a_kafka_that_was_emptied() {
        assert_eq!(lag(&snapshot(Some(99), 20)), [0]);
    }

    #[test]
    fn an_end_that_was_not_told_is_that_of_before() {
        let mut now = snapshot(Some(12), 20);
        now.topics.get_mut("sales").unwrap().get_mut(&0).unwrap().end = None;
        keep_missing_ends(&mut now, &snapshot(Some(10), 18));
        assert_eq!(lag(&now), [6]);
    }
}
