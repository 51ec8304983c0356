//! What `helm test` runs: is every sale that was acknowledged before it began at every stage, once, unaltered and in order?
//!
//! It is the [`crate::recount`] of the newest blocks, with deadlines, so that it takes no longer on an install that has run
//! for a year. The live auditor is asked besides, since it has seen everything since the first sale.
//!
//! # What fails it
//!
//! - Anything that is wrong with the newest blocks.
//! - Any finding of the live auditor since the first sale on today's Kafka, however old: the pipeline as it is has made a
//!   fault, and time does not undo that.
//! - A stage that is late, an auditor or exporter that does not answer.
//!
//! What was found on an earlier Kafka fails nothing. Its sales can't come back, whoever lost them, and nobody can look into
//! its logs; a Kafka without persistence loses some whenever its pod is replaced. A remark tells of it, and the auditor's
//! account keeps it.
//!
//! It ends within three minutes, whatever is broken.

mod auditor;
mod exporter;
mod rows;
mod table;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use service::HostPort;

use crate::audit::findings::Stage;
use crate::config::Stores;
use crate::recount::{Cut, Kafka, Reach, grouped, newest};
use table::{Row, Table};

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

impl Settings {
    /// The name of an object of the chart.
    fn object(&self, component: &str) -> String {
        format!("{}-{component}", self.objects)
    }

    #[cfg(test)]
    fn example() -> Self {
        let [auditor, exporter] = ["a:1", "b:2"].map(|address| address.to_owned().try_into().unwrap());
        let [release, namespace, objects] = ["2024", "perf-test", "kapture-2024"].map(str::to_owned);
        Self { auditor, exporter, release, namespace, objects }
    }
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
        Self { sales: Duration::from_secs(110), pass: Duration::from_mins(1), alive: Duration::from_mins(1) }
    }
}

/// From the start: when the stages have had their time in any case, and when everything must be read.
const PASSED: Duration = Duration::from_secs(145);
const READ: Duration = Duration::from_secs(160);
/// From the start: when the auditor and the exporter have had their time in any case.
const ALIVE: Duration = Duration::from_secs(170);

/// Fewer sales prove nothing.
const ENOUGH: u64 = 100;
/// Sales that are counted at most, the newest: at any rate they take seconds.
const MOST: u64 = 20_000;
/// How far back from its end the loaders' account is read for them, at first: some minutes of ten loaders.
const BACK: i64 = 20_000;
/// Loaders publish each second what was acknowledged: after this, they have.
const PUBLISHED: Duration = Duration::from_millis(1_500);
/// Reading the loaders' account.
const ACCOUNT: Duration = Duration::from_secs(20);
/// One question to the auditor or the exporter.
const QUESTION: Duration = Duration::from_secs(5);
/// How long nothing must have been acknowledged for a loader to count as stopped: at one sale a second, some come.
const STILL: Duration = Duration::from_secs(4);

/// What is to be printed, and whether all is well.
pub struct Outcome {
    /// The table; its last line is the result.
    pub text: String,
    /// Whether the exit code is 0.
    pub well: bool,
}

/// Why there is nothing to judge, and whose log tells more.
struct Nothing {
    why: String,
    component: &'static str,
}

