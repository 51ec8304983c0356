//! What Kafka reports about its topics and consumer groups.
//!
//! The committed offsets are read before the ends of the partitions, so that a lag is never below zero. Kafka is asked by
//! few requests: the ends of all partitions come by one call. What it doesn't report of a partition or a group is unknown: an
//! old end beside a new commit would look like a log that was read to its end. Where nothing moves, what is left is read,
//! once: see [`crate::remainder`].

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use kafka::Asker;
use pipeline::Role;

use crate::remainder::{self, Id, Read};

/// One request to Kafka. All requests of a poll together take no longer than a few of these.
const REQUEST_LIMIT: Duration = Duration::from_secs(3);

/// Kafka's last answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    /// The address of each broker that is alive, by its number.
    pub(crate) brokers: BTreeMap<i32, String>,
    pub(crate) topics: BTreeMap<String, BTreeMap<i32, Partition>>,
    /// By the role whose group it is.
    pub(crate) groups: BTreeMap<String, Group>,
    /// What was read behind committed offsets.
    pub(crate) read: BTreeMap<Id, Read>,
}

/// One partition of a topic.
#[derive(Clone, Debug, Default)]
pub(crate) struct Partition {
    /// The broker that leads it, if one does.
    pub(crate) leader: Option<i32>,
    pub(crate) replicas: Vec<i32>,
    pub(crate) in_sync: usize,
    pub(crate) oldest: Option<i64>,
    pub(crate) end: Option<i64>,
}

/// One consumer group.
#[derive(Clone, Debug, Default)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) members: usize,
    /// By topic and partition; none where nothing has been committed yet.
    pub(crate) committed: BTreeMap<Id, Option<i64>>,
}

impl Partition {
    pub(crate) fn under_replicated(&self) -> bool {
        self.in_sync < self.replicas.len()
    }
}

impl Snapshot {
    /// Offsets between what a group committed and the end, by topic and partition; none where that is unknown.
    pub(crate) fn lags<'a>(&'a self, group: &'a Group) -> impl Iterator<Item = (&'a str, i32, Option<i64>)> {
        let ids = group.committed.keys();
        ids.map(|id| (id.0.as_str(), id.1, self.span(group, id).map(|(from, to)| self.left(id, from, to))))
    }

    /// The same, all partitions together.
    pub(crate) fn lag(&self, group: &Group) -> Option<u64> {
        self.lags(group).map(|(_, _, lag)| lag.map(i64::unsigned_abs)).sum()
    }

    /// The offset that a group reads next of a partition, and the end. A group that has committed nothing, or whose
    /// position was deleted, continues at the oldest record. If it has committed more than there is, the log has lost its end,
    /// and what the group has left to read is unknown.
    fn span(&self, group: &Group, id: &Id) -> Option<(i64, i64)> {
        let of = self.topics.get(&id.0)?.get(&id.1)?;
        let (oldest, end) = (of.oldest?, of.end?);
        let next = group.committed.get(id)?.map_or(oldest, |committed| committed.max(oldest));
        (next <= end).then_some((next, end))
    }

    fn left(&self, id: &Id, next: i64, end: i64) -> i64 {
        let is_left = self.read.get(id).and_then(|read| read.is_left(next, end));
        if is_left == Some(false) { 0 } else { end - next }
    }

    /// The spans that have not changed since `before` and were not read yet.
    fn resting(&self, before: &Self) -> BTreeMap<Id, (i64, i64)> {
        let mut resting: BTreeMap<Id, (i64, i64)> = BTreeMap::new();
        for (role, group) in &self.groups {
            let Some(last) = before.groups.get(role) else { continue };
            for id in group.committed.keys() {
                let Some((next, end)) = self.span(group, id) else { continue };
                let is_known = next == end || self.read.get(id).is_some_and(|read| read.is_left(next, end).is_some());
                if !is_known && before.span(last, id) == Some((next, end)) {
                    // Of several groups, the one that is furthest behind: what it has left the others have, or less.
                    let from = resting.get(id).map_or(next, |(from, _)| next.min(*from));
                    resting.insert(id.clone(), (from, end));
                }
            }
        }
        resting
    }

    /// Notes where partitions begin or end. An error if not all that were asked for are there.
    fn put(
        &mut self,
        which: &str,
        asked: usize,
        offsets: anyhow::Result<BTreeMap<Id, i64>>,
        put: fn(&mut Partition, i64),
    ) -> anyhow::Result<()> {
        let offsets = offsets.with_context(|| format!("asking for the {which} of partitions"))?;
        for ((topic, id), offset) in &offsets {
            if let Some(partition) = self.topics.get_mut(topic).and_then(|topic| topic.get_mut(id)) {
                put(partition, *offset);
            }
        }
        let missing = asked - offsets.len();
        ensure!(missing == 0, "the {which} of {missing} partitions is not known");
        Ok(())
    }

    pub(crate) fn partitions(&self) -> impl Iterator<Item = &Partition> {
        self.topics.values().flat_map(BTreeMap::values)
    }
}

