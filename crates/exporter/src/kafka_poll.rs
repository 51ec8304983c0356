//! Asks Kafka at intervals, and keeps its last answer for a while when Kafka is away.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use service::{Beat, state, unix_us};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::lag;
use crate::offsets::{Group, Snapshot, Watcher};
use crate::poll::Reports;

/// An older answer is no longer exported: a lag that doesn't move would look as if all were well.
const KEPT: Duration = Duration::from_mins(1);

/// Kafka's last answer. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Offsets(Arc<Mutex<Last>>);

#[derive(Debug, Default)]
pub(crate) struct Last {
    /// The answer and when it came; none until the first.
    pub(crate) answer: Option<(Arc<Snapshot>, Instant)>,
    /// When Kafka last answered every question, in microseconds since 1970.
    pub(crate) at_us: Option<i64>,
    /// Whether it answered at all when it was last asked; none before that.
    pub(crate) is_up: Option<bool>,
    /// Why there is no newer one, or what was missing in it.
    pub(crate) error: Option<String>,
}

/// Where a topic of one partition ends, as of Kafka's last answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// There is no topic.
    NoTopic,
    /// Its end.
    At(i64),
}

impl Offsets {
    pub(crate) fn last(&self) -> MutexGuard<'_, Last> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// None until Kafka has answered, and while that partition's end is not known.
    pub(crate) fn end(&self, topic: &str) -> Option<End> {
        let last = self.last();
        let (snapshot, _) = last.answer.as_ref()?;
        match snapshot.topics.get(topic) {
            None => Some(End::NoTopic),
            Some(partitions) => Some(End::At(partitions.get(&0)?.end?)),
        }
    }

    /// A summary for the state.
    pub(crate) fn summary(&self, now: Instant) -> Option<state::Kafka> {
        let last = self.last();
        let (snapshot, came) = last.answer.as_ref()?;
        let group =
            |group: &Group| state::Group { name: group.name.clone(), members: group.members, lag: snapshot.lag(group) };
        Some(state::Kafka {
            age_seconds: now.saturating_duration_since(*came).as_secs_f64(),
            brokers: snapshot.brokers.len(),
            under_replicated: snapshot.partitions().filter(|it| it.under_replicated()).count(),
            leaderless: snapshot.partitions().filter(|it| it.leader.is_none()).count(),
            groups: snapshot.groups.values().map(group).collect(),
            error: last.error.clone(),
        })
    }
}

/// Polls until `shutdown`. A Kafka that is away is normal: it is logged once, and the last answer stays, with its age.
pub(crate) async fn run(
    watcher: Watcher,
    every: Duration,
    offsets: &Offsets,
    reports: &Reports,
    beat: Beat,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    let watcher = Arc::new(watcher);
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
        beat.turned();
        let (watcher, before) = (Arc::clone(&watcher), offsets.last().answer.clone());
        let before = before.map(|(snapshot, _)| snapshot).unwrap_or_default();
        // Each request has its limit, so that a shutdown waits for a few seconds at most.
        let asked = Instant::now();
        let polled = tokio::task::spawn_blocking(move || watcher.poll(&before)).await.context("asking kafka")?;
        if let Ok((snapshot, _)) = &polled {
            let left = left(snapshot);
            lag::observe(&mut reports.ledger(), &left, asked.elapsed(), Instant::now());
        }
        offsets.last().take(polled);
    }
    Ok(())
}

/// What the group of each role has left to read.
fn left(snapshot: &Snapshot) -> BTreeMap<String, u64> {
    snapshot.groups.iter().filter_map(|(role, group)| Some((role.clone(), snapshot.lag(group)?))).collect()
}

impl Last {
    /// The answer, unless it is too old to be shown without its age.
    pub(crate) fn fresh(&self, now: Instant) -> Option<Arc<Snapshot>> {
        let (snapshot, came) = self.answer.as_ref()?;
        (now.saturating_duration_since(*came) <= KEPT).then(|| Arc::clone(snapshot))
    }

    fn take(&mut self, polled: anyhow::Result<(Snapshot, Option<String>)>) {
        self.is_up = Some(polled.is_ok());
        let error = match polled {
            Ok((snapshot, problem)) => {
                self.answer = Some((Arc::new(snapshot), Instant::now()));
                if problem.is_none() {
                    self.at_us = Some(unix_us());
                }
                problem
            }
            Err(err) => Some(format!("{err:#}")),
        };
        match (&self.error, &error) {
            (None, Some(error)) => warn!("kafka can't be asked: {error}"),
            (Some(_), None) => info!("kafka can be asked again"),
            _ => {}
        }
        self.error = error;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(brokers: i32) -> Snapshot {
        let brokers = (0..brokers).map(|id| (id, format!("kafka-{id}:9092"))).collect();
        Snapshot { brokers, ..Snapshot::default() }
    }

    #[test]
    fn a_kafka_that_is_away_leaves_its_last_answer_and_that_grows_old() {
        let offsets = Offsets::default();
        assert!(offsets.summary(Instant::now()).is_none(), "nothing is known yet");
        offsets.last().take(Ok((answered(3), None)));
        offsets.last().take(Err(anyhow::anyhow!("timed out")));
        let summary = offsets.summary(Instant::now() + Duration::from_secs(50)).unwrap();
        assert_eq!(summary.brokers, 3);
        assert!(summary.age_seconds >= 50.0);
        assert_eq!(summary.error.as_deref(), Some("timed out"));
    }

    #[test]
    fn offsets_of_a_minute_ago_are_no_longer_shown() {
        let mut last = Last::default();
        assert_eq!(last.is_up, None);
        last.take(Ok((answered(3), None)));
        last.take(Err(anyhow::anyhow!("timed out")));
        assert_eq!(last.is_up, Some(false));
        let came = last.answer.as_ref().unwrap().1;
        assert!(last.fresh(came + Duration::from_secs(59)).is_some());
        assert!(last.fresh(came + Duration::from_secs(61)).is_none());
    }

    #[test]
    fn an_answer_that_lacks_a_part_is_no_success() {
        let mut last = Last::default();
        last.take(Ok((answered(3), None)));
        last.at_us = Some(7);
        last.take(Ok((answered(2), Some("1 partitions did not tell their ends".to_owned()))));
        assert_eq!((last.at_us, last.is_up), (Some(7), Some(true)));
        assert_eq!(last.answer.as_ref().unwrap().0.brokers.len(), 2, "what it has is of now");
    }
}
