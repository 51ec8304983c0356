//! The account of all sales: what the auditor has found, by kind and stage. It is written here since the auditor serves it,
//! and others read it.

use std::collections::BTreeMap;

use petstore::SaleId;
use pipeline::{PerStage, Stage};
use serde::{Deserialize, Serialize};

use crate::findings::Kind;

/// `/api/v1/account`: everything since the first sale, by stage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// By stage; a store that is not watched is left out.
    pub stages: Tallies,
    /// Blocks of which something can still come.
    pub open_blocks: u64,
    /// Blocks of which nothing can.
    pub done_blocks: u64,
    /// Blocks that are not judged, since only another release can generate them again.
    #[serde(default)]
    pub other_release_blocks: u64,
    /// What of this was left by earlier Kafkas, the oldest first.
    #[serde(default)]
    pub earlier: Vec<EarlierKafka>,
    /// How many findings there are of each kind at each stage; only those there are.
    pub counts: Vec<Count>,
    /// The first findings of each kind at each stage, whole.
    pub findings: Vec<Finding>,
    /// What is on `sales.rejected`: not a finding by itself.
    #[serde(default)]
    pub rejected_records: RejectedRecords,
    /// Of how many blocks the content is compared.
    #[serde(default)]
    pub content: Content,
    /// False if a log was deleted before it was read, or a block's parameters are unknown: nothing is said of those.
    pub auditable: bool,
    /// What the auditor can't say or says late, in words.
    #[serde(default)]
    pub remarks: Vec<String>,
    /// What the auditor is doing.
    pub position: Position,
}

/// The account of a Kafka that was emptied or replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EarlierKafka {
    /// When it was found to be gone: unix time, microseconds.
    pub at_us: i64,
    /// Everything since its first sale.
    pub stages: Tallies,
    /// How many of [`Account::findings`] are its own. They come before those of today's Kafka.
    pub findings: u64,
}

/// Content is compared of one block in so many; identity of every sale always.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// Now.
    pub one_in: u32,
    /// When a block was left out at the most sparing, since this auditor began; 1 if none was.
    pub sparest: u32,
}

impl Default for Content {
    fn default() -> Self {
        Self { one_in: 1, sparest: 1 }
    }
}

/// How many findings there are of one kind at one stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Where.
    pub stage: Stage,
    /// What.
    pub kind: Kind,
    /// How many.
    pub findings: u64,
}

/// How far the auditor is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Rounds of proof that ended: each says of all that was acknowledged before whether it arrived.
    pub rounds: u64,
    /// What the round in hand waits for.
    pub waiting_for: String,
    /// Whether reading pauses, since too many blocks wait for a store.
    pub paused: bool,
    /// Records read from all topics that are followed, as the sum of their offsets.
    pub read: u64,
    /// Records that are still to be read: the auditor's own backlog, which says nothing of the pipeline.
    #[serde(default)]
    pub audit_backlog: u64,
    /// Milliseconds since the last round of proof ended; none before the first.
    pub round_age_ms: Option<u64>,
    /// Milliseconds since the account was as the last checkpoint has it; none before the first.
    pub checkpoint_age_ms: Option<u64>,
}

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

/// All records on `sales.rejected`. They are no findings: the finding is a generated sale that is there *instead* of on
/// its state's topic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectedRecords {
    /// How many.
    pub count: u64,
    /// The first of them.
    pub first: Vec<Rejected>,
}

/// One record on `sales.rejected`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    /// Its offset there.
    pub offset: i64,
    /// Topic, partition and offset that it came from, as the fan-out says.
    pub source: String,
    /// Why it is no sale.
    pub reason: String,
    /// How long its body was.
    pub bytes: String,
    /// The sale that its header names, if that can be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sale: Option<SaleId>,
}

/// Declares [`Tally`] with its counts, and lists them once.
macro_rules! tally {
    ($($(#[$meta:meta])* $count:ident,)*) => {
        /// How many counts a [`Tally`] has.
        pub const COUNTS: usize = [$(stringify!($count)),*].len();

        /// What was counted at one stage. Loss and duplication are counted apart and are never summed.
        ///
        /// What a stage must have is what the stage before it had, so that each loss is counted once, where it happened:
        /// `expected = found + lost + rejected + not_auditable + late`.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct Tally {
            $($(#[$meta])* pub $count: u64,)*
        }

        impl Tally {
            /// All counts, in the order of their declaration.
            pub fn counts(&self) -> [u64; COUNTS] {
                [$(self.$count),*]
            }

            /// The reverse of [`Self::counts`].
            pub fn of_counts([$($count),*]: [u64; COUNTS]) -> Self {
                Self { $($count),* }
            }
        }
    };
}

tally! {
    /// Sales that must be there.
    expected,
    /// Those of them that are.
    found,
    /// Those that the stage has passed and does not have.
    lost,
    /// Those that are on `sales.rejected`.
    rejected,
    /// Those that are missing where a log had been deleted before it was read: nobody can tell.
    not_auditable,
    /// Those that are neither found nor lost as yet.
    late,
    /// Sales that are there without having been acknowledged: not a finding.
    unknown,
    /// Records beyond the first of a sale.
    duplicate,
    /// Records whose content was compared with what the model generates.
    compared,
    /// Those of them that differ from it.
    altered,
    /// Records on another state's topic.
    misrouted,
    /// Records behind a later one of the same loader and store.
    out_of_order,
    /// Records that nobody sent.
    never_sent,
    /// Records that are not a valid sale.
    malformed,
}

impl Tally {
    /// How many findings of a kind there are.
    pub fn of(&self, kind: Kind) -> u64 {
        let mut copy = *self;
        *copy.of_mut(kind)
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

    /// Whether nothing was found wrong here.
    pub fn is_clean(&self) -> bool {
        Kind::ALL.iter().all(|kind| self.of(*kind) == 0)
    }

    /// Adds another stage's counts to these.
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

    /// How many findings there are of each kind at each stage; only those there are.
    pub fn counts(&self) -> Vec<Count> {
        let of = |(stage, tally): (&Stage, &Tally)| {
            let (stage, tally) = (*stage, *tally);
            Kind::ALL.map(|kind| Count { stage, kind, findings: tally.of(kind) })
        };
        self.0.iter().flat_map(of).filter(|count| count.findings > 0).collect()
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
