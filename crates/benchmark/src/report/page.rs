//! The page: the answer, the reason, the pictures, the details, in this order.

use std::fmt::Write;

use super::against;
use super::chart;
use super::details;
use super::habits;
use super::jump;
use super::text::{headline, notes, why_no_more};
use super::words::{capitalised, escaped, or_unknown, percent, rate, thousands};
use crate::capsule::{Capsule, StepRecord};
use crate::compare::clusters::{self, Clusters};
use crate::diagnose::{Cause, Kind};
use crate::judge::{Criterion, Met};
use crate::search::Phase;
use crate::verdict::Verdict;

const STYLE: &str = include_str!("style.css");

/// The whole page, which needs nothing from elsewhere. `others` are runs to compare with, besides the clusters on record.
pub fn html(capsule: &Capsule, others: &[Capsule]) -> anyhow::Result<String> {
    html_among(capsule, others, clusters::ours())
}

/// The same among other clusters than those that were compiled in.
pub fn html_among(capsule: &Capsule, others: &[Capsule], clusters: &Clusters) -> anyhow::Result<String> {
    let title = format!("{} {}: {}", capsule.run, capsule.verdict, headline(capsule));
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\"><title>{}</title><style>{STYLE}</style></head><body>\n",
        escaped(&title)
    );
    for section in [
        banner(capsule),
        capsule.elasticity().map_or_else(String::new, |of| jump::section(capsule, of)),
        why(capsule),
        criteria(capsule),
        trust(capsule),
        picture(capsule),
        stages(capsule),
        against::section(capsule, others, clusters),
        proof(capsule),
    ] {
        page.push_str(&section);
        page.push('\n');
    }
    page.push_str(&details::all(capsule)?);
    page.push_str("</body></html>\n");
    Ok(page)
}

fn banner(capsule: &Capsule) -> String {
    let (class, sign) = match capsule.verdict {
        Verdict::Pass => ("pass", "✓"),
        Verdict::Fail => ("fail", "✗"),
        Verdict::Invalid => ("invalid", "?"),
        Verdict::CouldNotRun => ("could-not-run", "–"),
    };
    let mut html = format!(
        "<header class=\"banner {class}\"><div class=\"word\">{sign} {}</div>",
        capsule.verdict.name().replace('_', " ")
    );
    if let Some(capacity) = capsule.capacity() {
        let at_least = if capacity.failed.is_none() { "at least " } else { "" };
        let _ = write!(html, "<div class=\"number\">{at_least}{} <small>sales/s</small></div>", rate(capacity.held));
        let failed = capacity.failed.map_or_else(
            || why_no_more(capsule).to_owned(),
            |failed| format!("held {}, gave way at {}", rate(capacity.held), rate(failed)),
        );
        let repeats = match capacity.n {
            0 | 1 => "no repeats".to_owned(),
            n => {
                format!("{n} repeats {}–{}, median {}", rate(capacity.low), rate(capacity.high), rate(capacity.median))
            }
        };
        let _ = write!(html, "<div>{failed}; {repeats}</div>");
        if let (Some(target), Some(headroom)) = (capsule.parameters.target, capacity.headroom) {
            let spare = if headroom >= 0.0 { "spare" } else { "missing" };
            let _ = write!(
                html,
                "<div>your target: {} sales/s, <b>{} {spare}</b></div>",
                rate(target),
                percent(headroom.abs())
            );
        }
    }
    html.push_str(&capsule.elasticity().map_or_else(String::new, jump::banner));
    let _ = write!(html, "<p>{}</p>", escaped(&capsule.reason));
    if let Some(remedy) = &capsule.remedy {
        let _ = write!(html, "<p><b>What to do:</b> {}</p>", escaped(remedy));
    }
    for note in notes(capsule) {
        let _ = write!(html, "<div class=\"soft\">{}</div>", escaped(&note));
    }
    html.push_str("</header>");
    html
}

