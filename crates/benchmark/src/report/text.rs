//! The end of the Job's log: criteria, reason, and as the very last line the verdict.

use std::fmt::Write;

use super::habits;
use super::words::{duration, percent, rate};
use crate::capsule::Capsule;
use crate::compare::{Standing, clusters};
use crate::diagnose::Kind;
use crate::judge::{Criterion, Met};
use crate::search::{End, Phase};
use crate::statistics::range_holds_median;

/// The most that Kubernetes takes as a termination message, less some room.
const TERMINATION_BYTES: usize = 4_000;

/// All but the last line.
pub fn summary(capsule: &Capsule) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{}  {}", capsule.verdict, headline(capsule));
    let _ = writeln!(text, "  {}", capsule.reason);
    if let Some(remedy) = &capsule.remedy {
        let _ = writeln!(text, "  what to do: {remedy}");
    }
    for note in notes(capsule) {
        let _ = writeln!(text, "  note: {note}");
    }
    for (title, criteria) in criteria(capsule) {
        let _ = writeln!(text, "{title}");
        for criterion in criteria {
            let sign = match criterion.met {
                Met::Yes => "ok     ",
                Met::No => "BROKEN ",
                Met::Unknown => "unknown",
            };
            let _ =
                writeln!(text, "  {sign} {:<28} {}  (asked: {})", criterion.name, criterion.measured, criterion.limit);
        }
    }
    if let Some(audit) = &capsule.audit {
        let _ = writeln!(text, "proof  findings {}; auditor: {}", audit.findings.measured, audit.done.measured);
    }
    text.push_str(&why(capsule));
    let _ = writeln!(text, "against others: {}", Standing::of(capsule, clusters::ours()).sentence());
    text
}

/// The number with its spread, in one line.
pub fn headline(capsule: &Capsule) -> String {
    if let Some((jump, recovery)) = capsule.elasticity() {
        return recovery.headline(jump);
    }
    let Some(capacity) = capsule.capacity() else { return "no rate held".to_owned() };
    let mut text = match capacity.failed {
        Some(failed) => format!("{} sales/s (held {0}, gave way at {}", rate(capacity.held), rate(failed)),
        None => format!("at least {} sales/s ({}", rate(capacity.held), why_no_more(capsule)),
    };
    if capacity.n > 1 {
        let _ = write!(
            text,
            "; {} repeats {}–{}, median {}",
            capacity.n,
            rate(capacity.low),
            rate(capacity.high),
            rate(capacity.median)
        );
    }
    text.push(')');
    if let (Some(target), Some(headroom)) = (capsule.parameters.target, capacity.headroom) {
        let _ = write!(text, ", your target {}, {} spare", rate(target), percent(headroom));
    }
    text
}

/// Why no rate failed.
pub(super) fn why_no_more(capsule: &Capsule) -> &'static str {
    match capsule.found.as_ref().map(|found| found.end) {
        Some(End::Complete) => "the most that the loaders can offer",
        _ => "nothing higher was judged before the end",
    }
}

/// What one has to know to read the number.
pub(super) fn notes(capsule: &Capsule) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some((_, recovery)) = capsule.elasticity() {
        notes.push(format!("to hold again means to hold for {}", duration(recovery.window_seconds)));
        notes.extend(habits::note(capsule));
    }
    let Some(found) = &capsule.found else { return notes };
    if let Some(width) = found.width().filter(|width| *width > 0.06) {
        notes.push(format!("the bracket is {} wide: the limit is anywhere in it", percent(width)));
    }
    if !found.confirmed && found.held.is_some() {
        notes.push("no fresh repeats have confirmed this rate".to_owned());
    }
    let n = capsule.repeats.len();
    if n > 1 {
        let chance = percent(range_holds_median(n));
        notes.push(format!("the range of {n} repeats contains the median with a probability of {chance}"));
    }
    if !found.irregular.is_empty() {
        let rates: Vec<_> = found.irregular.iter().map(|held| rate(*held)).collect();
        notes.push(format!("irregular: {} sales/s held although a lower rate failed", rates.join(", ")));
    }
    if found.drifted() {
        notes.push("drifted: the first judged rate did otherwise at the end".to_owned());
    }
    notes.extend(habits::note(capsule));
    notes.push("one installation, one hour: another day or another installation may differ by more".to_owned());
    notes
}

