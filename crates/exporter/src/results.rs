//! The results of benchmarks: read from `kapture.results` whenever something new is on it, and served as they are.
//!
//! They are in Kafka and not here, so that they outlive this program. Whoever may write to that topic may put anything into
//! a page, so it is served without the right to run a script or to load or send anything.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use kafka::results::{Content, Kept, Packed, RunResult};
use service::Beat;
use service::http::{self, HeaderValue, Request, Response, StatusCode};
use service::state::BenchmarkResult;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::kafka_poll::{End, Offsets};

/// Reading the topic: tens of megabytes at most, from a Kafka that may be busy.
const READ_LIMIT: Duration = Duration::from_secs(30);
/// Results in the state, which is asked for each second.
const LATEST: usize = 3;
/// Characters of a text of a result in lists: a record may have any.
const TEXT: usize = 400;

/// What may be in the page of a report: its own style.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'; sandbox";

/// The newest results, the newest first; none until they were read. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Results(Arc<Mutex<Option<Vec<Kept>>>>);

/// Reads the topic at the start, and again when its end has moved, until `shutdown`.
pub(crate) async fn run(
    config: kafka::Config,
    every: Duration,
    offsets: &Offsets,
    results: &Results,
    beat: Beat,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    let topic = config.names().results();
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut read, mut failed) = (None, false);
    while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
        beat.turned();
        let Some(end) = offsets.end(&topic) else { continue };
        if read == Some(end) {
            continue;
        }
        // No benchmark has run.
        if end == End::NoTopic {
            (*results.lock(), read) = (Some(Vec::new()), Some(end));
            continue;
        }
        let config = config.clone();
        let now = tokio::task::spawn_blocking(move || kafka::results::read(&config, READ_LIMIT)).await;
        match now.context("reading results")? {
            Ok(now) => {
                info!(results = now.len(), "read the results of benchmarks");
                (*results.lock(), read, failed) = (Some(now), Some(end), false);
            }
            // It is tried again.
            Err(err) if !failed => {
                info!("waiting for the results of benchmarks: {err:#}");
                failed = true;
            }
            Err(_) => {}
        }
    }
    Ok(())
}

impl Results {
    fn lock(&self) -> MutexGuard<'_, Option<Vec<Kept>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest few, for the state.
    pub(crate) fn latest(&self) -> Option<Vec<BenchmarkResult>> {
        self.lock().as_ref().map(|kept| kept.iter().take(LATEST).map(listed).collect())
    }

    /// Answers `/results` and what is below it; none for other paths.
    pub(crate) fn answer(&self, request: &Request) -> Option<Response> {
        let below = request.uri().path().strip_prefix("/results")?;
        if !below.is_empty() && !below.starts_with('/') {
            return None;
        }
        let results = self.lock();
        let Some(results) = results.as_ref() else {
            let why = "the results are not known yet: Kafka has not answered since this exporter began";
            return Some(http::error(StatusCode::SERVICE_UNAVAILABLE, why));
        };
        let file = below.trim_start_matches('/');
        if file.is_empty() {
            return Some(http::json(&results.iter().map(listed).collect::<Vec<_>>()));
        }
        Some(document(results, file, accepts_gzip(request)))
    }
}

fn document(results: &[Kept], file: &str, as_gzip: bool) -> Response {
    let (name, kind) = file.rsplit_once('.').unwrap_or((file, ""));
    let Some(kept) = results.iter().find(|kept| kept.name.as_str() == name) else {
        return not_found("there is no result of this name: /results lists those that are kept");
    };
    let result = match &kept.content {
        Content::Result(result) => result,
        Content::Foreign { remark, .. } => return not_found(format!("the result can't be shown: {remark}")),
    };
    let (packed, content_type) = match kind {
        "html" => (&result.html, "text/html; charset=utf-8"),
        "json" => (&result.capsule, "application/json"),
        _ => return not_found(format!("a result has two documents: /results/{name}.html and /results/{name}.json")),
    };
    match packed {
        Some(packed) => served(packed, content_type, as_gzip),
        None => not_found(remark(result).unwrap_or_default()),
    }
}

fn not_found(sentence: impl Into<String>) -> Response {
    http::error(StatusCode::NOT_FOUND, sentence)
}

fn served(packed: &Packed, content_type: &'static str, as_gzip: bool) -> Response {
    let body = if as_gzip { Ok(packed.gzip().to_vec()) } else { packed.unpack() };
    let mut response = match body {
        Ok(body) => http::response(StatusCode::OK, content_type, body),
        Err(err) => {
            return http::error(StatusCode::INTERNAL_SERVER_ERROR, format!("the document is damaged: {err:#}"));
        }
    };
    let headers = response.headers_mut();
    if as_gzip {
        headers.insert("content-encoding", HeaderValue::from_static("gzip"));
    }
    headers.insert("vary", HeaderValue::from_static("accept-encoding"));
    headers.insert("content-security-policy", HeaderValue::from_static(POLICY));
    response
}

/// Whether the client takes gzip, which a browser does and curl does not by itself.
fn accepts_gzip(request: &Request) -> bool {
    let accepted = request.headers().get_all("accept-encoding").iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, "q=1"));
        let weight: Option<f64> = weight.trim().strip_prefix("q=").and_then(|weight| weight.trim().parse().ok());
        name.trim().eq_ignore_ascii_case("gzip") && weight.is_some_and(|weight| weight > 0.0)
    })
}

fn listed(kept: &Kept) -> BenchmarkResult {
    let name = kept.name.as_str();
    let link = |kind: &str| Some(format!("results/{name}.{kind}"));
    let text = |text: &str| Some(text.chars().take(TEXT).collect());
    match &kept.content {
        Content::Result(result) => BenchmarkResult {
            name: name.to_owned(),
            verdict: text(&result.verdict),
            headline: text(&result.headline),
            reason: text(&result.reason),
            line: text(&result.line),
            kapture: text(&result.kapture),
            began_us: Some(result.began_us),
            ended_us: Some(result.ended_us),
            html: result.html.as_ref().and_then(|_| link("html")),
            json: result.capsule.as_ref().and_then(|_| link("json")),
            remark: remark(result),
        },
        Content::Foreign { verdict, remark } => BenchmarkResult {
            name: name.to_owned(),
            verdict: verdict.clone(),
            remark: Some(remark.clone()),
            ..BenchmarkResult::default()
        },
    }
}

/// What was too large to be kept.
fn remark(result: &RunResult) -> Option<String> {
    match (&result.html, &result.capsule) {
        (Some(_), Some(_)) => None,
        (None, Some(_)) => Some(
            "the page was too large to be kept with the capsule, from which `kapture-benchmark report CAPSULE.json` makes it"
                .to_owned(),
        ),
        (_, None) => Some("page and capsule were too large to be kept".to_owned()),
    }
}

#[cfg(test)]
#[path = "results_tests.rs"]
mod tests;
