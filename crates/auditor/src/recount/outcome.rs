//! The outcome of a recount, and its table.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use petstore::{BlockId, State};
use pipeline::PerStage;
use serde::Serialize;

use super::book::Book;
use super::judge::Missing;
use super::read::Gaps;
use super::strange::Strange;
use crate::audit::findings::{Finding, Kind, Stage, Tallies};

/// Blocks beyond retention that are named.
const NAMED: usize = 10;

/// The outcome of a recount.
#[derive(Debug, Default, Serialize)]
pub struct Recount {
    /// Blocks that were counted.
    pub blocks: u64,
    /// Blocks that a log no longer reaches back to: they are not judged.
    pub beyond_retention: u64,
    /// The first of these.
    pub beyond: Vec<BlockId>,
    /// By stage.
    pub stages: Tallies,
    /// Findings, whole; the first hundred of each kind and stage.
    pub findings: Vec<Finding>,
    /// Records on `sales.rejected`: not findings by themselves.
    pub rejected_records: u64,
    /// Sales in stores that are of an earlier Kafka: they are not judged.
    pub earlier: BTreeMap<Stage, u64>,
    /// Stages that had not passed everything: what is missing there is late.
    pub behind: Vec<Stage>,
    /// No finding, and nothing late.
    pub well: bool,
    /// Why these stages are behind, or could not be read.
    #[serde(skip)]
    pub(crate) gaps: Gaps,
    /// By stage, the sale that is not there and was due first.
    #[serde(skip)]
    pub(crate) oldest: BTreeMap<Stage, Missing>,
    /// The states' topics in which sales were found.
    #[serde(skip)]
    pub(crate) topics: BTreeSet<State>,
    /// The first and the last due time of the sales that were found: unix time, seconds.
    #[serde(skip)]
    pub(crate) span_s: Option<(u32, u32)>,
}

impl Recount {
    /// Adds what else is known of a pass that was judged.
    pub(super) fn add(&mut self, book: &Book<'_>, gaps: Gaps) {
        self.blocks += book.blocks.len() as u64;
        self.beyond_retention += book.beyond.len() as u64;
        self.beyond.extend(&book.beyond);
        self.beyond.truncate(NAMED);
        self.rejected_records += book.rejected;
        self.gaps.add(gaps);
        self.topics.extend(&book.topics);
        let both = self.span_s.into_iter().chain(book.span_s());
        self.span_s = both.reduce(|(first, last), (from, to)| (first.min(from), last.max(to)));
    }

    /// Adds what belongs to no block, where it was first.
    pub(super) fn add_strange(&mut self, strange: &Strange) {
        let mut find = |stage, what: String, detail: &str, times: u64| {
            self.stages.at_mut(stage).never_sent += times;
            let (kind, detail) = (Kind::NeverSent, detail.to_owned());
            self.findings.push(Finding { stage, kind, what, detail, at_us: service::unix_us() });
        };
        for ((stage, id), times) in &strange.sales {
            // What is on `sales` is named when it was routed, as everything else is.
            if *stage == Stage::Accepted {
                continue;
            }
            let on_sales = strange.sales.get(&(Stage::Accepted, *id)).copied().unwrap_or(0).min(*times);
            if *stage == Stage::Routed && on_sales > 0 {
                find(Stage::Accepted, id.to_string(), "of a block that nobody reserved", on_sales);
            }
            let here = if *stage == Stage::Routed { times - on_sales } else { *times };
            if here > 0 && (*stage == Stage::Routed || strange.first(*stage, id.block_id())) {
                find(*stage, id.to_string(), "of a block that nobody reserved", here);
            }
        }
        for ((stage, id), sales) in &strange.blocks {
            if strange.first(*stage, *id) {
                find(*stage, format!("block {id}"), "a block that nobody reserved", *sales);
            }
        }
        for ((stage, _), sales) in &strange.earlier {
            *self.earlier.entry(*stage).or_default() += sales;
        }
    }

    pub(super) fn finish(mut self, watched: PerStage<bool>) -> Self {
        self.stages.keep(watched);
        self.behind = self.gaps.behind.keys().copied().collect();
        self.well = self.stages.is_clean() && self.stages.0.values().all(|tally| tally.late == 0);
        self
    }

    /// For people.
    pub fn table(&self) -> String {
        let mut text = format!("kapture recount   {} blocks", grouped(self.blocks));
        if self.beyond_retention > 0 {
            let first: Vec<String> = self.beyond.iter().map(BlockId::to_string).collect();
            let _ = write!(
                text,
                ", {} more that a log no longer reaches back to: {}…",
                grouped(self.beyond_retention),
                first.join(", ")
            );
        }
        text.push('\n');
        for (stage, tally) in &self.stages.0 {
            let found = format!("{} of {}", grouped(tally.found), grouped(tally.expected));
            let _ = write!(text, "  {:<9} {found:>23}", stage.name());
            for (count, what) in [(tally.late, "late"), (tally.unknown, "unknown")] {
                if count > 0 {
                    let _ = write!(text, "   {} {what}", grouped(count));
                }
            }
            for kind in Kind::ALL.into_iter().filter(|kind| tally.of(*kind) > 0) {
                let _ = write!(text, "   {} {}", grouped(tally.of(kind)), kind.name().replace('_', " "));
            }
            text.push('\n');
        }
        for Finding { stage, kind, what, detail, .. } in &self.findings {
            let _ = writeln!(text, "    {} at {}: {what} {detail}", kind.name().replace('_', " "), stage.name());
        }
        if self.rejected_records > 0 {
            let _ = writeln!(text, "  {} records are on sales.rejected", grouped(self.rejected_records));
        }
        for (stage, sales) in &self.earlier {
            let _ = writeln!(text, "  {} {} sales are of an earlier Kafka, not judged", grouped(*sales), stage.name());
        }
        for stage in &self.behind {
            let why = self.gaps.behind.get(stage).map_or("", String::as_str);
            let _ = writeln!(text, "  {}: {why}; what is missing there is late", stage.name());
        }
        let _ = writeln!(text, "{}", if self.well { "ok: no finding" } else { "not ok" });
        text
    }
}

/// A number with its thousands apart: `1,000,000`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }
}
