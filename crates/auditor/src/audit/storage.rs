//! What the stores have of the open blocks.
//!
//! A store is asked for its position first and for its counts after: what its position had passed when it was asked
//! must be in its counts. So a sale can be called lost while its block is still being sent. When nothing more is expected
//! of a block at routed, what the store has of it is compared sale by sale, and row by row where content is compared.
//!
//! What a store has beyond that never came its way, if everything below the store's position of then was read since.

use std::collections::BTreeMap;

use kafka::Ranges;
use petstore::{BlockId, State};
use stores::postgres::{Conflict, Row};

use super::Audit;
use crate::audit::bits::Bits;
use crate::audit::block::{Block, Sightings, Span, Stored};
use crate::audit::findings::{Kind, Stage};
use crate::audit::source::Source;
use crate::model::{Comparison, difference};

/// The stages that are stores, in the order in which they are numbered.
pub(crate) const STORES: [Stage; Stage::STORES.len()] = Stage::STORES;

/// A block as it was when a store was to be asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) id: BlockId,
    /// The sales that were seen and can be stored.
    pub(crate) seen: Ranges,
    records: u64,
    spans: Vec<Span>,
    /// Whether all that the store has of it is to be compared, and whether that goes for content as well.
    pub(crate) is_to_verify: bool,
    pub(crate) compares: bool,
}

