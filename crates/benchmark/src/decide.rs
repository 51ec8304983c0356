//! From what a run found to its verdict.

use crate::capsule::{Audit, Parameters, StepRecord};
use crate::judge::{Criterion, Met};
use crate::mode::Mode;
use crate::report::words::rate as written;
use crate::search::{End, Found, Outcome};
use crate::verdict::{Decision, Verdict};

/// Decides. What can't be trusted comes first, what is wrong with the data next: both make the number meaningless.
pub fn decide(parameters: &Parameters, found: &Found, steps: &[StepRecord], audit: &Audit) -> Decision {
    if found.end == End::Invalid {
        return untrusted(steps);
    }
    if let Some(decision) = audit.decision() {
        return decision;
    }
    if found.drifted() {
        let rate = found.control.map_or(0.0, |control| control.rate);
        return Decision::invalid(
            format!(
                "the cluster changed while it was measured: {rate:.0} sales/s did not do at the end what they did first"
            ),
            "look for what else runs on these nodes, or for volumes with burst credits, and run the benchmark again",
        );
    }
    let Some(held) = found.held else {
        return match found.end {
            End::NothingHeld => Decision::fail("not even the lowest rate offered held"),
            _ => Decision::invalid("the time was over before any rate held", longer(parameters.mode)),
        };
    };
    judge_target(parameters, found, held)
}

impl Audit {
    /// What the auditor's results decide; none if they are as they should be.
    pub(crate) fn decision(&self) -> Option<Decision> {
        if self.done.met != Met::Yes {
            let remedy = self.done.remedy.clone().unwrap_or_else(|| "look at the auditor's log".to_owned());
            return Some(Decision::invalid(format!("the auditor is not abreast: {}", self.done.measured), remedy));
        }
        let found = || Decision::fail(format!("the auditor found: {}", self.findings.measured));
        (self.findings.met != Met::Yes).then(found)
    }
}

fn judge_target(parameters: &Parameters, found: &Found, held: f64) -> Decision {
    let pass = |reason| Decision { verdict: Verdict::Pass, reason, remedy: None };
    let holds = written(held);
    let Some(target) = parameters.target else {
        return pass(format!("{holds} sales/s hold; no target was set"));
    };
    let wanted = written(target);
    if held >= target {
        return pass(format!("{holds} sales/s hold, and {wanted} are wanted"));
    }
    let Some(failed) = found.failed else {
        if found.end != End::Complete {
            return Decision::invalid(
                format!("the time was over when {holds} sales/s held, and {wanted} are wanted"),
                longer(parameters.mode),
            );
        }
        return Decision::invalid(
            format!("the loaders can offer {holds} sales/s, and {wanted} are wanted"),
            "more loaders: raise loader.replicas",
        );
    };
    let is_narrow = found.width().is_some_and(|width| width <= NARROW);
    if failed <= target || is_narrow {
        return Decision::fail(format!("it gave way at {} sales/s, and {wanted} are wanted", written(failed)));
    }
    Decision::invalid(
        format!(
            "the target of {wanted} sales/s is between the {holds} that held and the {} that failed",
            written(failed)
        ),
        longer(parameters.mode),
    )
}

/// Up to this width a bracket decides about a target inside it: capacity is its lower end. The search goes to 5 %, and rates
/// are rounded.
const NARROW: f64 = 0.06;

/// The last step could not be judged, and neither could its repeat.
pub(crate) fn untrusted(steps: &[StepRecord]) -> Decision {
    let last = steps.iter().rev().find(|record| record.judged.outcome == Outcome::Invalid);
    match last.and_then(|record| record.judged.distrust()) {
        Some(why) => distrusted(why),
        None => Decision::invalid("a step could not be judged", "run the benchmark again"),
    }
}

/// A condition is broken, or nobody can tell a service level.
pub(crate) fn distrusted(why: &Criterion) -> Decision {
    Decision::invalid(
        format!("{}: {}, where {} is asked", why.name, why.measured, why.limit),
        why.remedy.clone().unwrap_or_else(|| "look at the live page for what does not report".to_owned()),
    )
}

fn longer(mode: Mode) -> &'static str {
    match mode {
        Mode::Smoke => "use benchmark.mode=default, which narrows the bracket to 5 %",
        Mode::Default | Mode::Certificate => {
            "use benchmark.mode=certificate, which has more time, on a cluster that is less busy"
        }
    }
}
