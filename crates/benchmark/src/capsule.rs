//! The record of one run: all that is needed to believe its verdict, to compare it and to repeat it.
//!
//! Its size follows the time and not the sales: histograms are compressed, and a step keeps a bounded number of points. The
//! published schema is `capsule.schema.json`, which is generated from these types.

mod recovery;
#[cfg(test)]
pub(crate) mod schema;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use crate::diagnose::{Diagnosis, Evidence, Installation};
use crate::judge::{Criterion, Judged};
use crate::mode::Mode;
use crate::search::{Found, Phase, Step};
use crate::statistics::{median, range};
use crate::verdict::{Decision, Verdict};
pub use recovery::{Jump, Recovery, Scaled};

/// What the first field of a capsule is.
pub const FORMAT: &str = "kapture-capsule";
/// The version of the format.
pub const VERSION: u32 = 1;
/// The schema, as it is published.
pub const SCHEMA: &str = include_str!("../capsule.schema.json");
/// Points that a step keeps: one a second for two minutes.
const POINTS: usize = 120;

/// The record of one run of kapture-benchmark.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Capsule {
    /// Always the same: it tells a capsule from other JSON.
    #[cfg_attr(test, schemars(extend("const" = FORMAT)))]
    pub format: String,
    /// The version of this format.
    #[cfg_attr(test, schemars(extend("const" = VERSION)))]
    pub version: u32,
    /// Name of the run.
    pub run: String,
    /// When it began, in microseconds since 1970.
    pub began_us: i64,
    /// When it ended.
    pub ended_us: i64,
    /// Version of Kapture.
    pub kapture: String,
    /// Versions of what it runs on, such as `kafka` and `kubernetes`, as far as they are known.
    pub versions: BTreeMap<String, String>,
    /// What was asked.
    pub parameters: Parameters,
    /// What was installed.
    pub installation: Installation,
    /// Sales per second that the loaders can offer; none if the run did not come so far.
    pub calibrated: Option<f64>,
    /// The pods that took part.
    pub pods: Vec<PodRecord>,
    /// All steps, in their order.
    pub steps: Vec<StepRecord>,
    /// What the search found; none if the run did not come so far.
    pub found: Option<Found>,
    /// What came of the jump of the load; none if none was asked for, or the run did not come so far.
    pub recovery: Option<Recovery>,
    /// Sales per second that came through in each repeat of the rate that held.
    pub repeats: Vec<f64>,
    /// The proof; none if the run did not come so far.
    pub audit: Option<Audit>,
    /// What gave way first; none if nothing did.
    pub diagnosis: Option<Diagnosis>,
    /// What that was read from.
    pub evidence: Option<Evidence>,
    /// The answer.
    pub verdict: Verdict,
    /// The sentence that decided it.
    pub reason: String,
    /// What to do, of INVALID and COULD NOT RUN.
    pub remedy: Option<String>,
}

/// What was asked. Two runs can be compared only if all of it but the target is the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// How thorough the run was.
    pub mode: Mode,
    /// The user's own peak, in sales per second.
    pub target: Option<f64>,
    /// A jump of the load, to see how long the service levels need to hold again; none if the capacity was looked for.
    pub elasticity: Option<Jump>,
    /// The limit of the p99 and of the lag.
    pub latency_limit_ms: u64,
    /// The stages that were installed.
    pub stages: Vec<String>,
    /// The version of the model that the sales are made by.
    pub model: u32,
    /// What the load was made of: seed, stores, customers, skew, hotStore, days, arrivals, as values.yaml has them.
    pub load: BTreeMap<String, String>,
    /// Switches of misbehaviour that were on.
    pub misbehaviour: Vec<String>,
}

/// A pod.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PodRecord {
    /// The component.
    pub component: String,
    /// Its name.
    pub pod: String,
    /// The node it was on; none if it does not know.
    pub node: Option<String>,
    /// CPU limit in cores; none if there is none or it is not known.
    pub cpu_limit: Option<f64>,
    /// Memory limit in bytes.
    pub memory_limit: Option<f64>,
}

/// A step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct StepRecord {
    /// When its rate had settled, in microseconds since 1970.
    pub began_us: i64,
    /// What was offered, and why.
    pub step: Step,
    /// How it did.
    pub judged: Judged,
    /// How it went.
    pub points: Vec<Point>,
}

/// A moment of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// Seconds since the rate had settled.
    pub at: f64,
    /// Sales per second handed to Kafka.
    pub sent: Option<f64>,
    /// Sales per second at the slowest store.
    pub stored: Option<f64>,
    /// p99 to the slowest store over the last ten seconds, in microseconds.
    pub p99_us: Option<u64>,
    /// The largest lag of a stage, in sales.
    pub lag: Option<u64>,
}

