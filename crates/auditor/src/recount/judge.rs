//! From what was found to findings and counts. Pure.

use std::fmt::Display;

use petstore::{BlockId, SaleId, State};

use super::Recount;
use super::account::Account;
use super::book::{Book, Flag, Line, Page};
use super::read::Gaps;
use super::strange::Strange;
use crate::audit::findings::{Finding, Kind, Stage, Tally};

/// Findings that are shown whole, by stage and kind.
const SHOWN: usize = 100;

/// A sale that is not where it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Missing {
    /// When it was due: unix time, seconds; 0 if nobody knows.
    pub(crate) due_s: u32,
    pub(crate) id: SaleId,
    pub(crate) state: State,
}

/// Adds the blocks of a pass to what was found, and takes what belongs to none of them out of it.
///
/// `after`: the account as it was when all logs had been read. What came after the cut is not a finding, unless it was
/// not sent by that account either. `length`: how many sales a block of that account holds.
pub(super) fn judge(
    book: &mut Book<'_>,
    after: &Account,
    mut length: impl FnMut(BlockId) -> Option<u32>,
    gaps: &Gaps,
    strange: &mut Strange,
    found: &mut Recount,
) {
    let mut court = Court { found, after, gaps, now_us: service::unix_us() };
    for (stage, place, reason) in std::mem::take(&mut book.garbage) {
        court.find(stage, Kind::Malformed, place, reason);
    }
    for ((stage, id), strangers) in std::mem::take(&mut book.strangers) {
        let first_unsent = match after.blocks.get(&id) {
            Some(record) => record.first_unsent().min(length(id).unwrap_or(u32::MAX)),
            // Judged long ago, or not to be known: the account was not read to its end.
            None if after.has_reserved(id) || !after.is_settled => continue,
            None => 0,
        };
        for index in strangers.all().into_iter().filter(|index| *index >= first_unsent) {
            *strange.sales.entry((stage, id.sale(index))).or_default() += 1;
        }
    }
    for (id, page) in &book.blocks {
        court.block(book, *id, page);
    }
}

struct Court<'a> {
    found: &'a mut Recount,
    after: &'a Account,
    gaps: &'a Gaps,
    now_us: i64,
}

