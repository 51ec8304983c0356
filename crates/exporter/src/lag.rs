//! The lag of a stage: sales accepted − sales found there, by the programs' own counters, less the [base](crate::base).
//!
//! Found is asked for before accepted, yet a sale may be found before its loader has heard that it was accepted. A little
//! below zero is therefore 0. Far below, accepted sales were never reported, and the lag is absent. So it is while a
//! loader does not report: what it has had accepted since then isn't known.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use pipeline::{Place, Role, Stage};

use crate::base::Seen;
use crate::config::LOADER;
use crate::ledger::Ledger;

/// How much later than others a program may report: two polls.
const SKEW: Duration = Duration::from_secs(2);
/// A batch, when the load has just begun.
const SKEW_SALES: u64 = 100;

/// Takes an answer of Kafka's: what each role's group has left, and how long the answer took.
pub(crate) fn observe(ledger: &mut Ledger, left: &BTreeMap<String, u64>, took: Duration, now: Instant) {
    if !are_heard(ledger, LOADER, now) {
        return;
    }
    for stage in Stage::ALL.into_iter().filter(|stage| stage.after().is_some()) {
        let seen = roles(stage).map(|role| left.get(role.name()).copied()).sum::<Option<u64>>();
        let seen = seen.and_then(|left| seen_at(ledger, stage, left, took, now));
        if let Some(seen) = seen.filter(|_| are_heard(ledger, stage.component(), now)) {
            ledger.bases.entry(stage.name()).or_default().observe(seen);
        }
    }
}

/// The lag of a stage; none if it isn't known.
pub(crate) fn of(ledger: &Ledger, stage: Stage, now: Instant) -> Option<u64> {
    let seen = seen_at(ledger, stage, 0, Duration::ZERO, now)?;
    if stage.after().is_none() {
        return Some(0);
    }
    ledger.bases.get(stage.name())?.lag(&seen).filter(|_| are_heard(ledger, LOADER, now))
}

fn seen_at(ledger: &Ledger, stage: Stage, left: u64, took: Duration, now: Instant) -> Option<Seen> {
    let source = Stage::Accepted;
    let rate = |stage: Stage| ledger.rate(stage.component(), stage.name(), now).unwrap_or(0.0);
    let apart = rate(source).max(rate(stage)) * (SKEW + took).as_secs_f64();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of sales")]
    let slack = apart as u64 + SKEW_SALES;
    Some(Seen {
        accepted: ledger.total(source.component(), source.name())?,
        found: ledger.total(stage.component(), stage.name())?,
        left,
        slack,
        lost: ledger.lost(source.component()) + ledger.lost(stage.component()),
    })
}

/// The roles whose positions tell together what is left before a stage: its own, and those that fill the topics in which
/// that one's are counted.
fn roles(stage: Stage) -> impl Iterator<Item = Role> {
    let filling = |role: &Role| {
        let source = Place::Topic(role.topics());
        Stage::ALL.into_iter().find(|stage| stage.place() == source).and_then(Stage::role)
    };
    std::iter::successors(stage.role(), filling)
}

/// Whether all of a component's instances that were ever heard report.
fn are_heard(ledger: &Ledger, component: &str, now: Instant) -> bool {
    ledger.of(component, now).flatten().all(|it| !it.is_stale(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_on_the_way_counts() {
        let of = |stage| roles(stage).collect::<Vec<_>>();
        assert_eq!(of(Stage::Accepted), []);
        assert_eq!(of(Stage::Routed), [Role::FanOut]);
        assert_eq!(of(Stage::Stored), [Role::Postgres, Role::FanOut]);
        assert_eq!(of(Stage::Returned), [Role::Spout, Role::FanOut]);
    }
}
