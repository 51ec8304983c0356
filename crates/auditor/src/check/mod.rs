//! What `helm test` runs: is every sale that was acknowledged before it began at every stage, once and unaltered?
//!
//! It marks a cut, waits for every stage to pass it, and then counts for itself, sale by sale, from the topics and the
//! stores: nothing of the live auditor's account is used but the model that says what a block holds. The live auditor
//! is asked besides, since it has seen everything since the first sale.
//!
//! It ends within three minutes, whatever is broken.

mod cut;
mod exporter;
mod found;
mod inspect;
mod live;
mod sample;
#[cfg(test)]
mod sample_tests;
pub(crate) mod scan;
mod stores;
mod table;
mod verdict;

use std::time::{Duration, Instant};

use anyhow::Context;
use serde::Deserialize;
use service::HostPort;
use tokio_util::sync::CancellationToken;

use crate::config::Stores;
use crate::store::Store;
use cut::Nothing;
pub(crate) use table::grouped;
use table::{Release, Row, Table};

/// The variables `TEST_*`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// `host:port` of the live auditor.
    pub auditor: HostPort,
    /// `host:port` of the exporter.
    pub exporter: HostPort,
    /// Name of the release.
    pub release: String,
    /// Where it runs: what the printed commands are made from.
    pub namespace: String,
    /// What the names of its objects begin with; they follow from the release's name in a way that only the chart knows.
    pub objects: String,
}

/// How long is waited for what may come.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For enough sales to be acknowledged; at one a second they take 100 s.
    pub sales: Duration,
    /// For all stages to pass the cut.
    pub pass: Duration,
    /// For the auditor and the exporter to show that they live.
    pub alive: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { sales: Duration::from_secs(110), pass: Duration::from_mins(1), alive: Duration::from_secs(30) }
    }
}

/// From the start: when the stages have had their time in any case, and when everything must be read.
const PASSED: Duration = Duration::from_secs(145);
const READ: Duration = Duration::from_secs(160);
/// From the start: when the auditor and the exporter have had their time in any case.
const ALIVE: Duration = Duration::from_secs(170);
/// When the parts of the test end, whatever has come of them.
struct Limits {
    pass: Instant,
    read: Instant,
}

/// What is to be printed, and whether all is well.
pub struct Outcome {
    /// The table; its last line is the verdict.
    pub text: String,
    /// What the exit code says.
    pub well: bool,
}

/// Runs the whole test.
pub async fn run(settings: &Settings, kafka: &kafka::Config, stores: Stores, patience: Patience) -> Outcome {
    let begun = Instant::now();
    let Settings { release: name, namespace, objects, .. } = settings.clone();
    let release = Release { name, namespace, objects };
    let sample = match cut::mark(kafka, begun + patience.sales).await {
        Ok(sample) => sample,
        Err(nothing) => return nothing.outcome(&release),
    };
    let acknowledged = sample.acknowledged;
    let rounds = live::rounds(settings.auditor.as_str()).await;
    let watched = stores.watched();
    let redis_keeps_us = stores.redis.as_ref().and_then(Store::keeps).map_or(i64::MAX, microseconds);
    let limits = Limits { pass: (Instant::now() + patience.pass).min(begun + PASSED), read: begun + READ };
    let found = inspect::inspect(kafka, stores, sample, &limits).await;
    if found.sample.blocks.is_empty() {
        let why = "nothing to judge: Kafka deletes sales sooner than they can be counted: raise kafka.retentionBytes, or send less";
        return Nothing { why: why.to_owned(), component: "kafka" }.outcome(&release);
    }
    let mut table = Table::default();
    for row in verdict::rows(&found, watched, redis_keeps_us, &release, service::unix_us()) {
        table.row(row);
    }

    let alive = (Instant::now() + patience.alive).min(begun + ALIVE);
    let stages = table.right_of(["accepted", "routed", "cached", "stored", "returned"]);
    let (auditor, exporter) =
        tokio::join!(live::row(settings.auditor.as_str(), rounds, found.routed, alive, &release), async {
            let sending = cut::is_sending(kafka, acknowledged).await;
            exporter::row(settings.exporter.as_str(), &stages, sending, alive, &release).await
        });
    table.row(auditor);
    table.row(exporter);
    if let Some(last) = stages.last()
        && let Some(p99) = exporter::p99_ms(settings.exporter.as_str(), last).await
    {
        table.note(format!("p99 due to {last} {p99:.0} ms (not a measurement of capacity)"));
    }
    for note in verdict::notes(&found) {
        table.note(note);
    }
    let (text, well) = table.print(&release, &verdict::of(&found));
    Outcome { text, well }
}

impl Nothing {
    fn outcome(self, release: &Release) -> Outcome {
        let mut table = Table::default();
        table.row(Row::fail("accepted", self.why, format!("statefulset/{}", release.object(self.component))));
        let (text, well) = table.print(release, "");
        Outcome { text, well }
    }
}

/// Which Kafka this is, as the stores keep it with their positions.
pub(crate) async fn installation(kafka: &kafka::Config, deadline: Instant) -> anyhow::Result<String> {
    let shutdown = CancellationToken::new();
    let asked = tokio::time::timeout_at(deadline.into(), kafka.installation(&shutdown)).await;
    Ok(asked.context("asking which kafka this is: no answer in time")??.to_string())
}

fn microseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
