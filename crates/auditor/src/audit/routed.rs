//! What was lost between `sales` and the states' topics, and the proof of it.
//!
//! A round of proof, by the judge: [`Audit::suspects`] names all that is missing; then `sales` is looked at for its
//! end, so all suspects are below it, since they were acknowledged before; when the fan-out has committed that end, and the
//! auditor has itself read what the fan-out had written by then, [`Audit::convict`] names those that did not come.

use std::collections::HashSet;

use kafka::Ranges;
use petstore::BlockId;

use super::Audit;
use crate::audit::block::Fate;
use crate::audit::findings::{Kind, Stage};

/// Blocks of which nothing was seen that are judged in one round.
const UNSEEN: usize = 1_000;

/// Everything that a round of proof is about.
#[derive(Debug, Default)]
pub(crate) struct Suspects {
    missing: Vec<(BlockId, Ranges)>,
    /// Blocks of which nothing more will be acknowledged: their loader closed them, or fell silent.
    ended: Vec<BlockId>,
    /// What came back without having been routed.
    not_routed: Vec<(BlockId, Ranges)>,
}

impl Suspects {
    /// What is about these blocks, and what is about others.
    pub(crate) fn split(self, blocks: &HashSet<BlockId>) -> (Self, Self) {
        let is_in = |(id, _): &(BlockId, Ranges)| blocks.contains(id);
        let missing = self.missing.into_iter().partition(is_in);
        let ended = self.ended.into_iter().partition(|id| blocks.contains(id));
        let not_routed = self.not_routed.into_iter().partition(is_in);
        (
            Self { missing: missing.0, ended: ended.0, not_routed: not_routed.0 },
            Self { missing: missing.1, ended: ended.1, not_routed: not_routed.1 },
        )
    }
}

/// Sales of one block that the fan-out has passed and that are not where they belong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    pub(crate) id: BlockId,
    pub(crate) indices: Ranges,
    /// None of them is older: unix time, microseconds.
    pub(crate) reserved_at_us: i64,
    /// A log lost records that may have been these, so that nobody can tell who lost them.
    pub(crate) is_suspect: bool,
}

impl Audit {
    /// What is missing now, to begin a round with.
    pub(crate) fn suspects(&self) -> Suspects {
        let mut suspects = Suspects::default();
        for (id, reserved) in &self.reserved {
            if reserved.record.phase.is_final() || self.silence.is_silent(*id) {
                suspects.ended.push(*id);
            }
            if !reserved.record.acknowledged.is_empty() {
                suspects.missing.push((*id, reserved.record.acknowledged.clone()));
            }
        }
        for (id, block) in &self.open {
            if (block.record.phase.is_final() || self.silence.is_silent(*id)) && !block.is_routed {
                suspects.ended.push(*id);
            }
            let missing = block.missing();
            if !missing.is_empty() {
                suspects.missing.push((*id, missing));
            }
            let not_routed = block.not_routed();
            if !not_routed.is_empty() {
                suspects.not_routed.push((*id, not_routed));
            }
        }
        suspects
    }

    /// Those of the suspects that have not come, the fan-out having provably passed them all.
    pub(crate) fn convict(&mut self, suspects: &Suspects) -> Vec<Missing> {
        let mut room = self.room();
        for (id, _) in &suspects.missing {
            if room > 0 && self.reserved.contains_key(id) {
                self.open(*id);
                room -= 1;
            }
        }
        let convict = |(id, suspects): &(BlockId, Ranges)| {
            let block = self.open.get(id)?;
            let indices = block.still_missing(suspects);
            let reserved_at_us = block.record.reserved_at_us;
            (!indices.is_empty()).then_some(Missing { id: *id, indices, reserved_at_us, is_suspect: block.suspect })
        };
        suspects.missing.iter().filter_map(convict).collect()
    }

    /// How many blocks of which nothing was seen may be judged now: each takes memory until the stores have answered
    /// that they have nothing of it either. The others are judged in a later round.
    fn room(&self) -> usize {
        if self.is_full() { 0 } else { UNSEEN }
    }

    /// Says what became of a sale that was convicted.
    pub(crate) fn sentence(&mut self, id: BlockId, index: u32, fate: Fate) {
        let Some(block) = self.open.get_mut(&id) else { return };
        if block.lose(index, fate) {
            let (stage, kind, detail) = match fate {
                Fate::LostByKafka => (Stage::Accepted, Kind::Lost, "acknowledged, and not on sales"),
                Fate::LostByFanOut => (Stage::Routed, Kind::Lost, "on sales, and on no state's topic"),
                Fate::Rejected => (Stage::Routed, Kind::Rejected, "on sales.rejected, though it is right on sales"),
                Fate::Spoilt => {
                    (Stage::Accepted, Kind::Rejected, "on sales.rejected, and on sales it is not what was sent")
                }
                Fate::Lost | Fate::NotAuditable => (
                    Stage::Routed,
                    Kind::Lost,
                    "by kafka or by the fan-out: sales no longer reaches back so far, or is too long to search",
                ),
            };
            self.findings.add(stage, kind, &id.sale(index).to_string(), detail);
        }
    }

    pub(crate) fn end_round(&mut self, suspects: &Suspects) {
        self.finish(suspects);
        self.rounds += 1;
    }

    /// Blocks of which nothing more can come are finished at routed, those that are missing having been sentenced, and what
    /// came back by then without having been routed never was.
    pub(crate) fn finish(&mut self, suspects: &Suspects) {
        for (id, not_routed) in &suspects.not_routed {
            let Some(block) = self.open.get_mut(id) else { continue };
            for index in block.never_routed(not_routed) {
                let what = id.sale(index).to_string();
                self.findings.add(Stage::Returned, Kind::NeverSent, &what, "on receipts, and on no state's topic");
            }
        }
        let mut room = self.room();
        for id in &suspects.ended {
            // Of the others, what is missing was not convicted.
            if room > 0 && self.reserved.get(id).is_some_and(|reserved| reserved.record.acknowledged.is_empty()) {
                self.open(*id);
                room -= 1;
            }
            if let Some(block) = self.open.get_mut(id) {
                block.finish_routed();
            }
        }
    }
}
