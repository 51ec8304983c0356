//! The account as the API shows it.

use std::time::Duration;

use kafka::blocks::Phase;
use petstore::BlockId;
use serde::{Deserialize, Serialize};

use super::{Ledger, RejectedRecords};
use crate::findings::{Finding, Kind, Stage, Tallies, Tally};

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
    /// How many findings there are of each kind at each stage; only those there are.
    pub counts: Vec<Count>,
    /// The first findings of each kind at each stage, whole.
    pub findings: Vec<Finding>,
    /// What lies on `sales.rejected`: no finding by itself.
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

/// One open block on `/api/v1/blocks`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockView {
    /// Which block.
    pub id: BlockId,
    /// What its loader last said.
    pub phase: Phase,
    /// Its account.
    pub stages: Tallies,
}

/// Blocks on `/api/v1/blocks`.
const SHOWN: usize = 100;

impl Ledger {
    /// The whole account. The caller fills in what only it knows of the position.
    pub fn account(&self) -> Account {
        let mut stages = self.done.tallies().clone();
        for (id, block) in &self.open {
            stages.add(&block.tallies(self.silence.is_silent(*id)));
        }
        for reserved in self.reserved.values() {
            stages.add(&reserved.tallies());
        }
        let mut strays = Tallies::default();
        for (stage, tally) in [Stage::Routed, Stage::Returned].into_iter().zip(self.strays) {
            *strays.at_mut(stage) = tally;
        }
        for stage in Stage::ALL {
            strays.at_mut(stage).never_sent += self.strangers.count(stage);
        }
        stages.add(&strays);
        stages.keep(self.watched.stages());
        let (one_in, sparest) = self.sampling.one_in();
        Account {
            counts: counts(&stages),
            auditable: self.unreadable.is_empty() && stages.0.values().all(|tally: &Tally| tally.not_auditable == 0),
            stages,
            open_blocks: (self.open.len() + self.reserved.len()) as u64,
            done_blocks: self.done.count(),
            other_release_blocks: self.others.values().map(|blocks| u64::from(blocks.len())).sum(),
            findings: self.findings.iter().cloned().collect(),
            rejected_records: self.rejected.clone(),
            content: Content { one_in, sparest },
            remarks: self.remarks(service::unix_us()),
            position: Position {
                rounds: self.rounds,
                read: self.read.sum(),
                paused: self.is_full(),
                audit_backlog: self.backlog(),
                ..Position::default()
            },
        }
    }

    /// Some open blocks, the oldest first.
    pub fn blocks(&self) -> Vec<BlockView> {
        let open = self.open.iter().map(|(id, block)| (block.record().reserved_at_us, *id));
        let reserved = self.reserved.iter().map(|(id, reserved)| (reserved.record.reserved_at_us, *id));
        let mut blocks: Vec<(i64, BlockId)> = open.chain(reserved).collect();
        blocks.sort_unstable();
        blocks.into_iter().take(SHOWN).filter_map(|(_, id)| self.block(id)).collect()
    }

    fn block(&self, id: BlockId) -> Option<BlockView> {
        let (phase, stages) = match (self.open.get(&id), self.reserved.get(&id)) {
            (Some(block), _) => (block.record().phase, block.tallies(self.silence.is_silent(id))),
            (None, reserved) => reserved.map(|reserved| (reserved.record.phase, reserved.tallies()))?,
        };
        Some(BlockView { id, phase, stages })
    }
}

impl Ledger {
    /// Takes how long it took to compare all that a store had for us.
    pub fn comparing_took(&mut self, time: Duration) {
        self.sampling.took(time);
    }
}

fn counts(stages: &Tallies) -> Vec<Count> {
    let of = |(stage, tally): (&Stage, &Tally)| {
        let (stage, tally) = (*stage, *tally);
        Kind::ALL.map(|kind| Count { stage, kind, findings: tally.of(kind) })
    };
    stages.0.iter().flat_map(of).filter(|count| count.findings > 0).collect()
}
