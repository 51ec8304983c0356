//! What the stores have of the open blocks.
//!
//! A store is asked for its position first and for its counts after: what its position had passed when it was asked
//! must be in its counts. So a sale can be called lost while its block is still being sent.

use std::collections::BTreeMap;

use kafka::Ranges;
use petstore::{BlockId, State};

use super::Ledger;
use crate::block::Span;
use crate::findings::{Kind, Stage};

/// The stages that are stores, in the order in which they are numbered.
pub const STORES: [Stage; 2] = [Stage::Cached, Stage::Stored];

/// A block as it was when a store was to be asked.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Which block.
    pub id: BlockId,
    seen: Ranges,
    records: u64,
    spans: Vec<Span>,
}

impl Asked {
    /// The sales that were seen.
    pub fn seen(&self) -> &Ranges {
        &self.seen
    }

    /// Whether a store that next reads these offsets has passed all that was seen.
    pub fn is_passed_by(&self, positions: &BTreeMap<State, i64>) -> bool {
        self.spans.iter().all(|span| positions.get(&span.state).is_some_and(|next| *next > span.high))
    }
}

impl Ledger {
    /// The open blocks of which anything was seen or that have ended, `limit` at most, from the one after `after` on.
    pub fn ask(&self, after: Option<BlockId>, limit: usize) -> Vec<Asked> {
        let mut ids: Vec<BlockId> = self
            .open
            .iter()
            .filter(|(id, block)| Some(**id) > after && (block.records() > 0 || block.is_routed()))
            .map(|(id, _)| *id)
            .collect();
        ids.sort_unstable();
        ids.truncate(limit);
        ids.into_iter()
            .filter_map(|id| {
                let block = self.open.get(&id)?;
                let (seen, records) = (block.seen_ranges(), block.records());
                Some(Asked { id, seen, records, spans: block.spans().to_vec() })
            })
            .collect()
    }

    /// Takes what a store has of a block, and whether its position had passed what was asked for.
    pub fn store_said(&mut self, store: usize, asked: &Asked, found: u32, duplicates: u64, passed: bool) {
        let Some(block) = self.open.get_mut(&asked.id) else { return };
        block.store_said(store, found, duplicates, passed.then_some(asked.records));
        for kind in [Kind::Duplicate, Kind::NeverSent] {
            let what = format!("block {}", asked.id);
            // Counted in the block; the list names it once.
            self.findings.retract(STORES[store], kind, &what);
            if block.store_has(store, kind) {
                self.findings.add(STORES[store], kind, &what, &format!("{duplicates} duplicate, {found} found"));
            }
        }
    }

    /// Takes which of the sales that were asked for a store does not have, its position having passed them all.
    pub fn store_misses(&mut self, store: usize, asked: &Asked, missing: Ranges) {
        let Some(block) = self.open.get_mut(&asked.id) else { return };
        for index in block.store_misses(store, missing) {
            self.findings.add(STORES[store], Kind::Lost, &asked.id.sale(index).to_string(), "");
        }
    }
}
