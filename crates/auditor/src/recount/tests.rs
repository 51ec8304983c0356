//! Each fault is counted once, at its stage, and nothing else.

use kafka::blocks::{BlockRecord, Phase};
use kafka::{Ranges, SaleHeader};
use petstore::{BlockId, Parameters, Petstore, Sale, State};

use super::book::{Book, Record};
use super::judge::{Strange, judge};
use super::*;
use crate::block::Watched;
use crate::findings::Kind;

const ID: BlockId = BlockId { run: 1, loader: 0, block: 0 };
/// Which sale a fault is done to.
const AT: usize = 7;

fn sales() -> Vec<Sale> {
    Petstore::new(Parameters { customers: 200, days: 5, ..Parameters::default() }).unwrap().block(ID)
}

fn book(sales: &[Sale]) -> Book {
    let all = u32::try_from(sales.len()).unwrap();
    let record = BlockRecord {
        incarnation: 1,
        parameters: Parameters::default(),
        phase: Phase::Closed,
        acknowledged: Ranges::from(vec![(0, all)]),
        end: None,
        load: None,
        reserved_at_us: 0,
        updated_at_us: 0,
    };
    let mut book = Book::new(Watched { stores: [true, true], returned: true }, i64::MAX, true);
    book.open(ID, record, sales);
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

fn recount(fault: impl FnOnce(&mut Flow)) -> Vec<(Stage, Kind, String)> {
    let sales = sales();
    let all = || sales.clone();
    let mut flow = Flow { sales: all(), routed: all(), cached: all(), stored: all(), returned: all() };
    fault(&mut flow);
    let mut book = book(&sales);
    let header = |sale: &Sale| SaleHeader { id: sale.id, due_us: 1, state: sale.state() };
    for sale in &flow.sales {
        book.accepted(Record { header: header(sale), body: &serde_json::to_vec(sale).unwrap() });
    }
    for sale in &flow.routed {
        let record = Record { header: header(sale), body: &serde_json::to_vec(sale).unwrap() };
        book.routed(sale.state(), record);
    }
    flow.cached.iter().for_each(|sale| book.cached(sale.id));
    for sale in &flow.stored {
        book.stored(sale.id, petstore::digest(sale), Some(&sale.receipt()));
    }
    for sale in &flow.returned {
        let record = Record { header: header(sale), body: &serde_json::to_vec(&sale.receipt()).unwrap() };
        book.returned(record);
    }
    let judged = judge(&mut book, &Passed::new(), &mut Strange::default());
    for (stage, tally) in &judged.tallies.0 {
        let accounted = tally.found + tally.lost + tally.rejected + tally.late;
        assert_eq!(tally.expected, accounted, "{stage:?}: {tally:?}");
    }
    judged.findings.into_iter().map(|finding| (finding.stage, finding.kind, finding.what)).collect()
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
    let everywhere = |flow: &mut Flow, change: fn(&mut Vec<Sale>)| {
        change(&mut flow.sales);
        change(&mut flow.routed);
        change(&mut flow.stored);
        change(&mut flow.returned);
    };
    let altered = |sales: &mut Vec<Sale>| sales[AT].cents += 1;
    assert_eq!(recount(|flow| everywhere(flow, altered)), only(Stage::Accepted, Kind::Altered));
    let lost = |sales: &mut Vec<Sale>| drop(sales.remove(AT));
    assert_eq!(
        recount(|flow| {
            everywhere(flow, lost);
            flow.cached.remove(AT);
        }),
        only(Stage::Accepted, Kind::Lost)
    );
    let twice = |sales: &mut Vec<Sale>| sales.push(sales[AT].clone());
    assert_eq!(
        recount(|flow| {
            twice(&mut flow.sales);
            twice(&mut flow.routed);
        }),
        only(Stage::Accepted, Kind::Duplicate)
    );
}

#[test]
fn each_stage_answers_for_its_own_faults() {
    let lost = |stage| {
        recount(move |flow| match stage {
            Stage::Cached => drop(flow.cached.remove(AT)),
            Stage::Stored => {
                flow.stored.remove(AT);
            }
            _ => drop(flow.returned.remove(AT)),
        })
    };
    for stage in [Stage::Cached, Stage::Stored, Stage::Returned] {
        assert_eq!(lost(stage), only(stage, Kind::Lost));
    }
    assert_eq!(recount(|flow| flow.stored[AT].cents += 1), only(Stage::Stored, Kind::Altered));
    assert_eq!(recount(|flow| flow.returned[AT].cents += 1), only(Stage::Returned, Kind::Altered));
    assert_eq!(recount(|flow| flow.returned.push(flow.returned[AT].clone())), only(Stage::Returned, Kind::Duplicate));
    assert_eq!(recount(|flow| flow.routed.push(flow.routed[AT].clone())), only(Stage::Routed, Kind::Duplicate));
    let misrouted = recount(|flow| {
        let home = flow.routed[AT].state();
        flow.routed[AT].store.state = if home == State::Ny { State::Ca } else { State::Ny };
    });
    // Its body says so as well.
    assert_eq!(
        misrouted,
        [(Stage::Routed, Kind::Misrouted), (Stage::Routed, Kind::Altered)].map(|(stage, kind)| (
            stage,
            kind,
            sales()[AT].id.to_string()
        ))
    );
}

#[test]
fn what_has_not_passed_is_late_and_not_lost() {
    let sales = sales();
    let mut book = book(&sales);
    for sale in &sales {
        let header = SaleHeader { id: sale.id, due_us: 1, state: sale.state() };
        book.accepted(Record { header, body: &serde_json::to_vec(sale).unwrap() });
    }
    let judged = judge(&mut book, &Passed::from([(Stage::Routed, false)]), &mut Strange::default());
    let routed = judged.tallies.at(Stage::Routed);
    assert_eq!((judged.findings.len(), routed.late, routed.lost), (0, sales.len() as u64, 0));
}

#[test]
fn a_block_that_a_log_no_longer_reaches_back_to_is_set_aside() {
    let sales = sales();
    for (begins_us, beyond) in [(None, vec![]), (Some(0), vec![]), (Some(1), vec![ID])] {
        let mut book = book(&sales);
        book.begin_at(begins_us);
        book.set_aside();
        assert_eq!((book.beyond.clone(), book.blocks.len()), (beyond.clone(), 1 - beyond.len()));
    }
}

#[test]
fn a_pass_has_as_many_blocks_as_have_room() {
    let published = |block: u32, sales: u32| {
        let record = BlockRecord {
            incarnation: 1,
            parameters: Parameters::default(),
            phase: Phase::Closed,
            acknowledged: Ranges::from(vec![(0, sales)]),
            end: None,
            load: None,
            reserved_at_us: block.into(),
            updated_at_us: 0,
        };
        Published { id: BlockId { block, ..ID }, record, offset: 0 }
    };
    let chunks = chunks(vec![published(2, 1), published(0, 2_000_000), published(1, 1_000_001), published(3, 5)]);
    let blocks: Vec<Vec<u32>> = chunks.iter().map(|chunk| chunk.iter().map(|block| block.id.block).collect()).collect();
    assert_eq!(blocks, [vec![0], vec![1, 2, 3]]);
}
