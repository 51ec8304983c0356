//! Each fault is counted, and nothing else.

use kafka::Ranges;
use kafka::blocks::{BlockRecord, Phase, Published};
use petstore::{BlockId, Parameters, Petstore, Sale, State};

use super::found::Found;
use super::sample::{Place, Sample};

const BLOCK: BlockId = BlockId { run: 1, loader: 0, block: 0 };

fn published(block: u32, phase: Phase, acknowledged: u32, end: Option<u32>) -> Published {
    let record = BlockRecord {
        incarnation: 1,
        parameters: Parameters::default(),
        phase,
        acknowledged: Ranges::from(vec![(0, acknowledged)]),
        end,
        load: None,
        reserved_at_us: i64::from(block) * 1_000,
        updated_at_us: 0,
    };
    Published { id: BlockId { block, ..BLOCK }, record, offset: 0 }
}

fn sales(id: BlockId) -> Vec<Sale> {
    let mut sales = Petstore::new(Parameters { customers: 200, days: 5, ..Parameters::default() }).unwrap().block(id);
    sales.truncate(10);
    for sale in &mut sales {
        sale.store.state = State::Ca;
    }
    sales
}

fn sample(blocks: Vec<Published>) -> Sample {
    Sample::new(blocks, |_, id| Ok(sales(id))).unwrap()
}

/// The digest of what is right.
fn right(index: u32) -> Option<u64> {
    sales(BLOCK).get(index as usize).map(petstore::digest)
}

fn found(sample: &Sample) -> Found {
    sample.found(Place::Routed, |_| true)
}

fn route(sample: &mut Sample, indices: impl IntoIterator<Item = u32>) {
    for index in indices {
        sample.count(Place::Routed, BLOCK.sale(index), 1_000 + i64::from(index), Some(State::Ca), right(index));
    }
}

#[test]
fn what_is_all_there_is_right() {
    let mut sample = sample(vec![published(0, Phase::Closed, 10, Some(10))]);
    route(&mut sample, 0..10);
    assert!(found(&sample).is_right());
    assert_eq!((found(&sample).there, sample.span_us()), (10, Some((1_000, 1_009))));
}

#[test]
fn each_fault_is_counted_and_nothing_else() {
    let whole = Found { expected: 8, there: 8, ..Found::default() };
    let fault = |change: fn(&mut Sample)| {
        let mut sample = sample(vec![published(0, Phase::Closed, 8, Some(8))]);
        change(&mut sample);
        found(&sample)
    };
    assert_eq!(fault(|sample| route(sample, 0..8)), whole);
    let oldest = Some((BLOCK.sale(3), State::Ca, 0));
    assert_eq!(fault(|sample| route(sample, (0..8).filter(|i| *i != 3))), Found { there: 7, oldest, ..whole.clone() });
    let duplicate = Some(BLOCK.sale(3));
    assert_eq!(fault(|sample| route(sample, (0..8).chain([3]))), Found { duplicates: 1, duplicate, ..whole.clone() });
    for extra in [8, 10] {
        assert_eq!(fault(|sample| route(sample, 0..8)), whole);
        let mut sample = sample(vec![published(0, Phase::Closed, 8, Some(8))]);
        route(&mut sample, (0..8).chain([extra]));
        assert_eq!(found(&sample), Found { never_sent: 1, ..whole.clone() }, "{extra}");
    }
    let misrouted = fault(|sample| {
        route(sample, 0..7);
        sample.count(Place::Routed, BLOCK.sale(7), 1, Some(State::Tx), right(7));
    });
    assert_eq!(misrouted, Found { misrouted: 1, ..whole });
}

#[test]
fn what_is_not_what_was_sent_is_altered_where_it_was_first() {
    let mut sample = sample(vec![published(0, Phase::Closed, 10, Some(10))]);
    for index in 0..10 {
        let says = right(index).filter(|_| index != 3);
        sample.count(Place::Routed, BLOCK.sale(index), 1, Some(State::Ca), says);
        let receipt = petstore::receipt_digest(&sales(BLOCK)[index as usize].receipt());
        sample.compare_row(
            BLOCK.sale(index),
            right(index).unwrap(),
            Some(receipt ^ u64::from([3, 4].contains(&index))),
        );
        sample.compare_row(BLOCK.sale(index), right(index).unwrap() ^ u64::from(index == 5), Some(receipt));
    }
    let altered = |place| {
        let found = sample.found(place, |_| true);
        (found.altered, found.one_altered)
    };
    assert_eq!(altered(Place::Routed), (1, Some(BLOCK.sale(3))));
    assert_eq!(altered(Place::Stored), (2, Some(BLOCK.sale(4))));
}

#[test]
fn of_an_open_or_a_cut_block_more_than_was_acknowledged_may_be_there_once() {
    for phase in [Phase::Progress, Phase::Cut] {
        let mut sample = sample(vec![published(0, phase, 5, None)]);
        route(&mut sample, 0..7);
        assert!(found(&sample).is_right());
        route(&mut sample, [6]);
        assert_eq!(found(&sample).duplicates, 1);
    }
}

#[test]
fn a_block_that_nobody_reserved_is_a_stranger_until_it_is_introduced() {
    let mut sample = sample(vec![published(0, Phase::Closed, 0, Some(0))]);
    let (new, strange) = (BlockId { block: 1, ..BLOCK }, BlockId { block: 2, ..BLOCK });
    for id in [new, strange] {
        sample.count(Place::Routed, id.sale(0), 1, Some(State::Ca), None);
    }
    sample.introduce(&[published(1, Phase::Progress, 0, None)]);
    assert_eq!(sample.strangers, [(Place::Routed, strange.sale(0))]);
    assert_eq!(found(&sample).never_sent, 1);
}

#[test]
fn what_lies_before_a_log_begins_is_set_aside() {
    let mut sample = sample((0..4).map(|block| published(block, Phase::Closed, 10, Some(10))).collect());
    sample.begin_at(2_000);
    assert_eq!((sample.blocks.len(), sample.beyond, sample.sales()), (2, 2, 20));
}
