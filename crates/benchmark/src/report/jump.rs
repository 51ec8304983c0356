//! What came of a jump of the load, on the page.

use std::fmt::Write;

use super::chart;
use super::words::{capitalised, duration, escaped, or_unknown, rate, short};
use crate::capsule::{Capsule, Jump, Recovery};
use crate::judge::written;
use crate::search::Phase;

/// The result, large, with what it was measured by.
pub(super) fn banner((jump, recovery): (&Jump, &Recovery)) -> String {
    let number = match recovery.seconds {
        Some(seconds) => format!("recovered in {}", duration(seconds)),
        None => format!("not recovered within {}", duration(jump.within_seconds)),
    };
    format!(
        "<div class=\"number\"><small>{number}</small></div><div>from a jump from {}; all service levels had to hold for {}</div>",
        jump.rates(),
        duration(recovery.window_seconds)
    )
}

/// What broke, how the pods were scaled, and how it went.
pub(super) fn section(capsule: &Capsule, (jump, recovery): (&Jump, &Recovery)) -> String {
    let mut html = "<h2>After the jump</h2><div class=\"card\">".to_owned();
    let _ = match &recovery.broken {
        Some(broken) => write!(
            html,
            "<p>At {} sales/s the first window did not hold: <b>{}</b>, {} (asked: {}).</p>",
            rate(jump.to),
            escaped(&broken.name),
            escaped(&broken.measured),
            escaped(&broken.limit)
        ),
        None => write!(html, "<p>At {} sales/s the first window held: nothing had to recover.</p>", rate(jump.to)),
    };
    let pods = recovery.pods().unwrap_or_else(|| "the pods stayed as many as they were".to_owned());
    let _ = write!(html, "<p>{}.</p>", escaped(&capitalised(&pods)));
    if !recovery.scaled.is_empty() {
        html.push_str("<ul>");
        for scaled in &recovery.scaled {
            let after = duration(scaled.seconds);
            let _ = write!(html, "<li>after {after}: {} pods of {}</li>", scaled.pods, escaped(&scaled.component));
        }
        html.push_str("</ul>");
    }
    if let Some(record) = capsule.last_of(Phase::Jump) {
        let worst = record.points.iter().filter_map(|point| point.p99_us).max();
        let lag = record.points.iter().filter_map(|point| point.lag).max();
        let _ = write!(
            html,
            "<p>At its worst, the p99 over ten seconds was {}, and the lag {} sales.</p><figure>{}<figcaption class=\"soft\">From \
             the jump to the end of the last window.</figcaption></figure>",
            or_unknown(worst.map(|us| written(Some(us)))),
            or_unknown(lag.map(short)),
            chart::course(record)
        );
    }
    html + "</div>"
}