/// Asks Kafka. Blocks: to be called on a thread that may wait.
pub(crate) struct Watcher {
    config: kafka::Config,
    cluster: Asker,
    groups: Vec<Watched>,
    known: BTreeSet<String>,
}

/// The group of a role, and the topics that it reads.
struct Watched {
    role: String,
    topics: Vec<String>,
    asker: Asker,
}

impl Watcher {
    /// Makes the clients, without connecting them yet. `roles` are those of etl.
    pub(crate) fn new(config: &kafka::Config, roles: impl Iterator<Item = Role>) -> anyhow::Result<Self> {
        let names = config.names();
        let groups = roles
            .map(|role| {
                let (role, topics) = (role.name().to_owned(), names.of(role.topics()));
                Ok(Watched { asker: Asker::new(config, &role)?, role, topics })
            })
            .collect::<anyhow::Result<_>>()?;
        let known = names.topics().into_iter().collect();
        Ok(Self { config: config.clone(), cluster: Asker::new(config, "reader")?, groups, known })
    }

    /// Asks for everything. Also returns what couldn't be had, which is missing then.
    pub(crate) fn poll(&self, before: &Snapshot) -> anyhow::Result<(Snapshot, Option<String>)> {
        let deadline = Instant::now() + 4 * REQUEST_LIMIT;
        let mut problems = Vec::new();
        let mut snapshot = self.metadata()?;
        for group in &self.groups {
            match group.read(&snapshot, remaining(deadline)) {
                Ok(now) => drop(snapshot.groups.insert(group.role.clone(), now)),
                Err(err) => problems.push(format!("{err:#}")),
            }
        }
        // After the commits, so that no lag is below zero.
        problems.extend(self.edges(&mut snapshot, deadline));
        snapshot.read.clone_from(&before.read);
        let resting = snapshot.resting(before);
        if !resting.is_empty() {
            match remainder::read(&self.config, &resting) {
                Ok(read) => snapshot.read.extend(read),
                Err(err) => problems.push(format!("{err:#}")),
            }
        }
        Ok((snapshot, (!problems.is_empty()).then(|| problems.join("; "))))
    }

    fn metadata(&self) -> anyhow::Result<Snapshot> {
        let metadata = self.cluster.metadata(REQUEST_LIMIT).context("reading the metadata")?;
        let mut snapshot = Snapshot::default();
        for broker in metadata.brokers() {
            snapshot.brokers.insert(broker.id, format!("{}:{}", broker.host, broker.port));
        }
        for it in metadata.partitions().filter(|it| self.known.contains(it.topic)) {
            let partition = Partition {
                leader: it.leader,
                replicas: it.replicas.to_vec(),
                in_sync: it.in_sync.len(),
                oldest: None,
                end: None,
            };
            snapshot.topics.entry(it.topic.to_owned()).or_default().insert(it.id, partition);
        }
        Ok(snapshot)
    }

    /// Asks where the partitions that have a leader begin and end. Returns what couldn't be had.
    fn edges(&self, snapshot: &mut Snapshot, deadline: Instant) -> Vec<String> {
        let led: Vec<(&str, i32)> = snapshot
            .topics
            .iter()
            .flat_map(|(topic, partitions)| {
                let led = partitions.iter().filter(|(_, partition)| partition.leader.is_some());
                led.map(|(id, _)| (topic.as_str(), *id))
            })
            .collect();
        let asked = led.len();
        let beginnings = self.cluster.beginnings(led.iter().copied(), remaining(deadline));
        let ends = self.cluster.ends(led.iter().copied(), remaining(deadline));
        [
            snapshot.put("beginning", asked, beginnings, |partition, offset| partition.oldest = Some(offset)),
            snapshot.put("end", asked, ends, |partition, offset| partition.end = Some(offset)),
        ]
        .into_iter()
        .filter_map(|put| put.err().map(|err| format!("{err:#}")))
        .collect()
    }
}

