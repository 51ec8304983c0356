//! Asks Kafka at intervals, and keeps its last answer while it is away.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use service::{Beat, state, unix_us};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::offsets::{Group, Snapshot, Watcher};

/// Kafka's last answer. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Offsets(Arc<Mutex<Last>>);

#[derive(Debug, Default)]
pub(crate) struct Last {
    /// The answer and when it came; none until the first.
    pub(crate) answer: Option<(Arc<Snapshot>, Instant)>,
    /// When it came, in microseconds since 1970.
    pub(crate) at_us: Option<i64>,
    /// Why there is no newer one, or what was missing in it.
    pub(crate) error: Option<String>,
}

impl Offsets {
    pub(crate) fn last(&self) -> MutexGuard<'_, Last> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// In short, for the state.
    pub(crate) fn summary(&self, now: Instant) -> Option<state::Kafka> {
        let last = self.last();
        let (snapshot, came) = last.answer.as_ref()?;
        let group = |(name, group): (&String, &Group)| state::Group {
            name: name.clone(),
            members: group.members,
            lag: snapshot.lags(group).map(|(_, _, lag)| lag.unsigned_abs()).sum(),
        };
        Some(state::Kafka {
            age_seconds: now.saturating_duration_since(*came).as_secs_f64(),
            brokers: snapshot.brokers,
            under_replicated: snapshot.partitions().filter(|it| it.under_replicated()).count(),
            leaderless: snapshot.partitions().filter(|it| it.leader.is_none()).count(),
            groups: snapshot.groups.iter().map(group).collect(),
            error: last.error.clone(),
        })
    }
}

/// Polls until `shutdown`. A Kafka that is away is normal: it is said once, and its last answer stays, with its age.
pub(crate) async fn run(
    watcher: Watcher,
    every: Duration,
    offsets: &Offsets,
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
        let polled = tokio::task::spawn_blocking(move || watcher.poll(&before)).await.context("asking kafka")?;
        offsets.last().take(polled);
    }
    Ok(())
}

impl Last {
    fn take(&mut self, polled: anyhow::Result<(Snapshot, Option<String>)>) {
        let error = match polled {
            Ok((snapshot, None)) => {
                self.answer = Some((Arc::new(snapshot), Instant::now()));
                self.at_us = Some(unix_us());
                None
            }
            Ok((snapshot, problem)) => {
                // Part of it is of before: so is its age.
                let came = self.answer.as_ref().map_or_else(Instant::now, |(_, came)| *came);
                self.answer = Some((Arc::new(snapshot), came));
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

    fn answered(brokers: usize) -> Snapshot {
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
    fn an_answer_with_a_part_of_before_has_the_age_of_before() {
        let offsets = Offsets::default();
        offsets.last().take(Ok((answered(3), None)));
        let first = offsets.last().answer.as_ref().unwrap().1;
        let first_us = offsets.last().at_us;
        offsets.last().take(Ok((answered(2), Some("1 partitions did not tell their ends".to_owned()))));
        assert_eq!(offsets.summary(Instant::now()).unwrap().brokers, 2);
        assert_eq!(offsets.last().answer.as_ref().unwrap().1, first);
        assert_eq!(offsets.last().at_us, first_us);
    }
}
