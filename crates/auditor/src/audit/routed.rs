//! What was lost between `sales` and the states' topics, and the proof of it.
//!
//! A round of proof, by the judge: [`Audit::suspects`] names all that is missing; then `sales` is looked at for its
//! end, so all suspects are below it, since they were acknowledged before; when the fan-out has committed that end, and the
//! auditor has itself read what the fan-out had written by then, [`Audit::convict`] names those that did not come.

use std::collections::BTreeMap;

use kafka::Ranges;
use kafka::blocks::BlockRecord;
use petstore::BlockId;

use super::Audit;
use super::reserved::Reserved;
use crate::audit::block::Fate;
use crate::audit::findings::{Kind, Stage};

/// Blocks of which nothing was seen that are judged in one round.
const UNSEEN: usize = 1_000;

/// Everything that a round of proof is about.
pub(crate) type Suspects = BTreeMap<BlockId, Suspect>;

/// What it is about in one block.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Suspect {
    missing: Ranges,
    /// Nothing more of it will be acknowledged: its loader closed it, or fell silent.
    has_ended: bool,
    /// What came back without having been routed.
    not_routed: Ranges,
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
        let has_ended = |id: &BlockId, record: &BlockRecord| record.phase.is_final() || self.silence.is_silent(*id);
        let reserved = self.reserved.iter().map(|(id, Reserved { record, .. })| {
            let missing = record.acknowledged.clone();
            (*id, Suspect { missing, has_ended: has_ended(id, record), not_routed: Ranges::default() })
        });
        let open = self.open.iter().map(|(id, block)| {
            let has_ended = has_ended(id, &block.record) && !block.is_routed;
            (*id, Suspect { missing: block.missing(), has_ended, not_routed: block.not_routed() })
        });
        reserved.chain(open).filter(|(_, suspect)| *suspect != Suspect::default()).collect()
    }

    /// Those of the suspects that have not come, the fan-out having provably passed them all.
    pub(crate) fn convict(&mut self, suspects: &Suspects) -> Vec<Missing> {
        let mut room = self.room();
        for (id, suspect) in suspects {
            if room > 0 && self.reserved.contains_key(id) && !suspect.missing.is_empty() {
                self.open(*id);
                room -= 1;
            }
        }
        let convict = |(id, suspect): (&BlockId, &Suspect)| {
            let block = self.open.get(id)?;
            let indices = block.routed.seen.missing_from(&suspect.missing);
            let (reserved_at_us, is_suspect) = (block.record.reserved_at_us, block.routed.suspect);
            (!indices.is_empty()).then_some(Missing { id: *id, indices, reserved_at_us, is_suspect })
        };
        suspects.iter().filter_map(convict).collect()
    }

    /// How many blocks of which nothing was seen may be judged now: each takes memory until the stores have answered
    /// that they have nothing of it either. The others are judged in a later round.
    fn room(&self) -> usize {
        if self.is_full() { 0 } else { UNSEEN }
    }

    /// Says what became of a sale that was convicted.
    pub(crate) fn sentence(&mut self, id: BlockId, index: u32, fate: Fate) {
        let Some(block) = self.open.get_mut(&id) else { return };
        if block.routed.lose(index, fate) {
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
            self.lasting.findings.add(stage, kind, &id.sale(index), detail);
        }
    }

    /// Blocks of which nothing more can come are finished at routed, those that are missing having been sentenced, and what
    /// came back by then without having been routed never was.
    pub(crate) fn finish(&mut self, suspects: &Suspects) {
        let mut room = self.room();
        for (id, Suspect { has_ended, not_routed, .. }) in suspects {
            // Of the others, what is missing was not convicted.
            let is_empty = |reserved: &Reserved| reserved.record.acknowledged.is_empty();
            if *has_ended && room > 0 && self.reserved.get(id).is_some_and(is_empty) {
                self.open(*id);
                room -= 1;
            }
            let Some(block) = self.open.get_mut(id) else { continue };
            for index in block.never_routed(not_routed) {
                let detail = "on receipts, and on no state's topic";
                self.lasting.findings.add(Stage::Returned, Kind::NeverSent, &id.sale(index), detail);
            }
            if *has_ended {
                block.finish_routed();
            }
        }
    }
}