/// The auditor's results at the end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Audit {
    /// Whether it found something.
    pub findings: Criterion,
    /// Whether it is done.
    pub done: Criterion,
    /// By stage.
    pub stages: Vec<Proof>,
}

/// The auditor's results for a stage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// The stage.
    pub stage: String,
    /// Sales that it found; none if it does not report it.
    pub found: Option<u64>,
    /// Findings by kind, also those of which there are none.
    pub findings: BTreeMap<String, u64>,
}

/// The numbers of a verdict.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Capacity {
    /// The largest rate that held.
    pub held: f64,
    /// The smallest that failed.
    pub failed: Option<f64>,
    /// Median of what came through in the repeats.
    pub median: f64,
    /// The least.
    pub low: f64,
    /// The most.
    pub high: f64,
    /// How many repeats.
    pub n: usize,
    /// How much of the capacity is left above the target, as a share; negative below it.
    pub headroom: Option<f64>,
}

impl Capsule {
    /// The numbers of its verdict; none if it has none.
    pub fn capacity(&self) -> Option<Capacity> {
        let found = self.found.as_ref()?;
        let held = found.held?;
        let (low, high) = range(&self.repeats).unwrap_or((held, held));
        Some(Capacity {
            held,
            failed: found.failed,
            median: median(&self.repeats).unwrap_or(held),
            low,
            high,
            n: self.repeats.len(),
            headroom: self.parameters.target.map(|target| (held - target) / held),
        })
    }

    /// The jump of the load and what came of it; none if there was none.
    pub fn elasticity(&self) -> Option<(&Jump, &Recovery)> {
        self.parameters.elasticity.as_ref().zip(self.recovery.as_ref())
    }

    /// The last step of a phase.
    pub fn last_of(&self, phase: Phase) -> Option<&StepRecord> {
        self.steps.iter().rev().find(|record| record.step.phase == phase)
    }

    /// The steps at a rate that count, in their order.
    pub fn at(&self, rate: f64) -> impl DoubleEndedIterator<Item = &StepRecord> {
        self.steps.iter().filter(move |record| (record.step.rate - rate).abs() < 1e-9 * rate)
    }

    /// Takes the decision over.
    pub fn decided(&mut self, decision: Decision) {
        (self.verdict, self.reason, self.remedy) = (decision.verdict, decision.reason, decision.remedy);
    }

    /// Reads a capsule from a file.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("reading {}", path.display()))
    }

    /// Reads a capsule. One of another version, or something else, is named.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        #[derive(Deserialize)]
        struct Head {
            format: Option<String>,
            version: Option<u32>,
            kapture: Option<String>,
        }
        if text.trim_start().starts_with('<') {
            bail!("it is not JSON: of a report's page, the capsule is the text of the element #capsule")
        }
        let head: Head = serde_json::from_str(text).context("it is not a JSON object")?;
        match (head.format.as_deref(), head.version) {
            (Some(FORMAT), Some(VERSION)) => {}
            (Some(FORMAT), Some(version)) => {
                let by =
                    head.kapture.map_or_else(|| "another Kapture".to_owned(), |kapture| format!("Kapture {kapture}"));
                bail!(
                    "it is a capsule of version {version}, written by {by}, and this program reads version {VERSION}: use the \
                     kapture-benchmark that wrote it"
                )
            }
            (Some(FORMAT), None) => bail!("it is a capsule without a version"),
            (format, _) => {
                let is =
                    format.map_or_else(|| "has no format".to_owned(), |format| format!("is of the format {format:?}"));
                bail!("it is not a capsule: it {is}, where {FORMAT:?} is wanted")
            }
        }
        serde_json::from_str(text).context("it is a capsule that is damaged or was changed")
    }
}

/// Makes at most [`POINTS`] of the points: of those that become one, the worst counts.
pub fn bounded(points: &[Point]) -> Vec<Point> {
    let each = points.len().div_ceil(POINTS).max(1);
    points
        .chunks(each)
        .map(|chunk| Point {
            at: chunk[0].at,
            sent: chunk.iter().filter_map(|point| point.sent).reduce(f64::min),
            stored: chunk.iter().filter_map(|point| point.stored).reduce(f64::min),
            p99_us: chunk.iter().filter_map(|point| point.p99_us).max(),
            lag: chunk.iter().filter_map(|point| point.lag).max(),
        })
        .collect()
}