impl Court<'_> {
    fn find<T: Display>(&mut self, stage: Stage, kind: Kind, what: T, detail: impl Into<String>) {
        *self.at(stage).of_mut(kind) += 1;
        let shown = self.found.findings.iter().filter(|known| (known.stage, known.kind) == (stage, kind)).count();
        if shown < SHOWN {
            let (what, detail) = (what.to_string(), detail.into());
            self.found.findings.push(Finding { stage, kind, what, detail, at_us: self.now_us });
        }
    }

    fn at(&mut self, stage: Stage) -> &mut Tally {
        self.found.stages.at_mut(stage)
    }

    /// A sale that must be at a stage. If it `is` not, it is lost, if the stage has passed it.
    fn expect(&mut self, stage: Stage, is: bool, id: SaleId, line: &Line, detail: &str) {
        self.at(stage).expected += 1;
        if is {
            self.at(stage).found += 1;
            return;
        }
        let missing = Missing { due_s: line.due_s, id, state: line.state() };
        let oldest = self.found.oldest.entry(stage).or_insert(missing);
        *oldest = missing.min(*oldest);
        if self.gaps.has_passed(stage) {
            self.find(stage, Kind::Lost, id, detail);
        } else {
            self.at(stage).late += 1;
        }
    }

    /// A sale that must be at a stage, and is on `sales.rejected` instead.
    fn reject(&mut self, stage: Stage, id: SaleId, detail: &str) {
        self.at(stage).expected += 1;
        self.find(stage, Kind::Rejected, id, detail);
    }

    fn block(&mut self, book: &Book<'_>, id: BlockId, page: &Page) {
        let acknowledged = &page.record.acknowledged;
        // It may have been closed since the cut, and then it is known where it ends.
        let first_unsent = self.after.blocks.get(&id).unwrap_or(&page.record).first_unsent();
        // Redis keeps a block for a time after its last sale.
        let is_cached = self.now_us - page.record.updated_at_us < book.redis_keeps_us;
        let mut came_again = 0;
        for (index, line) in (0..).zip(&page.sales) {
            let sale = id.sale(index);
            came_again += u64::from(line.storable.saturating_sub(1));
            if index >= first_unsent && line.routed > 0 {
                let at = if line.on_sales > 0 { Stage::Accepted } else { Stage::Routed };
                self.find(at, Kind::NeverSent, sale, "behind the end of its block");
            }
            if !page.judges(index) {
                continue;
            }
            self.identity(sale, line, acknowledged.contains(index), index >= first_unsent);
            self.content(book, sale, line);
            if acknowledged.contains(index) && page.record.is_in_order() {
                self.order(book, sale, line);
            }
            self.stores(book, sale, line, is_cached);
        }
        self.outside(id, page);
        self.repeated(book, id, page, came_again);
    }

    /// From `sales` to the states' topics.
    fn identity(&mut self, id: SaleId, line: &Line, acknowledged: bool, is_unsent: bool) {
        let (routed, rejected, spoilt) = (line.routed > 0, line.has(Flag::Rejected), line.has(Flag::Spoilt));
        if acknowledged && rejected && spoilt && !routed {
            self.reject(Stage::Accepted, id, "on sales.rejected, and on sales it is not what was sent");
        } else if acknowledged {
            let is_accepted = routed || rejected || spoilt || line.on_sales > 0;
            self.expect(Stage::Accepted, is_accepted, id, line, "acknowledged, and not on sales");
            if rejected && !routed {
                self.reject(Stage::Routed, id, "on sales.rejected, though it is right on sales");
            } else if is_accepted {
                self.expect(Stage::Routed, routed, id, line, "on sales, and on no state's topic");
            }
        } else if routed && !is_unsent {
            self.at(Stage::Routed).unknown += 1;
        }
        for copy in 1..line.routed {
            let at = if copy < line.on_sales { Stage::Accepted } else { Stage::Routed };
            self.find(at, Kind::Duplicate, id, "");
        }
    }

    /// The content of its records on the states' topics, and whether it was the same on `sales`.
    fn content(&mut self, book: &Book<'_>, id: SaleId, line: &Line) {
        self.at(Stage::Routed).compared += u64::from(line.routed);
        let Some(odd) = book.odd_on_states.get(&id) else { return };
        let on_sales = book.odd_on_sales.get(&id).map_or(&[][..], Vec::as_slice);
        let mut altered = None;
        for (body, state, topic) in odd {
            let so_on_sales = on_sales.iter().any(|(sent, header)| sent == body && header == state);
            let at = if so_on_sales { Stage::Accepted } else { Stage::Routed };
            match petstore::from_json::<petstore::Sale>(body) {
                Ok(sale) if sale.id == id => {
                    let right = line.is(&sale);
                    let header = *state != line.state() && *topic == line.state();
                    if !right || header {
                        altered.get_or_insert(at);
                    }
                }
                Ok(sale) => self.find(at, Kind::Malformed, id, format!("the body is that of sale {}", sale.id)),
                Err(err) => self.find(at, Kind::Malformed, id, format!("the body is not a valid sale: {err}")),
            }
            if *topic != line.state() {
                if on_sales.iter().any(|(_, header)| header == topic) {
                    let detail = format!("header state: {}, found {topic}", line.state());
                    self.find(Stage::Accepted, Kind::Altered, id, detail);
                } else {
                    self.find(Stage::Routed, Kind::Misrouted, id, format!("on the topic of {topic}"));
                }
            }
        }
        if let Some(at) = altered {
            self.find(at, Kind::Altered, id, "its content is not what was sent");
        }
    }

    fn order(&mut self, book: &Book<'_>, id: SaleId, line: &Line) {
        let [sales, routed, returned] =
            [Flag::LateOnSales, Flag::LateRouted, Flag::LateReturned].map(|flag| line.has(flag));
        let detail = "behind a later sale of the same store";
        if sales && routed {
            self.find(Stage::Accepted, Kind::OutOfOrder, id, detail);
        } else if routed {
            self.find(Stage::Routed, Kind::OutOfOrder, id, detail);
        } else if returned && book.watched[Stage::Returned] {
            self.find(Stage::Returned, Kind::OutOfOrder, id, detail);
        }
    }

    /// What the stores hold, and what came back.
    fn stores(&mut self, book: &Book<'_>, id: SaleId, line: &Line, is_cached: bool) {
        let came = line.storable > 0;
        let altered = line.has(Flag::AlteredRouted);
        for (stage, flag) in [(Stage::Cached, Flag::Cached), (Stage::Stored, Flag::Stored)] {
            if !book.watched[stage] || (stage == Stage::Cached && !is_cached) {
                continue;
            }
            if came {
                self.expect(stage, line.has(flag), id, line, "");
            } else if line.has(flag) && line.routed == 0 && self.gaps.has_passed(Stage::Routed) {
                // Otherwise it may have been routed after that was read.
                self.find(stage, Kind::NeverSent, id, "nothing of it came this way");
            }
            if stage == Stage::Stored && line.has(flag) {
                self.at(stage).compared += 1;
                if line.has(Flag::AlteredStored) && !altered {
                    self.find(stage, Kind::Altered, id, "the row is not what was sent");
                }
            }
        }
        if !book.watched[Stage::Returned] {
            return;
        }
        let (stored, back) = (came && line.has(Flag::Stored), line.returned > 0);
        if stored || (back && line.routed > 0) {
            self.expect(Stage::Returned, back, id, line, "in Postgres, and not on receipts");
        } else if back && self.gaps.has_passed(Stage::Routed) {
            self.find(Stage::Returned, Kind::NeverSent, id, "on receipts, and on no state's topic");
        }
        self.at(Stage::Returned).compared += u64::from(line.returned);
        (1..line.returned).for_each(|_| self.find(Stage::Returned, Kind::Duplicate, id, ""));
        if line.has(Flag::BrokenReturned) {
            self.find(Stage::Returned, Kind::Malformed, id, "the body is not a receipt of it");
        }
        if line.has(Flag::AlteredReturned) && !altered && !line.has(Flag::AlteredStored) {
            self.find(Stage::Returned, Kind::Altered, id, "the receipt is not that of what was sent");
        }
    }

    /// Sales beyond what the block holds: counted where they were first.
    fn outside(&mut self, id: BlockId, page: &Page) {
        for (stage, index) in &page.outside {
            let at = |stage: Stage| page.outside.contains(&(stage, *index));
            // What is on `sales` is named when it was routed.
            let counts =
                *stage != Stage::Accepted && !stage.before().any(|before| before != Stage::Accepted && at(before));
            if counts {
                let at_sales = *stage == Stage::Routed && at(Stage::Accepted);
                let at = if at_sales { Stage::Accepted } else { *stage };
                self.find(at, Kind::NeverSent, id.sale(*index), "");
            }
        }
    }

    /// What came again to the stores, and not before. Redis only counts them.
    fn repeated(&mut self, book: &Book<'_>, id: BlockId, page: &Page, came_again: u64) {
        let [cached, stored] = page.repeated.map(|repeated| repeated.saturating_sub(came_again));
        if cached > 0 && book.watched[Stage::Cached] {
            self.find(Stage::Cached, Kind::Duplicate, format!("block {id}"), format!("{cached} sales came again"));
            self.at(Stage::Cached).duplicate += cached - 1;
        }
        let doubled = |id: SaleId| page.sales.get(id.index as usize).is_some_and(|line| line.routed > 1);
        let mut left = stored;
        for conflict in book.conflicts.iter().filter(|one| one.id.block_id() == id && !doubled(one.id)) {
            self.find(Stage::Stored, Kind::Duplicate, conflict.id, "");
            left = left.saturating_sub(1);
        }
        self.at(Stage::Stored).duplicate += left;
    }
}
