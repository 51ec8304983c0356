//! What the auditor can name: a stage, what went wrong there, and with which sale.

use std::collections::BTreeMap;

use pipeline::PerStage;
pub use pipeline::Stage;
use serde::{Deserialize, Serialize};
pub use service::findings::Kind;

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Where.
    pub stage: Stage,
    /// What.
    pub kind: Kind,
    /// The sale's id; the block's where a store only counts; the record's place where it has no id.
    pub what: String,
    /// What else is known of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// When it was found: unix time, microseconds.
    pub at_us: i64,
}

/// Findings of one kind at one stage that are shown whole, so that many of one hide none of another. Counts have no such
/// bound; they are kept with the blocks.
const SHOWN: usize = 25;

/// Characters of a detail, which may quote a record: all findings are written in one record.
const DETAIL: usize = 200;

fn short(detail: &str) -> String {
    detail.chars().take(DETAIL).collect()
}

/// The first findings, whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Findings(Vec<Finding>);

impl Findings {
    /// Adds a finding while there is room, once.
    pub fn add(&mut self, stage: Stage, kind: Kind, what: &str, detail: &str) {
        if !self.has_room(stage, kind) {
            return;
        }
        let finding = Finding { stage, kind, what: what.to_string(), detail: short(detail), at_us: service::unix_us() };
        // After a restart, what an open block has is read again and found again. A third copy of a sale lies elsewhere.
        if !self.0.iter().any(|known| known.is(stage, kind, &finding.what) && known.detail == finding.detail) {
            self.0.push(finding);
        }
    }

    /// Whether another one would be shown.
    pub fn has_room(&self, stage: Stage, kind: Kind) -> bool {
        self.0.iter().filter(|known| (known.stage, known.kind) == (stage, kind)).count() < SHOWN
    }

    /// Puts a finding at another stage, where it is of another kind perhaps.
    pub fn put_down_to(&mut self, stage: Stage, kind: Kind, what: &str, (to, as_kind): (Stage, Kind), detail: &str) {
        if let Some(known) = self.0.iter_mut().find(|known| known.is(stage, kind, what)) {
            (known.stage, known.kind) = (to, as_kind);
            known.detail = short(&format!("{}; {detail}", known.detail));
        }
    }

    /// Takes back what turned out to be otherwise.
    pub fn retract(&mut self, stage: Stage, kind: Kind, what: &str) {
        self.0.retain(|known| !known.is(stage, kind, what));
    }

    /// Takes back what was found of any sale of a block, or of the block itself.
    pub fn retract_of(&mut self, stage: Stage, kind: Kind, block: &str) {
        let of = |what: &str| {
            what.strip_prefix("block ")
                .unwrap_or(what)
                .strip_prefix(block)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.0.retain(|known| !(known.stage == stage && known.kind == kind && of(&known.what)));
    }

    /// All that are shown, in the order in which they were found.
    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.0.iter()
    }
}

impl Finding {
    fn is(&self, stage: Stage, kind: Kind, what: &str) -> bool {
        self.stage == stage && self.kind == kind && self.what == what
    }
}

/// How many counts a [`Tally`] has.
pub const COUNTS: usize = 14;

/// What was counted at one stage. Loss and duplication stand apart and are never summed.
///
/// What a stage must have is what the stage before it had, so that each loss is counted once, where it happened:
/// `expected = found + lost + rejected + not_auditable + late`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tally {
    /// Sales that must be there.
    pub expected: u64,
    /// Those of them that are.
    pub found: u64,
    /// Those that the stage has passed and does not have.
    pub lost: u64,
    /// Those that lie on `sales.rejected`.
    pub rejected: u64,
    /// Those that are missing where a log had been deleted before it was read: nobody can say.
    pub not_auditable: u64,
    /// Those that are neither found nor lost as yet.
    pub late: u64,
    /// Sales that are there without having been acknowledged: no finding.
    pub unknown: u64,
    /// Records beyond the first of a sale.
    pub duplicate: u64,
    /// Records whose content was compared with what the model says.
    pub compared: u64,
    /// Those of them that differ from it.
    pub altered: u64,
    /// Records on another state's topic.
    pub misrouted: u64,
    /// Records behind a later one of the same loader and store.
    pub out_of_order: u64,
    /// Records that nobody sent.
    pub never_sent: u64,
    /// Records that are no sale.
    pub malformed: u64,
}

impl Tally {
    /// How many findings of a kind there are.
    pub fn of(&self, kind: Kind) -> u64 {
        match kind {
            Kind::Lost => self.lost,
            Kind::Rejected => self.rejected,
            Kind::Duplicate => self.duplicate,
            Kind::Altered => self.altered,
            Kind::Misrouted => self.misrouted,
            Kind::OutOfOrder => self.out_of_order,
            Kind::NeverSent => self.never_sent,
            Kind::Malformed => self.malformed,
        }
    }

