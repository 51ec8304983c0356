//! Elasticity: how long after a jump of the load all service levels hold again. Pure: it takes what was seen, says which windows
//! to judge, and what they mean.
//!
//! The levels hold *again* when they hold throughout a window, which is as long as a judged step. Windows begin one look after
//! the other; the time from the jump to the beginning of the first that held is the result. A window can't be drained before it
//! is judged, as a step is: its latencies are those of the sales that arrived in it. What is still on its way then can hide
//! nothing, since the lag may be above the latency limit neither at its end nor at its beginning.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use service::state::{Received, State};

use crate::capsule::{Audit, Jump, Recovery};
use crate::decide::distrusted;
use crate::judge::{Criterion, Judged, Met, SAME_PODS, Second, Snapshot, Terms, Window, judge};
use crate::report::words::{duration, rate};
use crate::search::Outcome;
use crate::verdict::{Decision, Verdict};

/// How many pods each role behind the loaders has, of those that have ever answered: one that is slow to answer is still there.
pub(crate) fn pods(state: &State) -> BTreeMap<String, usize> {
    let roles = state.stages.iter().skip(1).map(|stage| stage.component.clone());
    roles
        .map(|role| {
            let there = state.instances.iter().filter(|it| it.component == role && it.pod.is_some()).count();
            (role, there)
        })
        .collect()
}

/// The roles whose number of pods has changed, with the new one.
pub(crate) fn changes<'a>(
    before: &'a BTreeMap<String, usize>,
    now: &'a BTreeMap<String, usize>,
) -> impl Iterator<Item = (&'a String, usize)> {
    now.iter().filter(move |(role, pods)| before.get(*role) != Some(*pods)).map(|(role, pods)| (role, *pods))
}

/// What was seen since the jump, as far back as a window goes.
#[derive(Debug)]
pub(crate) struct Watch {
    /// Seconds that a window lasts.
    window: f64,
    /// The first look after the jump, and when it was.
    first: (f64, Snapshot),
    looks: VecDeque<(f64, Snapshot)>,
    /// Each second in which the exporter was asked, and what it answered.
    seconds: VecDeque<(f64, Option<Second>)>,
}

/// A window that can be judged.
#[derive(Debug)]
pub(crate) struct Seen {
    /// Seconds from the jump to its beginning: 0 for the first window.
    pub(crate) from: f64,
    pub(crate) window: Window,
}

impl Watch {
    /// Begins with the first look after the jump. Times are in seconds since the jump.
    pub(crate) fn new(window: f64, at: f64, look: Snapshot) -> Self {
        Self { window, first: (at, look.clone()), looks: [(at, look)].into(), seconds: VecDeque::new() }
    }

    /// Takes what the exporter answered in one second; none if it did not.
    pub(crate) fn second(&mut self, at: f64, second: Option<Second>) {
        self.seconds.push_back((at, second));
    }

    /// Takes another look, and returns the window that it ends; none if there is not enough for one yet.
    pub(crate) fn look(&mut self, at: f64, look: Snapshot) -> Option<Seen> {
        self.looks.push_back((at, look));
        while self.looks.get(1).is_some_and(|(next, _)| next + self.window <= at) {
            self.looks.pop_front();
        }
        let from = self.looks.front().map(|(from, _)| *from).filter(|from| from + self.window <= at)?;
        while self.seconds.front().is_some_and(|(second, _)| *second < from) {
            self.seconds.pop_front();
        }
        let (_, begin) = self.looks.front()?;
        let (_, end) = self.looks.back()?;
        let seconds = self.seconds.iter().filter_map(|(_, second)| second.clone()).collect();
        let is_first = from <= self.first.0;
        let window = Window { seconds, asked: self.seconds.len(), ..between(begin, end) };
        Some(Seen { from: if is_first { 0.0 } else { from }, window })
    }

