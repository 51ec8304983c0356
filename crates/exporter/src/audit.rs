//! What the auditor reports about each stage: the part of its `/api/v1/account` that is shown here.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Deserialize;
use service::findings::Kind;
use service::state::{Audited, Count, Findings};

use crate::config::STALE;

/// The account. What an auditor of another release leaves out is absent.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Account {
    stages: BTreeMap<String, Tally>,
    counts: Vec<Count>,
    auditable: bool,
    remarks: Vec<String>,
    position: Position,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct Position {
    audit_backlog: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct Tally {
    found: u64,
    late: u64,
    lost: u64,
}

/// The account and when it came.
#[derive(Clone, Debug)]
pub(crate) struct Audit {
    pub(crate) account: Account,
    pub(crate) received: Instant,
}

impl Audit {
    /// What was found, by stage and kind; none if the auditor has stopped answering.
    pub(crate) fn findings(&self, now: Instant) -> Option<Findings> {
        let age = self.age(now)?;
        let counted = |stage: &str, kind: &str| {
            self.account.counts.iter().find(|count| count.stage == stage && count.kind == kind)
        };
        // Shown also where there is none: a series must begin at 0.
        let all = self.account.stages.keys().flat_map(|stage| {
            Kind::ALL.map(|kind| Count { stage: stage.clone(), kind: kind.name().to_owned(), findings: 0 })
        });
        let missing = all.filter(|count| counted(&count.stage, &count.kind).is_none());
        let mut counts: Vec<_> = self.account.counts.iter().cloned().chain(missing).collect();
        counts.sort_by(|a, b| (&a.stage, &a.kind).cmp(&(&b.stage, &b.kind)));
        Some(Findings {
            age_seconds: age.as_secs_f64(),
            auditable: self.account.auditable,
            remarks: self.account.remarks.clone(),
            backlog: self.account.position.audit_backlog,
            total: self.account.counts.iter().map(|count| count.findings).sum(),
            counts,
        })
    }

    /// Its figures for a stage; none if it has none, or has stopped answering.
    pub(crate) fn of(&self, stage: &str, now: Instant) -> Option<Audited> {
        self.age(now)?;
        let Tally { found, late, lost } = *self.account.stages.get(stage)?;
        Some(Audited { found, late, lost })
    }

    fn age(&self, now: Instant) -> Option<Duration> {
        let age = now.saturating_duration_since(self.received);
        (age <= STALE).then_some(age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn audit(account: &str) -> (Audit, Instant) {
        let received = Instant::now();
        (Audit { account: serde_json::from_str(account).unwrap(), received }, received)
    }

    const ACCOUNT: &str = r#"{
        "stages": {"routed": {"found": 90, "late": 7, "lost": 3, "duplicate": 1}, "stored": {"found": 80}},
        "counts": [{"stage": "routed", "kind": "lost", "findings": 3}, {"stage": "routed", "kind": "new", "findings": 2}],
        "auditable": true, "remarks": ["it reads late"], "position": {"rounds": 9, "audit_backlog": 70}
    }"#;

    #[test]
    fn findings_are_by_stage_and_kind_and_begin_at_0() {
        let (audit, now) = audit(ACCOUNT);
        let findings = audit.findings(now).unwrap();
        assert_eq!((findings.total, findings.auditable, findings.backlog), (5, true, Some(70)));
        assert_eq!(findings.remarks, ["it reads late"]);
        let of = |stage: &str, kind: &str| {
            let found = findings.counts.iter().filter(|count| count.stage == stage && count.kind == kind);
            found.map(|count| count.findings).collect::<Vec<_>>()
        };
        assert_eq!((of("routed", "lost"), of("routed", "new")), (vec![3], vec![2]));
        assert_eq!((of("routed", "altered"), of("stored", "lost"), of("cached", "lost")), (vec![0], vec![0], vec![]));
    }

    #[test]
    fn what_it_says_of_a_stage_has_a_name_of_its_own() {
        let (audit, now) = audit(ACCOUNT);
        assert_eq!(audit.of("routed", now), Some(Audited { found: 90, late: 7, lost: 3 }));
        assert_eq!(audit.of("cached", now), None);
    }

    #[test]
    fn an_auditor_that_has_fallen_silent_has_found_nobody_knows_what() {
        let (audit, now) = audit(ACCOUNT);
        let later = now + Duration::from_secs(6);
        assert_eq!((audit.findings(later), audit.of("routed", later)), (None, None));
    }
}