    /// How many findings of a kind there are, to be changed.
    pub fn of_mut(&mut self, kind: Kind) -> &mut u64 {
        match kind {
            Kind::Lost => &mut self.lost,
            Kind::Rejected => &mut self.rejected,
            Kind::Duplicate => &mut self.duplicate,
            Kind::Altered => &mut self.altered,
            Kind::Misrouted => &mut self.misrouted,
            Kind::OutOfOrder => &mut self.out_of_order,
            Kind::NeverSent => &mut self.never_sent,
            Kind::Malformed => &mut self.malformed,
        }
    }

    /// All counts, in the order of their declaration.
    pub fn counts(&self) -> [u64; COUNTS] {
        let Self { expected, found, lost, rejected, not_auditable, late, unknown, .. } = *self;
        let Self { duplicate, compared, altered, misrouted, out_of_order, never_sent, malformed, .. } = *self;
        [
            expected,
            found,
            lost,
            rejected,
            not_auditable,
            late,
            unknown,
            duplicate,
            compared,
            altered,
            misrouted,
            out_of_order,
            never_sent,
            malformed,
        ]
    }

    /// The reverse of [`Self::counts`].
    pub fn of_counts(counts: [u64; COUNTS]) -> Self {
        let [expected, found, lost, rejected, not_auditable, late, unknown, duplicate, compared, altered, ..] = counts;
        let [.., misrouted, out_of_order, never_sent, malformed] = counts;
        Self {
            expected,
            found,
            lost,
            rejected,
            not_auditable,
            late,
            unknown,
            duplicate,
            compared,
            altered,
            misrouted,
            out_of_order,
            never_sent,
            malformed,
        }
    }

    /// Whether nothing was found wrong here.
    pub fn is_clean(&self) -> bool {
        Kind::ALL.iter().all(|kind| self.of(*kind) == 0)
    }

    fn add(&mut self, other: &Self) {
        let mut sum = self.counts();
        sum.iter_mut().zip(other.counts()).for_each(|(sum, other)| *sum += other);
        *self = Self::of_counts(sum);
    }
}

/// A tally for each stage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tallies(pub BTreeMap<Stage, Tally>);

impl Tallies {
    /// The tally of one stage.
    pub fn at(&self, stage: Stage) -> Tally {
        self.0.get(&stage).copied().unwrap_or_default()
    }

    /// The tally of one stage, to be changed.
    pub fn at_mut(&mut self, stage: Stage) -> &mut Tally {
        self.0.entry(stage).or_default()
    }

    /// Adds another account to this one.
    pub fn add(&mut self, other: &Self) {
        for (stage, tally) in &other.0 {
            self.at_mut(*stage).add(tally);
        }
    }

    /// Keeps the tallies of the watched stages, one of each.
    pub fn keep(&mut self, watched: PerStage<bool>) {
        self.0.retain(|stage, _| watched[*stage]);
        for (stage, _) in watched.iter().filter(|(_, watched)| **watched) {
            self.at_mut(stage);
        }
    }

    /// Whether nothing was found wrong anywhere.
    pub fn is_clean(&self) -> bool {
        self.0.values().all(Tally::is_clean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_bounded_and_says_each_loss_once() {
        let mut findings = Findings::default();
        for index in 0..300 {
            findings.add(Stage::Routed, Kind::Lost, &(index / 2).to_string(), "");
        }
        assert_eq!(findings.iter().count(), SHOWN);
        assert_eq!(findings.iter().last().map(|finding| finding.what.as_str()), Some("24"));
        findings.add(Stage::Routed, Kind::Altered, "7", "");
        assert_eq!(findings.iter().count(), SHOWN + 1, "many of one kind hide none of another");
        findings.retract(Stage::Routed, Kind::Altered, "7");
        findings.retract(Stage::Routed, Kind::Lost, "7");
        assert!(findings.iter().all(|finding| finding.what != "7"));
    }

    #[test]
    fn a_detail_is_short_however_long_what_it_quotes() {
        let mut findings = Findings::default();
        findings.add(Stage::Routed, Kind::Malformed, "7", &"ü".repeat(1_000_000));
        for _ in 0..10 {
            let to = (Stage::Routed, Kind::Malformed);
            findings.put_down_to(Stage::Routed, Kind::Malformed, "7", to, "it was so on sales already");
        }
        assert_eq!(findings.iter().map(|finding| finding.detail.chars().count()).collect::<Vec<_>>(), [DETAIL]);
    }

    #[test]
    fn loss_and_duplication_are_added_apart() {
        let mut sum = Tallies::default();
        for (lost, duplicate) in [(1, 0), (0, 1)] {
            let mut one = Tallies::default();
            *one.at_mut(Stage::Routed) = Tally { lost, duplicate, ..Tally::default() };
            sum.add(&one);
        }
        assert_eq!(sum.at(Stage::Routed), Tally { lost: 1, duplicate: 1, ..Tally::default() });
        assert!(!sum.is_clean());
    }
}