impl Asked {
    /// Whether a store that next reads these offsets has passed all that was seen.
    pub(crate) fn is_passed_by(&self, positions: &BTreeMap<State, i64>) -> bool {
        self.spans.iter().all(|span| span.is_passed_by(positions))
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Held {
    pub(crate) present: Bits,
    /// The content of their rows, if that was asked for.
    pub(crate) rows: Vec<Row>,
}

impl Audit {
    /// Says that a store may have forgotten what its loader last spoke of before a time (unix time, microseconds).
    pub(crate) fn store_forgets(&mut self, store: usize, before_us: i64) {
        for block in self.open.values_mut().filter(|block| block.record.updated_at_us < before_us) {
            block.stores[store] = block.stores[store].take().and_then(Stored::forget);
        }
    }

    /// The open blocks of which anything was seen or that have ended, `limit` at most, from the one after `after` on.
    pub(crate) fn ask(&self, store: usize, after: Option<BlockId>, limit: usize) -> Vec<Asked> {
        let blocks = self.opened().filter(|(id, block)| {
            let is_asked = block.stores[store].as_ref().is_some_and(|stored| !stored.forgotten);
            is_asked && Some(*id) > after && (block.routed.records > 0 || block.is_routed)
        });
        let mut blocks: Vec<(BlockId, &Block)> = blocks.collect();
        blocks.sort_unstable_by_key(|(id, _)| *id);
        blocks.truncate(limit);
        let asked = |(id, block): (BlockId, &Block)| Asked {
            id,
            seen: block.routed.storable().to_ranges(),
            records: block.routed.records,
            spans: block.routed.spans.clone(),
            is_to_verify: block.is_routed && !block.stores[store].as_ref().is_some_and(Stored::is_verified),
            compares: STORES[store] == Stage::Stored && block.is_compared(),
        };
        blocks.into_iter().map(asked).collect()
    }

    /// What was routed of a block that is open, and what a store has of it.
    fn stored(&mut self, store: usize, id: BlockId) -> Option<(&Sightings, &mut Stored)> {
        let block = self.open.get_mut(&id)?;
        Some((&block.routed, block.stores[store].as_mut()?))
    }

    /// Takes how many sales of a block a store has; whether some came again there and not before.
    /// `positions`: the store's, asked for before.
    pub(crate) fn store_said(
        &mut self,
        store: usize,
        asked: &Asked,
        positions: &BTreeMap<State, i64>,
        (found, duplicates): (u32, u64),
    ) -> bool {
        let abreast = self.has_read(positions);
        let Some((routed, stored)) = self.stored(store, asked.id) else { return false };
        stored.say(found, duplicates, abreast);
        let repeats = stored.tally(routed, &routed.seen).duplicate;
        if STORES[store] == Stage::Cached {
            // It only counts: the list names the block once.
            let what = format!("block {}", asked.id);
            self.lasting.findings.retract(Stage::Cached, Kind::Duplicate, &what);
            if repeats > 0 {
                let detail = format!("{repeats} sales came again");
                self.lasting.findings.add(Stage::Cached, Kind::Duplicate, &what, &detail);
            }
        }
        repeats > 0
    }

    pub(crate) fn store_conflicts(&mut self, conflicts: &[Conflict]) {
        for Conflict { id, came, kept, equal } in conflicts {
            if self.open.get(&id.block_id()).is_some_and(|block| block.routed.doubled.contains(id.index)) {
                continue;
            }
            let place = |(topic, partition, offset): &(String, i32, i64)| format!("{topic}/{partition}/{offset}");
            let differs = if *equal { "" } else { ", with another content" };
            let detail = format!("from {}, kept from {}{differs}", place(came), place(kept));
            self.lasting.findings.add(Stage::Stored, Kind::Duplicate, id, &detail);
        }
    }

    /// Takes that a store had `found` sales of a block, and passed all that was seen of it. They are those that were seen if
    /// nothing else can be among them: everything below `positions`, asked for after, has been read.
    pub(crate) fn store_has_all(&mut self, store: usize, asked: &Asked, found: u32, positions: &BTreeMap<State, i64>) {
        let abreast = self.has_read(positions);
        if let Some((routed, stored)) = self.stored(store, asked.id)
            && abreast
            && found >= routed.storable().count()
        {
            stored.settle(asked.seen.clone(), Ranges::default());
        }
    }

    /// Takes which sales a store holds that has passed all that was seen.
    pub(crate) fn store_holds(&mut self, store: usize, asked: &Asked, present: &Bits) {
        let Some((_, stored)) = self.stored(store, asked.id) else { return };
        let certain = asked.seen.iter().filter(|index| present.contains(*index)).collect();
        for index in stored.settle(certain, present.missing_from(&asked.seen)) {
            self.lasting.findings.add(STORES[store], Kind::Lost, &asked.id.sale(index), "");
        }
    }

    /// Whether a store holds more than was seen, so that its position must be asked for.
    pub(crate) fn is_more(&self, asked: &Asked, present: &Bits) -> bool {
        self.open.get(&asked.id).is_some_and(|block| !block.routed.unseen(present).is_empty())
    }

    /// Takes all that a store holds of a block, nothing more being expected there. `positions`: of the store, asked for
    /// after; only needed if [`Self::is_more`].
    pub(crate) fn store_verified(&mut self, store: usize, asked: &Asked, held: &Held, positions: BTreeMap<State, i64>) {
        self.store_holds(store, asked, &held.present);
        let Some((routed, stored)) = self.stored(store, asked.id) else { return };
        let (extra, before) = (routed.unseen(&held.present), stored.beyond.take());
        let unproved = match before {
            None if extra.is_empty() => None,
            Some(before) if !self.has_read(&before.1) => Some(before),
            Some(before) if extra.iter().all(|index| before.0.contains(index)) => None,
            _ => Some(Box::new((extra.clone(), positions))),
        };
        if asked.compares && unproved.is_none() {
            self.compare(asked.id, store, &held.rows);
        }
        let Some((routed, stored)) = self.stored(store, asked.id) else { return };
        stored.beyond = unproved;
        // Something may have come since it was asked.
        if stored.beyond.is_none() && asked.records == routed.records {
            for index in stored.verify(extra) {
                let detail = "nothing of it came this way";
                self.lasting.findings.add(STORES[store], Kind::NeverSent, &asked.id.sale(index), detail);
            }
        }
    }

    fn has_read(&self, positions: &BTreeMap<State, i64>) -> bool {
        positions.iter().all(|(state, next)| self.read.at(Source::State(*state)) >= *next)
    }

    fn compare(&mut self, id: BlockId, store: usize, rows: &[Row]) {
        let Some(block) = self.open.get(&id) else { return };
        let parameters = block.record.parameters.clone();
        let Ok(truth) = self.truths.of(id, &parameters, true) else { return };
        let (mut compared, mut altered) = (0, BTreeMap::new());
        for row in rows {
            let comparison = truth.row(row);
            compared += usize::from(comparison != Comparison::Skipped);
            if matches!(comparison, Comparison::Altered { .. }) {
                altered.insert(row.index, row);
            }
        }
        let Some((routed, stored)) = self.stored(store, id) else { return };
        let new = stored.differ(altered.keys().copied().collect(), compared).without(&routed.altered);
        for index in new.iter() {
            let sale = id.sale(index);
            let has_room = self.lasting.findings.has_room(STORES[store], Kind::Altered);
            let model = has_room.then(|| self.truths.sale(sale, &parameters)).flatten();
            let detail = model.map(|model| row_detail(altered[&index], &model)).unwrap_or_default();
            self.lasting.findings.add(STORES[store], Kind::Altered, &sale, &detail);
            // It came back as it was stored.
            self.lasting.findings.retract(Stage::Returned, Kind::Altered, &sale);
        }
    }
}

fn row_detail(row: &Row, model: &petstore::Sale) -> String {
    match &row.receipt {
        Err(reason) => format!("column {reason}"),
        Ok(receipt) if *receipt == model.receipt() => {
            format!("column digest: {:016x}, found {:016x}", petstore::digest(model), row.digest)
        }
        Ok(receipt) => format!("column {}", difference(&model.receipt(), receipt).trim_start_matches('/')),
    }
}
