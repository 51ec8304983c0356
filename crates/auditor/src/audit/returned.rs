//! What was lost between Postgres and `receipts`, and the proof of it.
//!
//! A round of its own, by the judge: [`Audit::unreturned`] names what Postgres has for certain and what has not come
//! back; when the spout's group has committed beyond all sales of a block on the states' topics, the spout has passed
//! it; when the auditor has then itself read `receipts` to its end, [`Audit::convict_returned`] names those
//! that did not come.

use kafka::Ranges;
use petstore::BlockId;

use super::Audit;
use crate::audit::block::{Block, Fate, Span};
use crate::audit::findings::{Kind, Stage};

/// Sales of one block that are in Postgres and have not come back.
#[derive(Clone, Debug)]
pub(crate) struct Unreturned {
    id: BlockId,
    missing: Ranges,
    /// Where the block's sales are on the states' topics.
    pub(crate) spans: Vec<Span>,
}

impl Audit {
    /// What has not come back, to begin a round with.
    pub(crate) fn unreturned(&self) -> Vec<Unreturned> {
        let unreturned = |(id, block): (BlockId, &Block)| {
            let missing = block.missing_returned();
            let spans = block.routed.spans.clone();
            (!missing.is_empty()).then_some(Unreturned { id, missing, spans })
        };
        self.opened().filter_map(unreturned).collect()
    }

    /// Gives up those that have not come since, the spout having provably passed them all.
    pub(crate) fn convict_returned(&mut self, passed: &[Unreturned]) {
        for Unreturned { id, missing, .. } in passed {
            let Some(block) = self.open.get_mut(id) else { continue };
            let still = block.missing_returned();
            let Some(returned) = &mut block.returned else { continue };
            for index in missing.iter().filter(|index| still.contains(*index)) {
                if returned.lose(index, Fate::Lost) {
                    let detail = "in Postgres, passed by the spout, and not on receipts";
                    self.lasting.findings.add(Stage::Returned, Kind::Lost, &id.sale(index), detail);
                }
            }
        }
    }
}
