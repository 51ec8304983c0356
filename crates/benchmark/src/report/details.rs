//! Below the fold: each step, the spectrum, pods, parameters, how to repeat it, and the capsule itself.

use std::fmt::Write;

use super::chart;
use super::progress;
use super::words::{date, duration, escaped, or_unknown, rate, thousands};
use crate::capsule::{Capsule, StepRecord};
use crate::diagnose::looked_for;
use crate::judge::written;
use crate::search::Outcome;

/// All of them.
pub(super) fn all(capsule: &Capsule) -> anyhow::Result<String> {
    Ok(format!(
        "<h2>Details</h2>{}{}{}{}{}{}{}",
        steps(capsule),
        courses(capsule),
        spectrum(capsule),
        pods(capsule),
        looked_for_all(capsule),
        repeat(capsule),
        raw(capsule)?
    ))
}

fn outcome(record: &StepRecord) -> &'static str {
    match record.judged.outcome {
        Outcome::Held => "<span class=\"sign yes\">✓ held</span>",
        Outcome::Failed => "<span class=\"sign no\">✗ failed</span>",
        Outcome::Invalid => "<span class=\"sign unknown\">? not judged</span>",
    }
}

fn steps(capsule: &Capsule) -> String {
    let mut html = "<details open><summary>Steps</summary><div class=\"wide\"><table><thead><tr><th class=\"n\">#</th><th>for</th>\
                    <th class=\"n\">offered /s</th><th class=\"n\">sent /s</th><th class=\"n\">through /s</th><th class=\"n\">p99</th>\
                    <th class=\"n\">n</th><th class=\"n\">drained in</th><th></th></tr></thead><tbody>"
        .to_owned();
    for (n, record) in capsule.steps.iter().enumerate() {
        let judged = &record.judged;
        let worst = judged.worst();
        let _ = write!(
            html,
            "<tr><td class=\"n\">{}</td><td>{}{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td \
             class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td>{}</td></tr>",
            n + 1,
            record.step.phase.name(),
            if record.step.repeat { ", again" } else { "" },
            rate(judged.offered),
            or_unknown(judged.sent.map(rate)),
            or_unknown(judged.delivered.map(rate)),
            or_unknown(worst.map(|worst| written(worst.percentiles.p99_us))),
            or_unknown(worst.map(|worst| thousands(worst.percentiles.n as f64))),
            judged.drain_seconds.map_or_else(|| "not in time".to_owned(), duration),
            outcome(record)
        );
    }
    html + "</tbody></table></div></details>"
}

fn courses(capsule: &Capsule) -> String {
    let mut html = "<details><summary>Each step over time</summary><div class=\"many\">".to_owned();
    for (n, record) in capsule.steps.iter().enumerate().filter(|(_, record)| record.points.len() > 1) {
        let _ = write!(
            html,
            "<figure><figcaption>{}. {} sales/s, {}</figcaption>{}</figure>",
            n + 1,
            rate(record.step.rate),
            outcome(record),
            chart::course(record)
        );
    }
    html + "</div></details>"
}

fn spectrum(capsule: &Capsule) -> String {
    let held = capsule.found.as_ref().and_then(|found| found.held);
    let record = held.and_then(|held| capsule.at(held).next_back());
    let Some(worst) = record.and_then(|record| record.judged.worst()) else { return String::new() };
    let Ok(histogram) = worst.histogram.decode() else { return String::new() };
    format!(
        "<details><summary>Latency spectrum</summary><figure>{}<figcaption class=\"soft\">From due to {}, at {} sales/s, {} sales in \
         one step.</figcaption></figure></details>",
        chart::spectrum(&histogram, capsule.parameters.latency_limit_ms),
        escaped(&worst.stage),
        rate(held.unwrap_or(0.0)),
        thousands(histogram.len() as f64)
    )
}

fn pods(capsule: &Capsule) -> String {
    let mut html = "<details><summary>Pods</summary><div class=\"wide\"><table><thead><tr><th>component</th><th>pod</th><th>node</th>\
                    <th class=\"n\">CPU limit</th><th class=\"n\">memory limit</th></tr></thead><tbody>"
        .to_owned();
    for pod in &capsule.pods {
        let _ = write!(
            html,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
            escaped(&pod.component),
            escaped(&pod.pod),
            escaped(&or_unknown(pod.node.clone())),
            or_unknown(pod.cpu_limit.map(|cores| format!("{cores} CPU"))),
            or_unknown(pod.memory_limit.map(|bytes| format!("{:.0} MiB", bytes / 1_048_576.0)))
        );
    }
    html + "</tbody></table></div></details>"
}

/// The rows of the decision table, so that one sees what "unclear" has ruled out.
fn looked_for_all(capsule: &Capsule) -> String {
    let Some(diagnosis) = &capsule.diagnosis else { return String::new() };
    let mut html = "<details><summary>What was looked for</summary><ol start=\"0\">".to_owned();
    for (number, what) in looked_for() {
        let fits = diagnosis.causes.iter().any(|cause| cause.row == number);
        let _ =
            write!(html, "<li>{}{what}{}</li>", if fits { "<b>" } else { "" }, if fits { "</b>: fits" } else { "" });
    }
    html + "</ol></details>"
}

fn repeat(capsule: &Capsule) -> String {
    let parameters = &capsule.parameters;
    let versions: Vec<String> = capsule.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    let versions = if versions.is_empty() { String::new() } else { format!(" on {}", versions.join(", ")) };
    let load: Vec<String> = parameters.load.iter().map(|(name, value)| format!("{name} {value}")).collect();
    let mut html = format!(
        "<details open><summary>How it was made, and how to repeat it</summary><p>{} to {} ({}), Kapture {}{}, mode {}{}, load: {}; \
         stages: {}; misbehaviour: {}; the loaders can offer {} sales/s.</p>",
        date(capsule.began_us),
        date(capsule.ended_us),
        duration((capsule.ended_us - capsule.began_us) as f64 / 1e6),
        escaped(&capsule.kapture),
        escaped(&versions),
        parameters.mode,
        parameters.elasticity.map_or_else(String::new, |jump| format!(", {}", progress::jump(&jump))),
        escaped(&load.join(", ")),
        escaped(&parameters.stages.join(", ")),
        if parameters.misbehaviour.is_empty() {
            "none".to_owned()
        } else {
            escaped(&parameters.misbehaviour.join(", "))
        },
        or_unknown(capsule.calibrated.map(rate))
    );
    let installation = &capsule.installation;
    if !installation.release.is_empty() {
        let command = format!(
            "kubectl -n {0} create job --from=cronjob/{1}-benchmark run-2\nkubectl -n {0} logs -f job/run-2",
            installation.namespace, installation.release
        );
        let _ = write!(html, "<pre>{}</pre>", escaped(&command));
    }
    html + "</details>"
}

/// The capsule itself, so that the page is all that one has to keep.
fn raw(capsule: &Capsule) -> anyhow::Result<String> {
    // In a script element nothing ends the text but "</": as an escape of JSON it is the same.
    let json = serde_json::to_string(capsule)?.replace('<', "\\u003c");
    Ok(format!(
        "<p class=\"soft\">The capsule of this run is in this page, in the element <code>#capsule</code>.</p><script \
         type=\"application/json\" id=\"capsule\">{json}</script>\n"
    ))
}
