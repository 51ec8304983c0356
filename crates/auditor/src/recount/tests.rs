//! Each fault is counted once, at its stage, and nothing else.

use kafka::SaleHeader;
use kafka::blocks::{BlockRecord, LoadRecord, Phase, Via};
use petstore::{BlockId, Sale, SaleId, State};
use pipeline::PerStage;

use super::book::{Book, Record};
use super::judge::judge;
use super::read::Gaps;
use super::strange::Strange;
use super::*;
use crate::audit::findings::Kind;
use crate::model::tests::{block_of, parameters, sales_of};

const ID: BlockId = BlockId { run: 1, loader: 0, block: 0 };
/// A block after it.
const NEXT: BlockId = BlockId { block: 1, ..ID };
/// Which sale a fault is done to.
const AT: usize = 7;

fn sales() -> Vec<Sale> {
    sales_of(ID)
}

fn record(phase: Phase, acknowledged: usize, end: Option<u32>) -> BlockRecord {
    let record = crate::audit::tests::record(phase, &[(0, u32::try_from(acknowledged).unwrap())], end);
    BlockRecord { parameters: parameters(), reserved_at_us: 0, updated_at_us: 0, ..record }
}

fn account(blocks: impl IntoIterator<Item = (BlockId, BlockRecord)>) -> Account {
    let mut account = Account { is_settled: true, is_whole: true, ..Account::default() };
    blocks.into_iter().for_each(|(id, record)| account.add(id, record));
    account
}

/// All of one block was acknowledged.
fn whole(sales: &[Sale]) -> Account {
    account([(ID, record(Phase::Closed, sales.len(), None))])
}

/// A book with one block, as the account has it.
fn book(account: &Account) -> Book<'_> {
    let mut book = Book::new(account, PerStage::from_fn(|_| true), i64::MAX, true);
    book.open(ID, account.blocks[&ID].clone(), &block_of(ID));
    book
}

/// What is at each stage.
struct Flow {
    sales: Vec<Sale>,
    routed: Vec<Sale>,
    cached: Vec<Sale>,
    stored: Vec<Sale>,
    returned: Vec<Sale>,
}

impl Flow {
    fn of(sales: &[Sale]) -> Self {
        let all = || sales.to_vec();
        Self { sales: all(), routed: all(), cached: all(), stored: all(), returned: all() }
    }

    fn put_into(&self, book: &mut Book<'_>) {
        for sale in &self.sales {
            book.accepted(Record { header: header(sale), body: &serde_json::to_vec(sale).unwrap() });
        }
        for sale in &self.routed {
            let record = Record { header: header(sale), body: &serde_json::to_vec(sale).unwrap() };
            book.routed(sale.state(), record);
        }
        self.cached.iter().for_each(|sale| book.cached(sale.id));
        for sale in &self.stored {
            book.stored(sale.id, petstore::digest(sale), Some(&sale.receipt()));
        }
        for sale in &self.returned {
            let record = Record { header: header(sale), body: &serde_json::to_vec(&sale.receipt()).unwrap() };
            book.returned(record);
        }
    }
}

fn header(sale: &Sale) -> SaleHeader {
    SaleHeader { id: sale.id, due_us: 1, state: sale.state() }
}

/// Judges by an account that is that of the cut, or a later one.
fn judged(book: &mut Book<'_>, after: &Account, gaps: &Gaps) -> (Recount, Strange) {
    let (mut found, mut strange) = (Recount::default(), Strange::default());
    let length = |id| Some(u32::try_from(sales_of(id).len()).unwrap());
    judge(book, after, length, gaps, &mut strange, &mut found);
    (found, strange)
}

fn recount(fault: impl FnOnce(&mut Flow)) -> Vec<(Stage, Kind, String)> {
    let sales = sales();
    let mut flow = Flow::of(&sales);
    fault(&mut flow);
    let account = whole(&sales);
    let mut book = book(&account);
    flow.put_into(&mut book);
    let (judged, _) = judged(&mut book, &account, &Gaps::default());
    for (stage, tally) in &judged.stages.0 {
        let accounted = tally.found + tally.lost + tally.rejected + tally.late;
        assert_eq!(tally.expected, accounted, "{stage:?}: {tally:?}");
    }
    judged.findings.into_iter().map(|finding| (finding.stage, finding.kind, finding.what)).collect()
}

#[test]
fn of_sales_that_went_through_the_shop_no_order_is_expected() {
    for (via, in_order) in [(Via::Kafka, false), (Via::Webapp, true)] {
        let mut sales = sales();
        let load = Some(LoadRecord { began_at_us: 0, micro_rate: 1, length_us: 1, shape: 0, via });
        let account = account([(ID, BlockRecord { load, ..record(Phase::Closed, sales.len(), None) })]);
        let mut book = book(&account);
        sales.reverse();
        Flow::of(&sales).put_into(&mut book);
        let (judged, _) = judged(&mut book, &account, &Gaps::default());
        assert_eq!(judged.findings.is_empty(), in_order, "{via:?}");
        assert!(judged.findings.iter().all(|finding| finding.kind == Kind::OutOfOrder), "{via:?}");
    }
}