impl Watched {
    fn read(&self, snapshot: &Snapshot, limit: Duration) -> anyhow::Result<Group> {
        let name = self.asker.group();
        let doing = || format!("reading the group {name}");
        let partitions = self.topics.iter().flat_map(|topic| {
            let ids = snapshot.topics.get(topic).into_iter().flat_map(BTreeMap::keys);
            ids.map(|id| (topic.as_str(), *id))
        });
        let committed = self.asker.committed(partitions, limit).with_context(doing)?;
        // Without a topic there is no group to ask about.
        let members = if committed.is_empty() { 0 } else { self.asker.members(limit).with_context(doing)? };
        Ok(Group { name: name.to_owned(), members, committed })
    }
}

fn remaining(deadline: Instant) -> Duration {
    // Never zero: one slow request must not leave the others without an answer.
    deadline.saturating_duration_since(Instant::now()).min(REQUEST_LIMIT).max(REQUEST_LIMIT / 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(oldest: i64, end: i64) -> Partition {
        Partition { leader: Some(0), replicas: vec![0], in_sync: 1, oldest: Some(oldest), end: Some(end) }
    }

    fn snapshot(committed: Option<i64>, end: i64) -> Snapshot {
        let topics = BTreeMap::from([("sales".to_owned(), BTreeMap::from([(0, partition(5, end))]))]);
        let committed = BTreeMap::from([(id(), committed)]);
        let groups = BTreeMap::from([("fan-out".to_owned(), Group { members: 1, committed, ..Group::default() })]);
        Snapshot { topics, groups, ..Snapshot::default() }
    }

    fn id() -> Id {
        ("sales".to_owned(), 0)
    }

    fn lag(snapshot: &Snapshot) -> Option<u64> {
        snapshot.lag(&snapshot.groups["fan-out"])
    }

    #[test]
    fn lag_is_what_lies_between_commit_and_end() {
        assert_eq!(lag(&snapshot(Some(12), 20)), Some(8));
    }

    #[test]
    fn a_group_that_never_committed_has_all_before_it() {
        assert_eq!(lag(&snapshot(None, 20)), Some(15));
    }

    #[test]
    fn a_position_behind_the_start_of_the_log_counts_from_the_start() {
        assert_eq!(lag(&snapshot(Some(2), 20)), Some(15));
    }

    #[test]
    fn what_a_group_has_left_of_a_log_that_lost_its_end_is_unknown() {
        assert_eq!(lag(&snapshot(Some(99), 20)), None);
    }

    #[test]
    fn without_an_end_or_a_start_the_lag_is_unknown_and_not_0() {
        for forget in [|it: &mut Partition| it.end = None, |it: &mut Partition| it.oldest = None] {
            let mut now = snapshot(Some(12), 20);
            forget(now.topics.get_mut("sales").unwrap().get_mut(&0).unwrap());
            assert_eq!(lag(&now), None);
        }
    }

    #[test]
    fn a_marker_behind_the_last_record_is_no_lag() {
        let mut now = snapshot(Some(19), 20);
        now.read.insert(id(), Read { from: 19, to: 20, record: None });
        assert_eq!(lag(&now), Some(0));
        now.read.insert(id(), Read { from: 19, to: 20, record: Some(19) });
        assert_eq!(lag(&now), Some(1), "it is a record");
    }

    #[test]
    fn only_what_rests_and_is_not_known_yet_is_read() {
        let (moving, resting) = (snapshot(Some(11), 20), snapshot(Some(19), 20));
        assert_eq!(resting.resting(&moving), BTreeMap::new());
        assert_eq!(resting.resting(&resting), BTreeMap::from([(id(), (19, 20))]));
        let mut known = resting.clone();
        known.read.insert(id(), Read { from: 19, to: 20, record: None });
        assert_eq!(known.resting(&resting), BTreeMap::new());
        let at_the_end = snapshot(Some(20), 20);
        assert_eq!(at_the_end.resting(&at_the_end), BTreeMap::new());
    }
}
