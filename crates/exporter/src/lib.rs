//! Shows all of it: polls the report of every program and the offsets of Kafka, and serves them as metrics, as
//! JSON and as a live page. It also serves the results of benchmarks, which it reads from Kafka.
//!
//! Promises: a total never falls, whatever restarts; a lag is never negative, and never stays at an old value in silence; what
//! is missing is shown as stale, with its age, and never as zero; the measurement doesn't travel through what is measured.

mod audit;
mod base;
mod clock;
mod config;
mod families;
mod kafka_poll;
mod lag;
mod ledger;
mod metrics;
mod offsets;
mod poll;
mod remainder;
mod results;
#[cfg(test)]
mod samples;
mod usage;
mod view;
mod window;

use std::time::{Duration, Instant};

use prometheus_client::registry::Registry;
use service::http::{self, Request, Response, StatusCode};
use service::state::State;
use service::{Admin, Figures, Health};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use config::{Config, Target, Targets};

use crate::kafka_poll::Offsets;
use crate::ledger::Ledger;
use crate::offsets::Watcher;
use crate::poll::Reports;
use crate::results::Results;

/// A loop this late counts as stuck. While Kafka is away a round takes some seconds, since each request has a time limit.
const TURN_LIMIT: Duration = Duration::from_mins(1);

const PAGE: &str = include_str!("page.html");
const SCRIPT: &str = include_str!("page.js");

/// Polls and serves until `shutdown`.
pub async fn run(
    config: Config,
    kafka: kafka::Config,
    service: service::Config,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let watcher = Watcher::new(&kafka, config.targets.etl_roles())?;
    let reports = Reports::new(Ledger::new(config.targets.clone()));
    let (offsets, results) = (Offsets::default(), Results::default());
    let health = Health::default();
    let polling = health.loop_("poll", config.poll_interval.get() + TURN_LIMIT);
    let asking = health.loop_("kafka", config.kafka_interval.get() + TURN_LIMIT);
    let reading = health.loop_("results", config.kafka_interval.get() + TURN_LIMIT);

    let mut registry = Registry::default();
    metrics::register(&mut registry, &reports, &offsets);
    let admin = Admin::new(&service, "exporter", registry, health, Figures::default).routes({
        let (reports, offsets, results) = (reports.clone(), offsets.clone(), results.clone());
        move |request| std::future::ready(answer(&request, &reports, &offsets, &results))
    });

    tokio::try_join!(
        admin.serve_on(listener, shutdown.clone()),
        poll::resolve(&config, &reports, &shutdown),
        poll::run(&config, &reports, polling, &shutdown),
        kafka_poll::run(watcher, config.kafka_interval.get(), &offsets, &reports, asking, &shutdown),
        results::run(kafka, config.kafka_interval.get(), &offsets, &results, reading, &shutdown),
    )?;
    Ok(())
}

fn answer(request: &Request, reports: &Reports, offsets: &Offsets, results: &Results) -> Option<Response> {
    let now = Instant::now();
    match request.uri().path() {
        "/" => Some(http::page(PAGE)),
        "/page.js" => Some(http::response(StatusCode::OK, "text/javascript; charset=utf-8", SCRIPT)),
        "/api/v1/state" => Some(http::json(&state(reports, offsets, results, now))),
        "/api/v1/reports" => Some(http::json(&view::reports(&reports.ledger(), now))),
        _ => results.answer(request),
    }
}

fn state(reports: &Reports, offsets: &Offsets, results: &Results, now: Instant) -> State {
    let state = view::state(&reports.ledger(), offsets.summary(now), now);
    State { benchmark: reports.running(now), results: results.latest(), ..state }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_needs_nothing_from_elsewhere() {
        for attribute in ["src=\"", "href=\""] {
            for link in PAGE.split(attribute).skip(1) {
                assert!(!link.starts_with("http") && !link.starts_with('/'), "{}", &link[..20]);
            }
        }
        assert!(PAGE.contains("src=\"page.js\""));
    }
}
