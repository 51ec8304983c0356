//! The end of a run: the auditor's word, the diagnosis, and the record of it all.

use service::state::State;
use tokio::time::Instant;

use super::cluster::Cluster;
use super::shown::Part;
use super::{Runner, Stop};
use crate::capsule::{Audit, Capsule, FORMAT, Jump, Parameters, PodRecord, Proof, Recovery, VERSION};
use crate::decide::decide;
use crate::diagnose::{Evidence, Moment, diagnose};
use crate::elasticity;
use crate::judge::{Met, audit};
use crate::search::{Found, Outcome, Phase, Search};
use crate::verdict::Verdict;

/// A run that has done all it was asked for.
pub(super) enum Ended {
    Searched(Searched),
    Jumped(Jumped),
}

/// A run whose load has jumped.
pub(super) struct Jumped {
    pub(super) jump: Jump,
    pub(super) recovery: Recovery,
    pub(super) audit: Audit,
}

/// A run that has searched.
pub(super) struct Searched {
    pub(super) search: Search,
    pub(super) found: Found,
    pub(super) audit: Audit,
}

impl<C: Cluster> Runner<'_, C> {
    /// Waits until the auditor has read all, with little load.
    pub(super) async fn audit(&mut self) -> Result<Audit, Stop> {
        self.part = Part { phase: "audit", step: None, rate: None };
        self.rest("search").await?;
        let (first, until) = (self.first.clone().unwrap_or_default(), Instant::now() + self.pace.times.audit);
        loop {
            let state = self.tick("audit").await?;
            let last = Instant::now() >= until;
            // If the exporter does not answer at the very end, nothing is known of the auditor.
            let Some(state) = state.or_else(|| last.then(State::default)) else { continue };
            let (findings, done) = audit(&first, &state);
            if done.met == Met::Yes || last {
                return Ok(Audit { findings, done, stages: proofs(&first, &state) });
            }
        }
    }

    /// The record of the run, however it ended.
    pub(super) fn capsule(self, ended: Result<Ended, Stop>) -> Capsule {
        let config = self.config;
        let first = self.first.as_ref();
        let mut capsule = Capsule {
            format: FORMAT.to_owned(),
            version: VERSION,
            run: config.run.to_string(),
            began_us: self.began_us,
            ended_us: service::unix_us(),
            kapture: env!("CARGO_PKG_VERSION").to_owned(),
            versions: config.versions.0.clone(),
            parameters: Parameters {
                mode: config.mode,
                target: self.target(),
                elasticity: self.jump,
                latency_limit_ms: config.latency_limit_ms(),
                stages: first.into_iter().flat_map(|state| &state.stages).map(|stage| stage.name.clone()).collect(),
                model: petstore::MODEL,
                load: config.load.0.clone(),
                misbehaviour: config.misbehaviour.0.clone(),
            },
            installation: self.installation.clone(),
            calibrated: self.calibrated,
            pods: pods(self.moments.last().or(self.quiet.as_ref())),
            found: None,
            recovery: None,
            repeats: Vec::new(),
            audit: None,
            diagnosis: None,
            evidence: self.evidence(match &ended {
                Ok(Ended::Searched(searched)) => Some(&searched.found),
                _ => None,
            }),
            steps: self.steps,
            verdict: Verdict::CouldNotRun,
            reason: String::new(),
            remedy: None,
        };
        capsule.diagnosis = capsule.evidence.as_ref().map(diagnose);
        match ended {
            Err(Stop(decision)) => capsule.decided(decision),
            Ok(Ended::Jumped(Jumped { jump, recovery, audit })) => {
                let last = capsule.last_of(Phase::Jump);
                let decision = last.map(|last| elasticity::decide(&jump, &recovery, &last.judged, &audit));
                if let Some(decision) = decision {
                    capsule.decided(decision);
                }
                // What a change would bring is told of the capacity, which was not looked for.
                if let Some(diagnosis) = &mut capsule.diagnosis {
                    diagnosis.expected = None;
                }
                (capsule.recovery, capsule.audit) = (Some(recovery), Some(audit));
            }
            Ok(Ended::Searched(Searched { search, found, audit })) => {
                capsule.decided(decide(&capsule.parameters, &found, &capsule.steps, &audit));
                capsule.repeats = search.repeats();
                (capsule.found, capsule.audit) = (Some(found), Some(audit));
            }
        }
        capsule
    }

    /// The baseline, the last step at the rate that held, and the last at the rate that failed; none if no step failed.
    fn evidence(&self, found: Option<&Found>) -> Option<Evidence> {
        let last = |outcome: Outcome, rate: Option<f64>| {
            let of_kind = || {
                let steps = self.steps.iter().zip(&self.moments).rev();
                steps.filter(move |(record, _)| record.judged.outcome == outcome)
            };
            let at_rate =
                of_kind().find(|(record, _)| rate.is_some_and(|rate| (record.step.rate - rate).abs() < 1e-9 * rate));
            at_rate.or_else(|| of_kind().next()).map(|(_, moment)| moment.clone())
        };
        let failed = last(Outcome::Failed, found.and_then(|found| found.failed));
        // A step may be invalid because of the loaders, which the diagnosis can find.
        let invalid = last(Outcome::Invalid, None);
        Some(Evidence {
            installation: self.installation.clone(),
            quiet: self.quiet.clone(),
            held: last(Outcome::Held, found.and_then(|found| found.held)),
            failed: failed.or(invalid)?,
        })
    }
}

fn pods(moment: Option<&Moment>) -> Vec<PodRecord> {
    let pods = moment.into_iter().flat_map(|moment| &moment.pods).map(|pod| PodRecord {
        component: pod.component.clone(),
        pod: pod.pod.clone(),
        node: (!pod.node.is_empty()).then(|| pod.node.clone()),
        cpu_limit: pod.cpu_limit,
        memory_limit: pod.memory_limit,
    });
    pods.collect()
}

/// The auditor's results for each stage, with the findings of this run alone.
fn proofs(first: &State, last: &State) -> Vec<Proof> {
    let before = |stage: &str, kind: &str| {
        let counts = first.findings.iter().flat_map(|findings| &findings.counts);
        counts.filter(|count| count.stage == stage && count.kind == kind).map(|count| count.findings).sum::<u64>()
    };
    let stages = last.stages.iter().map(|stage| {
        let counts =
            last.findings.iter().flat_map(|findings| &findings.counts).filter(|count| count.stage == stage.name);
        let new =
            counts.map(|count| (count.kind.clone(), count.findings.saturating_sub(before(&count.stage, &count.kind))));
        Proof { stage: stage.name.clone(), found: stage.audited.map(|audited| audited.found), findings: new.collect() }
    });
    stages.collect()
}
