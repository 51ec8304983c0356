//! The account as the API shows it.

use kafka::blocks::Phase;
use petstore::BlockId;
use serde::{Deserialize, Serialize};
pub(crate) use service::account::{Account, Content, Position};

use super::{Audit, READ};
use crate::audit::findings::{Stage, Tallies, Tally};

/// One open block on `/api/v1/blocks`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BlockView {
    pub(crate) id: BlockId,
    /// How far it is, by its loader's last record.
    pub(crate) phase: Phase,
    pub(crate) stages: Tallies,
}

/// Blocks on `/api/v1/blocks`.
const SHOWN: usize = 100;

impl Audit {
    /// The whole account. The caller fills in what only it knows of the position.
    pub(crate) fn account(&self) -> Account {
        let mut stages = self.done.tallies().clone();
        for (id, block) in &self.open {
            stages.add(&block.tallies(self.silence.is_silent(*id)));
        }
        for reserved in self.reserved.values() {
            stages.add(&reserved.tallies());
        }
        stages.add(&self.strays());
        self.gone.values().for_each(|gone| stages.add(&gone.stages));
        stages.keep(self.watched);
        let (one_in, sparest) = self.sampling.one_in();
        Account {
            earlier: self.earlier(),
            counts: stages.counts(),
            auditable: self.unreadable.is_empty() && stages.0.values().all(|tally: &Tally| tally.not_auditable == 0),
            stages,
            open_blocks: (self.open.len() + self.reserved.len()) as u64,
            done_blocks: self.done.count(),
            other_release_blocks: self.others.len(),
            findings: self
                .gone
                .values()
                .flat_map(|gone| gone.findings.iter())
                .chain(self.lasting.findings.iter())
                .cloned()
                .collect(),
            rejected_records: self.lasting.rejected.clone(),
            content: Content { one_in, sparest },
            remarks: self.remarks(service::unix_us()),
            position: Position {
                read: self.read.sum(),
                paused: self.is_full(),
                audit_backlog: self.backlog(),
                ..Position::default()
            },
        }
    }

    /// What belongs to no block.
    pub(super) fn strays(&self) -> Tallies {
        let mut strays = Tallies::default();
        for (stage, tally) in READ.into_iter().zip(self.lasting.strays) {
            *strays.at_mut(stage) = tally;
        }
        for stage in Stage::ALL {
            strays.at_mut(stage).never_sent += self.lasting.strangers.count(stage);
        }
        strays
    }

    /// Some open blocks, the oldest first.
    pub(crate) fn blocks(&self) -> Vec<BlockView> {
        let open = self.open.iter().map(|(id, block)| (block.record.reserved_at_us, *id));
        let reserved = self.reserved.iter().map(|(id, reserved)| (reserved.record.reserved_at_us, *id));
        let mut blocks: Vec<(i64, BlockId)> = open.chain(reserved).collect();
        blocks.sort_unstable();
        blocks.into_iter().take(SHOWN).filter_map(|(_, id)| self.block(id)).collect()
    }

    fn block(&self, id: BlockId) -> Option<BlockView> {
        let (phase, stages) = match (self.open.get(&id), self.reserved.get(&id)) {
            (Some(block), _) => (block.record.phase, block.tallies(self.silence.is_silent(id))),
            (None, reserved) => reserved.map(|reserved| (reserved.record.phase, reserved.tallies()))?,
        };
        Some(BlockView { id, phase, stages })
    }
}
