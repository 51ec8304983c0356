//! One step: settle, measure, take the rate back, wait until the queues are empty.

use std::time::Duration;

use pipeline::Stage;
use service::state::State;
use tokio::time::Instant;

use super::cluster::Cluster;
use super::{Runner, Stop};
use crate::capsule::Point;
use crate::judge::{Second, Snapshot, Window};
use crate::report::progress::Progress;
use crate::verdict::Decision;

/// Kafka's offsets are read each five seconds.
const PARTITIONS_EVERY: usize = 5;
/// Tries to get a snapshot: the exporter may be busy, as the cluster is.
const TRIES: usize = 5;
/// A stage with no more sales than these before it is empty, since a little load goes on.
const EMPTY: u64 = 20;
/// A stage that is so many times the latency limit behind has made more sales late than a p99 allows, whatever follows.
const HOPELESS: f64 = 5.0;
/// Looks that a step needs to be judged.
const LEAST_ASKED: usize = 20;
/// How many times the time to drain a step may take before the next one can begin.
const DRAINS: usize = 10;
/// Ticks after which the exporter has polled what was told to stop.
pub(super) const POLLED: u32 = 2;

impl<C: Cluster> Runner<'_, C> {
    /// Offers a rate and watches what comes of it.
    pub(super) async fn step(&mut self, rate: f64, name: &str, measure: Duration) -> Result<Window, Stop> {
        self.empty().await?;
        self.offer(rate, name).await?;
        self.wait("settle", self.pace.times.settle).await?;
        let begin = self.snapshot().await?;
        let (seconds, asked) = self.measure(rate, measure).await?;
        let end = self.snapshot().await?;
        self.rest(name).await?;
        let (drain, drained) = (self.drain().await?, self.snapshot().await?);
        Ok(Window { begin, end, drained, seconds, asked, drain })
    }

    /// Looks at the exporter each second. Ends early once the step must fail, so that its remains are soon drained.
    async fn measure(&mut self, rate: f64, length: Duration) -> Result<(Vec<Second>, usize), Stop> {
        let limit = HOPELESS * self.config.limit().as_secs_f64() * rate;
        let (mut seconds, mut asked, until) = (Vec::new(), 0, Instant::now() + length);
        while Instant::now() < until {
            let second = self.second("measure", asked).await?;
            asked += 1;
            let Some(second) = second else { continue };
            let is_hopeless = second.state.stages.iter().filter_map(|stage| stage.lag).any(|lag| lag as f64 > limit);
            seconds.push(second);
            if is_hopeless && asked >= LEAST_ASKED {
                break;
            }
        }
        Ok((seconds, asked))
    }

    /// Asks the exporter once, after it was asked so many times; now and then also for the partitions. None if it did not answer.
    pub(super) async fn second(&mut self, doing: &'static str, asked: usize) -> Result<Option<Second>, Stop> {
        let state = self.tick(doing).await?;
        let partitions = match asked % PARTITIONS_EVERY {
            0 => self.cluster.partitions().await.ok(),
            _ => None,
        };
        Ok(state.map(|state| Second { state, partitions }))
    }

    /// Waits until every stage has found all that was accepted. Returns how long that took; none if it was too long.
    pub(super) async fn drain(&mut self) -> Result<Option<Duration>, Stop> {
        let began = Instant::now();
        for _ in 0..POLLED {
            self.tick("drain").await?;
        }
        while began.elapsed() < self.pace.times.drain {
            if let Some(state) = self.tick("drain").await?
                && state.stages.iter().skip(1).all(|stage| stage.lag.is_some_and(|lag| lag <= EMPTY))
            {
                self.is_empty = true;
                return Ok(Some(began.elapsed()));
            }
        }
        Ok(None)
    }

    /// A step must not start on the remains of the last: waits for them longer than the last did.
    async fn empty(&mut self) -> Result<(), Stop> {
        if self.is_empty {
            return Ok(());
        }
        for _ in 0..DRAINS {
            if self.drain().await?.is_some() {
                return Ok(());
            }
        }
        Err(Stop(Decision::invalid(
            "the pipeline did not empty its queues, although next to nothing was offered",
            "look at the live page for the stage that has stopped, and at the log of its pods",
        )))
    }

    /// Everything cumulative, at this moment.
    pub(super) async fn snapshot(&mut self) -> Result<Snapshot, Stop> {
        for _ in 0..TRIES {
            let both = (self.cluster.state().await, self.cluster.reports().await);
            if let (Ok(state), Ok(reports)) = both {
                return Ok(Snapshot { state, reports });
            }
            self.tick("wait").await?;
        }
        Err(Stop::no_exporter())
    }

    /// Prints how it goes, every ten seconds.
    pub(super) fn progress(&mut self, doing: &'static str, state: &State) {
        let point = point(state, 0.0);
        let hottest = state.resources.iter().find(|used| used.resource == "cpu" && !used.stale);
        let load = state.load.as_ref();
        let elapsed = self.began.elapsed();
        let progress = Progress {
            at: self.nominal(elapsed),
            step: self.steps.len() + 1,
            of: None,
            doing,
            due: load.and_then(|load| load.asked),
            sent: load.and_then(|load| load.sent),
            stored: point.stored,
            p99_us: point.p99_us,
            lag: point.lag,
            findings: state.findings.as_ref().map(|findings| findings.total),
            late_us: load.and_then(|load| load.schedule_lag?.p99_us),
            hottest: hottest.map(|used| (used.pod.clone(), used.ratio)),
            eta: self.until.map(|until| self.nominal(until.saturating_duration_since(Instant::now()))),
        };
        (self.print)(&progress.line());
    }
}

/// A moment as a point of a step's course.
pub(super) fn point(state: &State, at: f64) -> Point {
    let after_first = || state.stages.iter().skip(1);
    let stores =
        || after_first().filter(|stage| Stage::named(&stage.name).is_some_and(|it| it.place().store().is_some()));
    let slowest = stores().map(|stage| stage.rate).reduce(|all, one| Some(all?.min(one?))).flatten();
    Point {
        at,
        sent: state.load.as_ref().and_then(|load| load.sent),
        stored: slowest,
        p99_us: stores().filter_map(|stage| stage.recent?.p99_us).max(),
        lag: after_first().filter_map(|stage| stage.lag).max(),
    }
}