fn only(stage: Stage, kind: Kind) -> Vec<(Stage, Kind, String)> {
    vec![(stage, kind, sales()[AT].id.to_string())]
}

#[test]
fn what_is_right_has_no_finding() {
    assert_eq!(recount(|_| {}), vec![]);
}

#[test]
fn a_fault_that_goes_all_the_way_is_counted_where_it_began() {
    type Change = fn(&mut Vec<Sale>);
    // So far along the flow: a store keeps one of two.
    let faults: [(Kind, usize, Change); 3] = [
        (Kind::Altered, 5, |sales| sales[AT].cents += 1),
        (Kind::Lost, 5, |sales| drop(sales.remove(AT))),
        (Kind::Duplicate, 2, |sales| sales.push(sales[AT].clone())),
    ];
    for (kind, stages, change) in faults {
        let found = recount(|Flow { sales, routed, cached, stored, returned }| {
            [sales, routed, cached, stored, returned].into_iter().take(stages).for_each(change);
        });
        assert_eq!(found, only(Stage::Accepted, kind));
    }
}

#[test]
fn each_stage_answers_for_its_own_faults() {
    type Fault = fn(&mut Flow);
    let faults: [(Stage, Kind, Fault); 7] = [
        (Stage::Cached, Kind::Lost, |flow| drop(flow.cached.remove(AT))),
        (Stage::Stored, Kind::Lost, |flow| drop(flow.stored.remove(AT))),
        (Stage::Returned, Kind::Lost, |flow| drop(flow.returned.remove(AT))),
        (Stage::Stored, Kind::Altered, |flow| flow.stored[AT].cents += 1),
        (Stage::Returned, Kind::Altered, |flow| flow.returned[AT].cents += 1),
        (Stage::Returned, Kind::Duplicate, |flow| flow.returned.push(flow.returned[AT].clone())),
        (Stage::Routed, Kind::Duplicate, |flow| flow.routed.push(flow.routed[AT].clone())),
    ];
    for (stage, kind, fault) in faults {
        assert_eq!(recount(fault), only(stage, kind));
    }
    let misrouted = recount(|flow| {
        let home = flow.routed[AT].state();
        flow.routed[AT].store.state = if home == State::Ny { State::Ca } else { State::Ny };
    });
    // Its body says so as well.
    assert_eq!(misrouted, [Kind::Misrouted, Kind::Altered].map(|kind| only(Stage::Routed, kind)).concat());
}

#[test]
fn what_has_not_passed_is_late_and_not_lost() {
    let sales = sales();
    let account = whole(&sales);
    let mut book = book(&account);
    let flow = Flow { sales: sales.clone(), ..Flow::of(&[]) };
    flow.put_into(&mut book);
    let gaps = Gaps { behind: [(Stage::Routed, String::new())].into(), ..Gaps::default() };
    let (judged, _) = judged(&mut book, &account, &gaps);
    let routed = judged.stages.at(Stage::Routed);
    assert_eq!((judged.findings.len(), routed.late, routed.lost), (0, sales.len() as u64, 0));
    assert_eq!(judged.oldest[&Stage::Routed].id, sales[0].id);
}

#[test]
fn what_could_not_be_read_is_late_and_not_lost() {
    let sales = sales();
    let account = whole(&sales);
    let mut book = book(&account);
    // The stores have what could not be seen on the states' topics.
    let flow = Flow { routed: Vec::new(), ..Flow::of(&sales) };
    flow.put_into(&mut book);
    let gaps = Gaps { unread: [(Stage::Routed, String::new())].into(), ..Gaps::default() };
    let (judged, _) = judged(&mut book, &account, &gaps);
    assert_eq!(judged.findings, []);
}

/// At the cut, ten sales of the first block were acknowledged and the second was not reserved. All that both hold came
/// while the logs and stores were read, and some of it not everywhere as yet.
fn after_the_cut(after: &Account) -> Vec<(Stage, Kind, SaleId)> {
    let (sales, next) = (sales(), sales_of(NEXT));
    let at_cut = account([(ID, record(Phase::Progress, 10, None))]);
    let mut book = book(&at_cut);
    let all = [&sales[..], &next[..]].concat();
    // No stage has all of it, since each is read at another time; the later ones have more.
    let upto = |count: usize| [&sales[..count], &next[..count / 2]].concat();
    let flow = Flow { sales: upto(12), routed: upto(30), cached: upto(20), stored: all.clone(), returned: upto(40) };
    flow.put_into(&mut book);
    let (judged, strange) = judged(&mut book, after, &Gaps::default());
    for stage in Stage::ALL {
        let tally = judged.stages.at(stage);
        assert_eq!((tally.expected, tally.found, tally.late), (10, 10, 0), "{stage:?}");
    }
    let named =
        |finding: &crate::audit::findings::Finding| (finding.stage, finding.kind, finding.what.parse().unwrap());
    let strange = strange.sales.into_keys().map(|(stage, id)| (stage, Kind::NeverSent, id));
    judged.findings.iter().map(named).chain(strange).collect()
}