/// Runs the whole test.
pub async fn run(settings: &Settings, kafka: &kafka::Config, mut stores: Stores, patience: Patience) -> Outcome {
    let begun = Instant::now();
    let kafka = match Kafka::new(kafka) {
        Ok(kafka) => Arc::new(kafka),
        Err(err) => return Nothing::because(&err).outcome(settings),
    };
    let marking = blocking(&kafka, move |kafka| mark(kafka, begun + patience.sales));
    let cut = match marking.await.unwrap_or_else(|err| Err(Nothing::because(&err))) {
        Ok(cut) => Arc::new(cut),
        Err(nothing) => return nothing.outcome(settings),
    };
    let limits = ((Instant::now() + patience.pass).min(begun + PASSED), begun + READ);
    // Asked before sales are counted: what the others do meanwhile need not be waited for after that.
    let (rounds, sales) = tokio::join!(auditor::rounds(settings), exporter::sales(settings));
    let [counted, sent] = [&cut; 2].map(Arc::clone);
    let (found, sending) = tokio::join!(
        blocking(&kafka, move |kafka| newest(kafka, &mut stores, &counted, MOST, limits)),
        blocking(&kafka, move |kafka| is_sending(kafka, &sent))
    );
    let (found, sending) = match found.flatten() {
        Ok(found) => (found, sending.unwrap_or(false)),
        Err(err) => return Nothing::because(&err).outcome(settings),
    };
    if found.blocks == 0 {
        let why = "nothing to judge: Kafka deletes sales sooner than they can be counted: raise kafka.retentionBytes, or send less";
        return Nothing { why: why.to_owned(), component: "kafka" }.outcome(settings);
    }
    let mut table = Table::default();
    for stage in Stage::ALL {
        table.row(rows::row(stage, &found, settings, service::unix_us()));
    }

    let alive = (Instant::now() + patience.alive).min(begun + ALIVE);
    let stages = table.right_of(Stage::ALL.map(Stage::name));
    let moves = found.gaps.has_passed(Stage::Routed);
    let ((auditor, remark), exporter) = tokio::join!(
        auditor::row(settings, rounds, moves, alive),
        exporter::row(settings, &stages, sending, sales, alive)
    );
    table.row(auditor);
    table.row(exporter);
    if let Some(remark) = remark {
        table.note(remark);
    }
    if let Some(last) = stages.last()
        && let Some(p99) = exporter::p99_ms(settings, last).await
    {
        table.note(format!("p99 due to {last} {p99:.0} ms (not a measurement of capacity)"));
    }
    let counted = found.stages.at(Stage::Accepted).expected;
    if !cut.account.is_whole || counted < cut.account.acknowledged() {
        table.note(format!(
            "the newest {} sales were counted; the auditor answers for all. To count all again: \
             kubectl -n {} exec deploy/{} -- /kapture-auditor recount",
            grouped(counted),
            settings.namespace,
            settings.object("auditor")
        ));
    }
    if found.beyond_retention > 0 {
        table.note(format!("{} blocks were not judged: a log no longer reaches back to them", found.beyond_retention));
    }
    table.print(settings, &rows::of(&found))
}

/// What a program answers on its admin port.
async fn ask<T: DeserializeOwned>(program: &HostPort, path: &str) -> anyhow::Result<T> {
    let body = service::http::get(program.as_str(), path, QUESTION).await?;
    serde_json::from_slice(&body).with_context(|| format!("reading {path}"))
}

async fn blocking<T: Send + 'static>(
    kafka: &Arc<Kafka>,
    work: impl FnOnce(&Kafka) -> T + Send + 'static,
) -> anyhow::Result<T> {
    let kafka = Arc::clone(kafka);
    Ok(tokio::task::spawn_blocking(move || work(&kafka)).await?)
}

/// Waits until there are enough sales, and takes the cut. Blocks.
fn mark(kafka: &Kafka, deadline: Instant) -> Result<Cut, Nothing> {
    loop {
        // What is acknowledged now is published by then.
        std::thread::sleep(PUBLISHED);
        let nothing = match cut(kafka) {
            Ok(cut) if cut.account.acknowledged() >= ENOUGH => return Ok(cut),
            Ok(cut) => Nothing {
                why: format!(
                    "nothing to judge: {} sales were acknowledged, {ENOUGH} are wanted; is loader.replicas 0?",
                    grouped(cut.account.acknowledged())
                ),
                component: "loader",
            },
            Err(err) => Nothing {
                why: format!("nothing to judge: the loaders' account can't be read: {err:#}"),
                component: "kafka",
            },
        };
        if Instant::now() >= deadline {
            return Err(nothing);
        }
    }
}

/// The cut, with as much of the account as has enough sales, or all of it. Blocks.
fn cut(kafka: &Kafka) -> anyhow::Result<Cut> {
    let (deadline, mut back) = (Instant::now() + ACCOUNT, BACK);
    loop {
        let cut = Cut::take(kafka, Reach::Back(back), deadline)?;
        if cut.account.is_whole || cut.account.acknowledged() >= MOST {
            return Ok(cut);
        }
        back = back.saturating_mul(8);
    }
}

/// Whether more is acknowledged than at the cut, or will be in a moment. Blocks.
fn is_sending(kafka: &Kafka, cut: &Cut) -> bool {
    let has_grown = || {
        let now = cut.account.read_on(kafka, Instant::now() + ACCOUNT);
        now.is_ok_and(|now| now.acknowledged() > cut.account.acknowledged())
    };
    has_grown() || {
        std::thread::sleep(STILL);
        has_grown()
    }
}

impl Nothing {
    fn because(err: &anyhow::Error) -> Self {
        Self { why: format!("nothing to judge: {err:#}"), component: "kafka" }
    }

    fn outcome(self, settings: &Settings) -> Outcome {
        let mut table = Table::default();
        let object = format!("statefulset/{}", settings.object(self.component));
        table.row(Row::fail(Stage::Accepted.name(), self.why, object));
        table.print(settings, "")
    }
}