fn why(capsule: &Capsule) -> String {
    let title = match (capsule.elasticity(), &capsule.diagnosis) {
        (Some(_), None) => return String::new(),
        (Some(_), Some(_)) => "Why it does not recover",
        (None, _) => "Why it stops there",
    };
    let mut html = format!("<h2>{title}</h2><div class=\"card\">");
    let failed = capsule.found.as_ref().and_then(|found| capsule.at(found.failed?).next_back());
    if let Some(record) = failed
        && let Some(broken) = record.judged.broken()
    {
        let _ = write!(
            html,
            "<p>At {} sales/s the first criterion to break was <b>{}</b>: {} (asked: {}).</p>",
            rate(record.step.rate),
            escaped(&broken.name),
            escaped(&broken.measured),
            escaped(&broken.limit)
        );
    }
    let Some(diagnosis) = &capsule.diagnosis else {
        return html + "<p>Nothing gave way in this run.</p></div>";
    };
    let stage = diagnosis.stage.as_deref().unwrap_or("unknown");
    let _ = match diagnosis.kind {
        Kind::Named => write!(html, "<p>The stage that gave way first: <b>{}</b>.</p>", escaped(stage)),
        Kind::Unclear => write!(
            html,
            "<p><b>Unclear.</b> The stage that gave way is {}, and {}.</p>",
            escaped(stage),
            if diagnosis.causes.is_empty() {
                "no cause fits what was measured"
            } else {
                "several causes fit about equally"
            }
        ),
        Kind::Fault => {
            write!(html, "<p>Something broke at the stage {}: no capacity can be stated.</p>", escaped(stage))
        }
        Kind::Instrument => write!(html, "<p>The loaders were the limit, not the cluster.</p>"),
    };
    if let Some(there) = habits::there(capsule) {
        let _ = write!(html, "<p><b>{}.</b></p>", escaped(&capitalised(&there)));
    }
    for cause in &diagnosis.causes {
        html.push_str(&cause_of(cause, diagnosis.kind));
    }
    if let Some(command) = &diagnosis.command {
        let _ = write!(html, "<pre>{}</pre>", escaped(command));
    }
    if let Some(expected) = diagnosis.expected {
        let _ = write!(html, "<p>Expect about <b>{} sales/s</b> then, at best.</p>", rate(expected));
    }
    if let Some(next) = &diagnosis.next {
        let _ = write!(
            html,
            "<p>Next in line is <b>{}</b>, at about {} sales/s: raising more brings no more than that.</p>",
            escaped(&next.stage),
            rate(next.rate)
        );
    }
    if !diagnosis.unknown.is_empty() {
        let _ = write!(html, "<p class=\"soft\">Not known: {}.</p>", escaped(&diagnosis.unknown.join("; ")));
    }
    html.push_str("</div>");
    html
}

fn cause_of(cause: &Cause, kind: Kind) -> String {
    let who = cause.pod.as_ref().or(cause.node.as_ref()).unwrap_or(&cause.component);
    let mut html = format!(
        "<p><b>{} of {}</b>: {}. {}.</p>",
        cause.resource.name(),
        escaped(who),
        escaped(&cause.because),
        escaped(&capitalised(&cause.advice))
    );
    if let Some(change) = cause.change.as_ref().filter(|_| kind != Kind::Unclear) {
        let from = change.from.as_ref().map_or_else(String::new, |from| format!(" from {}", escaped(from)));
        let to = change.to.as_ref().map_or_else(String::new, |to| format!(" to <b>{}</b>", escaped(to)));
        let when = if change.only_at_install { " (can be set only at install)" } else { "" };
        let _ = write!(html, "<p>Raise <code>{}</code>{from}{to}{when}.</p>", escaped(&change.value));
    }
    html
}

fn met(criterion: &Criterion) -> &'static str {
    match criterion.met {
        Met::Yes => "<span class=\"sign yes\">✓ ok</span>",
        Met::No => "<span class=\"sign no\">✗ broken</span>",
        Met::Unknown => "<span class=\"sign unknown\">? unknown</span>",
    }
}