#[test]
fn what_came_after_the_cut_is_no_finding() {
    let open = |id: BlockId| (id, record(Phase::Progress, 0, None));
    assert_eq!(after_the_cut(&account([open(ID), open(NEXT)])), []);
    assert_eq!(after_the_cut(&account([(ID, record(Phase::Closed, sales().len(), None)), open(NEXT)])), []);
    // The second was judged and deleted from the account meanwhile; the loader is at its third.
    assert_eq!(after_the_cut(&account([open(ID), open(BlockId { block: 2, ..ID })])), []);
    // Nobody can say what the account holds, as long as somebody's transaction is open.
    assert_eq!(after_the_cut(&Account { is_settled: false, ..account([open(ID)]) }), []);
}

#[test]
fn what_even_the_later_account_does_not_know_as_sent_was_never_sent() {
    let closed = |id: BlockId, end| (id, record(Phase::Closed, 10, Some(end)));
    let open = |id: BlockId| (id, record(Phase::Progress, 0, None));
    let never = |stage, sale: &Sale| (stage, Kind::NeverSent, sale.id);
    let (sales, next) = (sales(), sales_of(NEXT));
    let routed = |from: usize| sales[from..30].iter().map(|sale| never(Stage::Routed, sale)).collect::<Vec<_>>();
    assert_eq!(after_the_cut(&account([closed(ID, 28), open(NEXT)])), routed(28));
    let found = after_the_cut(&account([open(ID), closed(NEXT, 13)]));
    let expected = [
        &next[13..15].iter().map(|sale| never(Stage::Routed, sale)).collect::<Vec<_>>()[..],
        &next[13..20].iter().map(|sale| never(Stage::Returned, sale)).collect::<Vec<_>>()[..],
    ];
    assert_eq!(found, expected.concat());
    let found = after_the_cut(&account([open(ID)]));
    assert_eq!(found.len(), 6 + 15 + 20, "of a block that nobody reserved, on each topic");
}

#[test]
fn a_block_of_a_loader_that_fell_silent_is_final() {
    let mut account = account([(ID, record(Phase::Progress, 10, None)), (NEXT, record(Phase::Reserved, 0, None))]);
    let silent_us = i64::try_from(kafka::blocks::SILENT_AFTER.as_micros()).unwrap();
    account.cut_silent(silent_us);
    assert!(account.blocks.values().all(|record| !record.phase.is_final()));
    // A word about one block is a sign of life for the others.
    account.blocks.get_mut(&NEXT).unwrap().updated_at_us = 1;
    account.cut_silent(silent_us + 1);
    assert!(account.blocks.values().all(|record| !record.phase.is_final()));
    account.cut_silent(silent_us + 2);
    assert!(account.blocks.values().all(|record| record.phase == Phase::Cut));
}

#[test]
fn a_block_that_a_log_no_longer_reaches_back_to_is_set_aside() {
    let sales = sales();
    for (begins_us, beyond) in [(None, vec![]), (Some(0), vec![]), (Some(1), vec![ID])] {
        let account = whole(&sales);
        let mut book = book(&account);
        book.begin_at(begins_us);
        book.set_aside();
        assert_eq!((book.beyond.clone(), book.blocks.len()), (beyond.clone(), 1 - beyond.len()));
    }
}

/// A cut with blocks of so many acknowledged sales, in the order in which they were reserved.
fn cut(acknowledged: &[usize]) -> Cut {
    let block = |(number, sales): (u32, &usize)| {
        let reserved = BlockRecord { reserved_at_us: number.into(), ..record(Phase::Cut, *sales, None) };
        (BlockId { block: number, ..ID }, reserved)
    };
    Cut { account: account((0..).zip(acknowledged).map(block)), sales: Vec::new() }
}

#[test]
fn a_pass_has_as_many_blocks_as_have_room_whatever_was_acknowledged_of_them() {
    let cut = cut(&[1, 0, 1, 1]);
    let account = Account::default();
    let mut blocks = cut.blocks().into_iter().peekable();
    let lengths: Vec<usize> = blocks.clone().map(|(id, _)| sales_of(id).len()).collect();
    let room = u64::try_from(lengths[0] + 1).unwrap();
    let mut passes = Vec::new();
    while blocks.peek().is_some() {
        let mut book = Book::new(&account, PerStage::from_fn(|_| true), i64::MAX, true);
        Chains::default().open(&mut book, &mut blocks, room).unwrap();
        passes.push(book.blocks.keys().map(|id| id.block).collect::<Vec<_>>());
    }
    assert_eq!(passes, [[0, 1], [2, 3]]);
}

#[test]
fn the_newest_blocks_are_those_that_something_was_acknowledged_of() {
    let newest = |acknowledged: &[usize], sales| {
        let cut = cut(acknowledged);
        cut.newest(sales).iter().map(|(id, _)| id.block).collect::<Vec<_>>()
    };
    assert_eq!(newest(&[5, 5, 0, 4, 0], 9), [3, 1]);
    assert_eq!(newest(&[5, 5, 0, 4, 0], 8), [3]);
    assert_eq!(newest(&[5, 50], 8), [1], "one at least");
    assert_eq!(newest(&[0], 8), [0; 0]);
}