    /// The judged window, with the conditions that were broken at any time since the jump: late loaders, for example, spoil the
    /// result even if the last window is without fault.
    pub(crate) fn since_jump(&self, mut judged: Judged, terms: &Terms) -> Judged {
        let Some((_, end)) = self.looks.back() else { return judged };
        let whole = judge(&between(&self.first.1, end), terms);
        for (own, all) in judged.trust.iter_mut().zip(whole.trust) {
            if is_broken(&all) {
                *own = all;
            }
        }
        if judged.trust.iter().any(is_broken) {
            judged.outcome = Outcome::Invalid;
        }
        judged
    }
}

/// Pods may come and go: that is what is measured.
fn is_broken(condition: &Criterion) -> bool {
    condition.met == Met::No && condition.name != SAME_PODS
}

/// A window that is not drained: how many sales did not arrive is not known, but that they are few is a matter of the lag. A pod
/// that was not there at its beginning had done nothing by then.
fn between(begin: &Snapshot, end: &Snapshot) -> Window {
    let mut begin = begin.clone();
    let is_new = |now: &&Received| {
        !begin.reports.iter().any(|it| it.component == now.component && it.report.pod == now.report.pod)
    };
    let new: Vec<Received> = end.reports.iter().filter(is_new).map(|now| unborn(now, begin.state.at_us)).collect();
    begin.reports.extend(new);
    let mut drained = end.clone();
    for stage in &mut drained.state.stages {
        stage.lag = None;
    }
    Window { begin, end: end.clone(), drained, ..Window::default() }
}

fn unborn(now: &Received, at_us: i64) -> Received {
    let mut before = now.clone();
    before.report.at_us = at_us.min(now.report.at_us - 1);
    before.report.counters.clear();
    before.report.latencies.clear();
    before.report.threads.clear();
    before.report.resources = None;
    before
}

/// Whether all service levels held in a window, and nothing that was late already was waiting at its beginning.
pub(crate) fn holds(judged: &Judged, terms: &Terms) -> bool {
    let limit = terms.offered * terms.latency_limit.as_secs_f64();
    judged.outcome == Outcome::Held && judged.lags.iter().all(|lag| lag.first <= limit)
}

/// What was wrong in a window that did not hold.
pub(crate) fn wrong(judged: &Judged) -> Option<&Criterion> {
    let lag = || judged.levels.iter().find(|level| level.name.starts_with("lag"));
    judged.broken().or_else(|| judged.distrust()).or_else(lag)
}

/// The rate before the jump does not hold, so that there is nothing to recover.
pub(crate) fn does_not_hold(jump: &Jump, judged: &Judged) -> Decision {
    let why = judged.broken().map_or_else(String::new, |it| format!(": {}, {}", it.name, it.measured));
    Decision::could_not_run(
        format!("{} sales/s do not hold, even before the jump{why}", rate(jump.from)),
        "lower benchmark.elasticity.from; without benchmark.elasticity, the benchmark finds the rate that holds",
    )
}

/// Decides, with the judged window that held or, if none did, the last one. What can't be trusted comes first. That the levels do
/// not hold again does not depend on the auditor, which may be as far behind as the pipeline.
pub fn decide(jump: &Jump, recovery: &Recovery, judged: &Judged, audit: &Audit) -> Decision {
    if let Some(why) = judged.trust.iter().find(|it| is_broken(it)) {
        return distrusted(why);
    }
    if audit.findings.met == Met::No {
        return Decision::fail(format!("the auditor found: {}", audit.findings.measured));
    }
    if recovery.seconds.is_none() {
        let restarted = judged.trust.iter().find(|it| it.met == Met::No);
        return match (judged.broken().or(restarted), judged.distrust()) {
            (None, Some(unknown)) => distrusted(unknown),
            (broken, _) => {
                let broken = broken.map_or_else(String::new, |it| format!(": {}, {}", it.name, it.measured));
                Decision::fail(format!(
                    "the service levels did not hold again within {} of the jump from {}{broken}",
                    duration(jump.within_seconds),
                    jump.rates()
                ))
            }
        };
    }
    if let Some(decision) = audit.decision() {
        return decision;
    }
    Decision { verdict: Verdict::Pass, reason: recovery.reason(jump), remedy: None }
}