/// Each service level: limit, at capacity, at the first rate that failed.
fn criteria(capsule: &Capsule) -> String {
    let mut html = "<h2>Criteria</h2>".to_owned();
    let at = |rate: Option<f64>| capsule.at(rate?).next_back();
    let found = capsule.found.as_ref();
    let (held, failed) = match capsule.parameters.elasticity {
        Some(_) => (capsule.last_of(Phase::Before), capsule.last_of(Phase::Jump)),
        None => (at(found.and_then(|it| it.held)), at(found.and_then(|it| it.failed))),
    };
    let words = if capsule.parameters.elasticity.is_some() {
        ["before the jump", "after it"]
    } else {
        ["held at", "failed at"]
    };
    let Some(any) = held.or(failed).or(capsule.steps.last()) else { return html + "<p>No step was judged.</p>" };
    let heading = |record: Option<&StepRecord>, what: &str| match record {
        Some(record) => format!("{what} {}/s", rate(record.step.rate)),
        None => format!("{what} ?"),
    };
    let (held_at, failed_at) = (heading(held, words[0]), heading(failed, words[1]));
    let _ = write!(
        html,
        "<table class=\"stack\"><thead><tr><th>criterion</th><th>asked</th><th>{held_at}</th><th>{failed_at}</th></tr></thead><tbody>"
    );
    for level in &any.judged.levels {
        let cell = |record: Option<&StepRecord>| {
            let same = record.and_then(|record| record.judged.levels.iter().find(|it| it.name == level.name));
            same.map_or_else(|| "?".to_owned(), |it| format!("{} {}", met(it), escaped(&it.measured)))
        };
        let _ = write!(
            html,
            "<tr><td>{}</td><td data-of=\"asked\">{}</td><td data-of=\"{held_at}\">{}</td><td data-of=\"{failed_at}\">{}</td></tr>",
            escaped(&level.name),
            escaped(&level.limit),
            cell(held),
            cell(failed)
        );
    }
    html + "</tbody></table>"
}

/// Each condition, by the step in which it was worst.
fn trust(capsule: &Capsule) -> String {
    let mut html = "<h2>Can it be trusted?</h2>".to_owned();
    let held = capsule.found.as_ref().and_then(|found| capsule.at(found.held?).next_back());
    let Some(shown) = held.or(capsule.steps.last()) else { return html + "<p>No step was judged.</p>" };
    html.push_str("<table class=\"stack\"><thead><tr><th>condition</th><th>asked</th><th>measured</th><th></th></tr></thead><tbody>");
    let audit = capsule.audit.as_ref().map(|audit| &audit.done);
    for check in shown.judged.trust.iter().chain(audit) {
        let everywhere =
            capsule.steps.iter().flat_map(|record| &record.judged.trust).filter(|it| it.name == check.name);
        // A step that could not be trusted, and was repeated, is worth a word.
        let broken = everywhere.clone().filter(|it| it.met == Met::No).count();
        let steps = if broken > 0 && check.met != Met::No {
            format!(" (broken in {broken} other steps)")
        } else {
            String::new()
        };
        let remedy = check.remedy.as_ref().filter(|_| check.met == Met::No);
        let remedy =
            remedy.map_or_else(String::new, |remedy| format!("<br><span class=\"soft\">{}</span>", escaped(remedy)));
        let _ = write!(
            html,
            "<tr><td>{}</td><td data-of=\"asked\">{}</td><td data-of=\"measured\">{}{steps}{remedy}</td><td>{}</td></tr>",
            escaped(&check.name),
            escaped(&check.limit),
            escaped(&check.measured),
            met(check)
        );
    }
    html.push_str("</tbody></table>");
    html.push_str(&together(capsule));
    html
}

/// Loaders that share a node with brokers, or the machine that it is on, take CPU from what they measure.
fn together(capsule: &Capsule) -> String {
    let nodes = |component: &str| {
        let pods = capsule.pods.iter().filter(move |pod| pod.component == component);
        pods.map(|pod| pod.node.clone()).collect::<Option<Vec<_>>>()
    };
    let is_beside = |node: &str, other: &str| {
        let failed = capsule.evidence.as_ref().map(|evidence| &evidence.failed);
        failed.and_then(|failed| Some(failed.node(node)?.shares_machine_with(failed.node(other)?))).unwrap_or(false)
    };
    let text = match (nodes("loader"), nodes("kafka")) {
        (Some(loaders), Some(brokers)) if !loaders.is_empty() && !brokers.is_empty() => {
            let shared: Vec<_> = loaders.iter().filter(|node| brokers.contains(node)).cloned().collect();
            if shared.is_empty() && loaders.iter().any(|node| brokers.iter().any(|other| is_beside(node, other))) {
                "Loaders and brokers were on different nodes of one machine, whose CPU they share: the result is rather too low."
                    .to_owned()
            } else if shared.is_empty() {
                "Loaders and brokers were on different nodes.".to_owned()
            } else {
                format!(
                    "Loaders shared {} with brokers, whose CPU they take: the result is rather too low.",
                    shared.join(", ")
                )
            }
        }
        _ => "Whether loaders and brokers shared nodes is not known.".to_owned(),
    };
    format!("<p class=\"soft\">{}</p>", escaped(&text))
}