/// The service levels of two steps: those at the rate that held and at the one that failed, or before and after the jump.
fn criteria(capsule: &Capsule) -> Vec<(String, &[Criterion])> {
    if let Some((jump, _)) = capsule.elasticity() {
        let of = |phase, what: &str, at| {
            Some((format!("{what} {} sales/s", rate(at)), &capsule.last_of(phase)?.judged.levels[..]))
        };
        let steps = [of(Phase::Before, "before the jump, at", jump.from), of(Phase::Jump, "after it, at", jump.to)];
        return steps.into_iter().flatten().collect();
    }
    let Some(found) = &capsule.found else { return Vec::new() };
    let at = |rate_: Option<f64>, what: &str| {
        let record = capsule.at(rate_?).next_back()?;
        Some((format!("{what} {} sales/s", rate(record.step.rate)), &record.judged.levels[..]))
    };
    [at(found.held, "at"), at(found.failed, "at")].into_iter().flatten().collect()
}

/// What gave way first, what to raise, and what comes next.
fn why(capsule: &Capsule) -> String {
    let Some(diagnosis) = &capsule.diagnosis else { return String::new() };
    let mut text = String::new();
    let stage = diagnosis.stage.as_deref().unwrap_or("unknown");
    match diagnosis.kind {
        Kind::Unclear => {
            let _ = writeln!(text, "gives way first: unclear, at the stage {stage}");
        }
        _ => {
            let _ = writeln!(text, "gives way first: {stage}");
        }
    }
    if let Some(there) = habits::there(capsule) {
        let _ = writeln!(text, "  {there}");
    }
    for cause in &diagnosis.causes {
        let who = cause.pod.as_ref().or(cause.node.as_ref()).unwrap_or(&cause.component);
        let _ = writeln!(text, "  {} of {who}: {}", cause.resource.name(), cause.because);
        let _ = writeln!(text, "  {}", cause.advice);
        if let Some(change) = cause.change.as_ref().filter(|_| diagnosis.kind != Kind::Unclear) {
            let from = change.from.as_ref().map_or_else(String::new, |from| format!(" from {from}"));
            let to = change.to.as_ref().map_or_else(String::new, |to| format!(" to {to}"));
            let when = if change.only_at_install { " (only at install)" } else { "" };
            let _ = writeln!(text, "  raise {}{from}{to}{when}", change.value);
        }
    }
    if let Some(command) = &diagnosis.command {
        let _ = writeln!(text, "  {command}");
    }
    if let Some(expected) = diagnosis.expected {
        let _ = writeln!(text, "  expect about {} sales/s then, at best", rate(expected));
    }
    if let Some(next) = &diagnosis.next {
        let _ = writeln!(text, "  next in line: {}, at about {} sales/s", next.stage, rate(next.rate));
    }
    for unknown in &diagnosis.unknown {
        let _ = writeln!(text, "  unknown: {unknown}");
    }
    text
}

/// The very last line, which is the pod's termination message as well.
pub fn last_line(capsule: &Capsule, report: Option<&str>) -> String {
    let mut line = format!("verdict={}", capsule.verdict);
    if let Some(capacity) = capsule.capacity() {
        let at_least = if capacity.failed.is_none() { ">=" } else { "" };
        let _ =
            write!(line, " capacity={at_least}{:.0} low={:.0} high={:.0}", capacity.held, capacity.low, capacity.high);
        if let Some(failed) = capacity.failed {
            let _ = write!(line, " failed={failed:.0}");
        }
        line.push_str(" unit=sales/s");
        if let (Some(target), Some(headroom)) = (capsule.parameters.target, capacity.headroom) {
            let _ = write!(line, " target={target:.0} headroom={:.0}%", headroom * 100.0);
        }
    }
    if let Some((jump, recovery)) = capsule.elasticity() {
        let seconds = recovery.seconds.map_or_else(|| "none".to_owned(), |seconds| format!("{seconds:.0}s"));
        let _ = write!(
            line,
            " recovered={seconds} within={:.0}s window={:.0}s from={:.0} to={:.0} unit=sales/s",
            jump.within_seconds, recovery.window_seconds, jump.from, jump.to
        );
        for (role, after) in &recovery.after {
            let before = recovery.before.get(role).filter(|before| *before != after);
            let _ = before.map_or(Ok(()), |before| write!(line, " {role}={before}..{after}"));
        }
    }
    if let Some(diagnosis) = &capsule.diagnosis {
        let limit = match (&diagnosis.causes[..], diagnosis.kind) {
            ([cause], kind) if kind != Kind::Unclear => {
                let who = cause.pod.as_ref().unwrap_or(&cause.component);
                format!("{who}/{}", cause.resource.name().replace(' ', "-"))
            }
            _ => "unclear".to_owned(),
        };
        let _ = write!(line, " limit={limit}");
    }
    if capsule.remedy.is_some() {
        let _ = write!(line, " reason={:?}", capsule.reason);
    }
    if let Some(report) = report {
        let _ = write!(line, " report={report}");
    }
    let end = (0..=line.len().min(TERMINATION_BYTES)).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(0);
    line.truncate(end);
    line.replace('\n', " ")
}
