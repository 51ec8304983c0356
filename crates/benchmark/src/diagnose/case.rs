//! Which stage gave way, and what its time was spent on.

use pipeline::{Stage, Store};
use service::state::Shares;

use super::cause::{Cause, Change, Resource};
use super::evidence::{Evidence, Moment, Pod, StageSeen};
use super::signal::Signal;

/// The component of the brokers.
pub(super) const KAFKA: &str = "kafka";
/// The component of the shop, which may stand between the loaders and Kafka.
pub(super) const WEBAPP: &str = "webapp";
/// The component of the loaders.
pub(super) const LOADER: &str = Stage::Accepted.component();

/// The stage that gave way, with all that is known.
#[derive(Debug)]
pub(super) struct Case<'a> {
    pub(super) evidence: &'a Evidence,
    pub(super) stage: &'a StageSeen,
    /// Where its time goes; none if its role does not say.
    pub(super) time: Option<Spent>,
}

/// Shares of the time of a stage's busiest thread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spent {
    pub(super) working: f64,
    pub(super) kafka: f64,
    pub(super) store: f64,
}

impl<'a> Case<'a> {
    /// Finds the stage; none if that can't be told.
    pub(super) fn find(evidence: &'a Evidence) -> Option<Self> {
        let stage = growing(&evidence.failed).or_else(|| slowest(&evidence.failed))?;
        Some(Self { evidence, stage, time: spent(stage) })
    }

    /// The component that fills the stage.
    pub(super) fn component(&self) -> &'a str {
        &self.stage.component
    }

    /// The store that the stage's role waits for, if it waits for one.
    pub(super) fn store(&self) -> Option<&'static str> {
        Stage::named(&self.stage.stage)?.role()?.store().map(Store::name)
    }

    /// Share of the time spent on waiting for Kafka.
    pub(super) fn on_kafka(&self) -> f64 {
        self.time.map_or(0.0, |time| time.kafka)
    }

    /// Share of the time spent on waiting for a store of this name.
    pub(super) fn on_store(&self, store: &str) -> f64 {
        if self.store() == Some(store) { self.time.map_or(0.0, |time| time.store) } else { 0.0 }
    }

    /// Share of the time spent on work.
    pub(super) fn on_work(&self) -> f64 {
        self.time.map_or(0.0, |time| time.working)
    }

    /// The pods of a component in the step that failed.
    pub(super) fn pods(&self, component: &'a str) -> impl Iterator<Item = &'a Pod> {
        self.evidence.failed.pods(component)
    }

    /// Components that the stage's time may be spent on: its own, the shop if there is one on its way, Kafka, its store.
    pub(super) fn suspects(&self) -> impl Iterator<Item = &'a str> {
        let has_shop = self.component() == LOADER && self.pods(WEBAPP).next().is_some();
        [Some(self.component()), has_shop.then_some(WEBAPP), Some(KAFKA), self.store()].into_iter().flatten()
    }

    /// A signal of a pod.
    pub(super) fn signal(&self, pod: &Pod, read: impl Fn(&Pod) -> Option<f64>) -> Signal {
        Signal::of_pod(self.evidence, &pod.pod, read)
    }

    /// The pod of a component whose signal is furthest beyond its line, if one is and has changed.
    pub(super) fn worst(
        &self,
        component: &'a str,
        line: f64,
        read: impl Fn(&Pod) -> Option<f64> + Copy,
    ) -> Option<(&'a Pod, Signal)> {
        self.pods(component)
            .map(|pod| (pod, self.signal(pod, read)))
            .filter(|(_, signal)| signal.rose_beyond(line))
            .max_by(|(_, a), (_, b)| a.strength(line).total_cmp(&b.strength(line)))
    }

    /// Whether a signal is known of all pods of a component and beyond its line in none.
    pub(super) fn all_below(&self, component: &'a str, line: f64, read: impl Fn(&Pod) -> Option<f64>) -> bool {
        let mut pods = self.pods(component).peekable();
        pods.peek().is_some() && pods.all(|pod| read(pod).is_some_and(|value| value < line))
    }

    /// A cause at this stage.
    pub(super) fn cause(&self, row: u8, component: &str, resource: Resource, strength: f64) -> Cause {
        Cause {
            row,
            stage: self.stage.stage.clone(),
            component: component.to_owned(),
            pod: None,
            node: None,
            resource,
            because: String::new(),
            advice: String::new(),
            change: None,
            strength,
        }
    }
}