/// A mark per step; of a jump its section has the course.
fn picture(capsule: &Capsule) -> String {
    if capsule.elasticity().is_some() {
        return String::new();
    }
    let unmeasured = capsule
        .steps
        .iter()
        .filter(|it| it.judged.worst().is_none_or(|worst| worst.percentiles.p99_us.is_none()))
        .count();
    let missing = match unmeasured {
        0 => String::new(),
        n => format!(" {n} steps are not shown, since too many of their sales did not arrive for a p99."),
    };
    format!(
        "<h2>Load against latency</h2><figure>{}<figcaption class=\"soft\">One mark per step: ● held, ✗ failed, ○ held in the ramp, \
         which only brackets. The band is between the rate that held and the one that failed.{missing}</figcaption></figure>",
        chart::load_and_latency(capsule)
    )
}

/// What each stage could do as it is.
fn stages(capsule: &Capsule) -> String {
    let mut html = "<h2>Stages and their ceilings</h2>".to_owned();
    let Some(diagnosis) = capsule.diagnosis.as_ref().filter(|diagnosis| !diagnosis.ceilings.is_empty()) else {
        return html + "<p>Not known in this run.</p>";
    };
    let most = diagnosis.ceilings.iter().map(|ceiling| ceiling.rate).fold(0.0, f64::max);
    for ceiling in &diagnosis.ceilings {
        let first = if Some(&ceiling.stage) == diagnosis.stage.as_ref() { " first" } else { "" };
        let word = if first.is_empty() { "" } else { ", gave way first" };
        let _ = write!(
            html,
            "<div class=\"bar{first}\"><span>{}</span><div class=\"track\"><i style=\"width:{:.1}%\"></i><span>{} sales/s{word}</span>\
             </div></div>",
            escaped(&ceiling.stage),
            ceiling.rate / most * 100.0,
            rate(ceiling.rate)
        );
    }
    html + "<p class=\"soft\">What a stage could do as it is, by its rate and how much of its time it waits for input: a low \
            estimate, since larger batches are cheaper.</p>"
}

fn proof(capsule: &Capsule) -> String {
    let mut html = "<h2>Proof</h2>".to_owned();
    let Some(audit) = &capsule.audit else { return html + "<p>The run ended before the auditor was asked.</p>" };
    let mut kinds: Vec<&String> = audit.stages.iter().flat_map(|stage| stage.findings.keys()).collect();
    kinds.sort();
    kinds.dedup();
    html.push_str("<div class=\"wide\"><table><thead><tr><th>stage</th><th class=\"n\">found</th>");
    for kind in &kinds {
        let _ = write!(html, "<th class=\"n\">{}</th>", escaped(&kind.replace('_', " ")));
    }
    html.push_str("</tr></thead><tbody>");
    for stage in &audit.stages {
        let found = or_unknown(stage.found.map(|found| thousands(found as f64)));
        let _ = write!(html, "<tr><td>{}</td><td class=\"n\">{found}</td>", escaped(&stage.stage));
        for kind in &kinds {
            let n = or_unknown(stage.findings.get(*kind).map(|n| thousands(*n as f64)));
            let _ = write!(html, "<td class=\"n\">{n}</td>");
        }
        html.push_str("</tr>");
    }
    let _ = write!(
        html,
        "</tbody></table></div><p class=\"soft\">Every sale is generated again from the seed and looked for at each stage. The \
         auditor: {}; new findings in this run: {}.</p>",
        escaped(&audit.done.measured),
        escaped(&audit.findings.measured)
    );
    html
}
