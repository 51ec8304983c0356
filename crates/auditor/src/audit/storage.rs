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
use crate::audit::block::Span;
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

/// What a store has that was not seen, and its position at that time.
pub(super) type Extras = BTreeMap<(usize, BlockId), (Ranges, BTreeMap<State, i64>)>;

impl Audit {
    /// Says that a store may have forgotten what its loader last spoke of before a time (unix time, microseconds).
    pub(crate) fn store_forgets(&mut self, store: usize, before_us: i64) {
        for block in self.open.values_mut().filter(|block| block.record.updated_at_us < before_us) {
            block.store_forgets(store);
        }
    }

    /// The open blocks of which anything was seen or that have ended, `limit` at most, from the one after `after` on.
    pub(crate) fn ask(&self, store: usize, after: Option<BlockId>, limit: usize) -> Vec<Asked> {
        let mut ids: Vec<BlockId> = self
            .open
            .iter()
            .filter(|(id, block)| Some(**id) > after && block.is_asked_of(store))
            .filter(|(_, block)| block.routed.records > 0 || block.is_routed)
            .map(|(id, _)| *id)
            .collect();
        ids.sort_unstable();
        ids.truncate(limit);
        ids.into_iter()
            .filter_map(|id| {
                let block = self.open.get(&id)?;
                Some(Asked {
                    id,
                    seen: block.storable().to_ranges(),
                    records: block.routed.records,
                    spans: block.routed.spans.clone(),
                    is_to_verify: block.wants(store),
                    compares: STORES[store] == Stage::Stored && block.is_compared(),
                })
            })
            .collect()
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
        let Some(block) = self.open.get_mut(&asked.id) else { return false };
        block.store_said(store, found, duplicates, abreast);
        let repeats = block.store_repeats(store);
        if STORES[store] == Stage::Cached {
            // It only counts: the list names the block once.
            let what = format!("block {}", asked.id);
            self.lasting.findings.retract(Stage::Cached, Kind::Duplicate, &what);
            if repeats > 0 {
                self.lasting.findings.add(
                    Stage::Cached,
                    Kind::Duplicate,
                    &what,
                    &format!("{repeats} sales came again"),
                );
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
        if let Some(block) = self.open.get_mut(&asked.id)
            && abreast
            && found >= block.storable().count()
        {
            block.store_has(store, asked.seen.clone(), Ranges::default());
        }
    }

    /// Takes which sales a store holds that has passed all that was seen.
    pub(crate) fn store_holds(&mut self, store: usize, asked: &Asked, present: &Bits) {
        let Some(block) = self.open.get_mut(&asked.id) else { return };
        let missing = present.missing_from(&asked.seen);
        let mut certain: Bits = asked.seen.iter().collect();
        missing.iter().for_each(|index| certain.remove(index));
        for index in block.store_has(store, certain.to_ranges(), missing) {
            self.lasting.findings.add(STORES[store], Kind::Lost, &asked.id.sale(index), "");
        }
    }

    /// Whether a store holds more than was seen, so that its position must be asked for.
    pub(crate) fn is_more(&self, asked: &Asked, present: &Bits) -> bool {
        self.open.get(&asked.id).is_some_and(|block| !block.unseen(present).is_empty())
    }

    /// Takes all that a store holds of a block, nothing more being expected there. `positions`: of the store, asked for
    /// after; only needed if [`Self::is_more`].
    pub(crate) fn store_verified(&mut self, store: usize, asked: &Asked, held: &Held, positions: BTreeMap<State, i64>) {
        self.store_holds(store, asked, &held.present);
        let Some(block) = self.open.get(&asked.id) else { return };
        let extra = block.unseen(&held.present);
        let key = (store, asked.id);
        let proved = match self.extras.get(&key) {
            None => extra.is_empty(),
            Some((_, positions)) => self.has_read(positions),
        };
        if !proved {
            self.extras.entry(key).or_insert((extra, positions));
            return;
        }
        let before = self.extras.remove(&key).map(|(before, _)| before).unwrap_or_default();
        let strange: Bits = extra.iter().filter(|index| before.contains(*index)).collect();
        if strange.count() < extra.len() {
            self.extras.insert(key, (extra, positions));
            return;
        }
        if asked.compares {
            self.compare(asked.id, store, &held.rows);
        }
        let Some(block) = self.open.get_mut(&asked.id) else { return };
        for index in block.store_verified(store, asked.records, &strange.to_ranges()) {
            let detail = "nothing of it came this way";
            self.lasting.findings.add(STORES[store], Kind::NeverSent, &asked.id.sale(index), detail);
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
        let Some(block) = self.open.get_mut(&id) else { return };
        for index in block.store_altered(store, altered.keys().copied().collect(), compared) {
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