impl Cause {
    pub(super) fn because(self, because: impl Into<String>) -> Self {
        Self { because: because.into(), ..self }
    }

    pub(super) fn advise(self, advice: impl Into<String>) -> Self {
        Self { advice: advice.into(), ..self }
    }

    pub(super) fn change(self, change: Change) -> Self {
        Self { change: Some(change), ..self }
    }

    pub(super) fn at(self, pod: &Pod) -> Self {
        let node = (!pod.node.is_empty()).then(|| pod.node.clone());
        Self { pod: Some(pod.pod.clone()), node, ..self }
    }
}

/// The first stage in the order of the flow whose lag grows. Stages that have the same one before them stand side by side:
/// of those the one with the lower ceiling. None if the lag of a stage before it is unknown.
fn growing(failed: &Moment) -> Option<&StageSeen> {
    let grows = |stage: &&StageSeen| stage.lag_grows == Some(true);
    let first = failed.stages.iter().find(grows)?;
    let is_known = |stage: Stage| failed.stage(stage.name()).is_some_and(|seen| seen.lag_grows.is_some());
    if !std::iter::successors(before(first), |stage| stage.after()).all(is_known) {
        return None;
    }
    let beside = failed.stages.iter().filter(grows).filter(|stage| before(stage) == before(first));
    let known: Option<Vec<(f64, &StageSeen)>> = beside.map(|stage| Some((stage.ceiling?, stage))).collect();
    let lowest = known.and_then(|known| known.into_iter().min_by(|(a, _), (b, _)| a.total_cmp(b)));
    Some(lowest.map_or(first, |(_, stage)| stage))
}

/// Without a lag that grows: the stage at which sales spend the longest time.
fn slowest(failed: &Moment) -> Option<&StageSeen> {
    let spent = |seen: &StageSeen| {
        let here = seen.p99_us?;
        let until = match before(seen) {
            Some(before) => failed.stage(before.name())?.p99_us?,
            None => 0,
        };
        Some(here.saturating_sub(until))
    };
    // Where a lag is unknown, it may be that one that grows.
    if failed.stages.iter().any(|stage| stage.lag_grows != Some(false)) {
        return None;
    }
    failed
        .stages
        .iter()
        .filter_map(|seen| Some((spent(seen)?, seen)))
        .max_by_key(|(spent, _)| *spent)
        .map(|(_, seen)| seen)
}

fn before(seen: &StageSeen) -> Option<Stage> {
    Stage::named(&seen.stage)?.after()
}

/// What the time went to. A role that waits for input while there is a lag is not idle: it waits for the source of that input.
fn spent(stage: &StageSeen) -> Option<Spent> {
    if stage.component == LOADER {
        // What it waits for is known from why it was late.
        return (stage.lag_grows == Some(true)).then_some(Spent { working: 0.0, kafka: 1.0, store: 0.0 });
    }
    let Shares { working, waiting_for_input, waiting_for_kafka, waiting_for_store } = stage.time?;
    let input = if stage.lag_grows == Some(true) { waiting_for_input } else { 0.0 };
    // The spout's input comes from Postgres.
    let from_store = before(stage).is_some_and(|before| before.place().store().is_some());
    let (kafka, store) = if from_store { (0.0, input) } else { (input, 0.0) };
    let spent = Spent { working, kafka: waiting_for_kafka + kafka, store: waiting_for_store + store };
    // Of the time that it did not idle.
    let busy = spent.working + spent.kafka + spent.store;
    (busy > 0.0).then(|| Spent { working: working / busy, kafka: spent.kafka / busy, store: spent.store / busy })
}
