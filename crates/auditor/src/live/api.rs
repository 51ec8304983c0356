//! What is answered on the admin port besides what every program answers.

use std::sync::Arc;

use service::Figures;
use service::http::{Method, Request, Response, StatusCode, json, text};

use super::Live;
use crate::audit::findings::Kind;

/// `/api/v1/account` and `/api/v1/blocks`; other paths are not ours.
pub(super) fn answer(request: &Request, live: Option<&Arc<Live>>) -> Option<Response> {
    let path = request.uri().path();
    if !matches!(path, "/api/v1/account" | "/api/v1/blocks") {
        return None;
    }
    if request.method() != Method::GET {
        return Some(text(StatusCode::METHOD_NOT_ALLOWED, "only GET\n"));
    }
    let Some(live) = live.filter(|live| live.started.get()) else {
        return Some(text(StatusCode::SERVICE_UNAVAILABLE, "waiting for kafka\n"));
    };
    Some(match path {
        "/api/v1/account" => json(&live.account()),
        _ => json(&live.audit().blocks()),
    })
}

/// The account in `/report`: `<stage>_found`, `<stage>_<kind of finding>` and the like, of the stages that are watched. Counts
/// can shrink when a finding is taken back, so they are gauges.
pub(super) fn figures(live: Option<&Arc<Live>>) -> Figures {
    let Some(live) = live.filter(|live| live.started.get()) else { return Figures::default() };
    let account = live.account();
    let mut figures = Figures::default()
        .counter("errors", live.metrics.errors.get())
        .gauge("blocks_open", account.open_blocks as f64)
        .gauge("blocks_done", account.done_blocks as f64)
        .gauge("auditable", if account.auditable { 1.0 } else { 0.0 })
        .gauge("content_one_in", f64::from(account.content.one_in))
        .gauge("audit_backlog", account.position.audit_backlog as f64)
        .gauge("rejected_records", account.rejected_records.count as f64)
        .gauge("findings", account.counts.iter().map(|count| count.findings).sum::<u64>() as f64);
    for (stage, tally) in &account.stages.0 {
        let named = |what: &str| format!("{}_{what}", stage.name());
        figures = figures
            .gauge(named("expected"), tally.expected as f64)
            .gauge(named("found"), tally.found as f64)
            .gauge(named("late"), tally.late as f64)
            .gauge(named("unknown"), tally.unknown as f64);
        for kind in Kind::ALL {
            figures = figures.gauge(named(kind.name()), tally.of(kind) as f64);
        }
    }
    figures
}
