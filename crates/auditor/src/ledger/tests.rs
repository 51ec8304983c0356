//! Each fault gives its finding and nothing else.

use kafka::Ranges;
use kafka::blocks::{BlockRecord, Phase};
use petstore::{BlockId, Parameters, State};

use super::*;
use crate::block::Fate;
use crate::findings::{Kind, Stage, Tally};

pub(super) const BLOCK: BlockId = BlockId { run: 1, loader: 0, block: 0 };
pub(super) const NOW: i64 = 1_000_000;
/// Sales per block in these tests; the first half at home in California, the others in Texas.
pub(super) const LENGTH: u32 = 100;

fn home(index: u32) -> State {
    if index < LENGTH / 2 { State::Ca } else { State::Tx }
}

fn ledger(stores: [bool; 2]) -> Ledger {
    Ledger::new(stores, Box::new(|_, _| Ok((0..LENGTH).map(home).collect())))
}

pub(super) fn record(phase: Phase, acknowledged: &[(u32, u32)], end: Option<u32>) -> BlockRecord {
    BlockRecord {
        incarnation: 1,
        parameters: Parameters::default(),
        phase,
        acknowledged: Ranges::from(acknowledged.to_vec()),
        end,
        reserved_at_us: NOW,
        updated_at_us: NOW,
    }
}

pub(super) fn closed() -> BlockRecord {
    record(Phase::Closed, &[(0, LENGTH)], Some(LENGTH))
}

/// Puts sales in, each at an offset that is its index; those given twice come at another one.
fn put(ledger: &mut Ledger, indices: impl IntoIterator<Item = u32>) {
    for (offset, index) in (0..).zip(indices) {
        ledger.sale(BLOCK.sale(index), home(index), offset);
    }
}

/// A round of proof in which the fan-out has passed everything, and each missing sale met `fate`.
pub(super) fn prove(ledger: &mut Ledger, fate: Fate) {
    let suspects = ledger.suspects();
    for missing in ledger.convict(&suspects) {
        missing.indices.iter().for_each(|index| ledger.sentence(missing.id, index, fate));
    }
    ledger.end_round(&suspects);
    ledger.close();
}

/// Findings as (stage, kind, how many), and what the list names.
pub(super) fn found(ledger: &Ledger) -> (Vec<(Stage, Kind, u64)>, Vec<String>) {
    let account = ledger.account(NOW);
    let counts = account.counts.iter().map(|count| (count.stage, count.kind, count.findings)).collect();
    (counts, account.findings.iter().map(|finding| finding.what.clone()).collect())
}

#[test]
fn a_block_that_arrived_whole_is_done_without_a_finding() {
    let mut ledger = ledger([false, false]);
    ledger.record(BLOCK, closed());
    put(&mut ledger, 0..LENGTH);
    prove(&mut ledger, Fate::LostByFanOut);
    let account = ledger.account(NOW);
    assert_eq!((account.open_blocks, account.done_blocks), (0, 1));
    let all = Tally { expected: 100, found: 100, ..Tally::default() };
    assert_eq!(account.stages.0.into_iter().collect::<Vec<_>>(), [(Stage::Accepted, all), (Stage::Routed, all)]);
    assert!(account.counts.is_empty() && account.findings.is_empty() && account.auditable);
}

#[test]
fn one_sale_left_out_is_late_until_proved_lost_and_then_exactly_that() {
    for (fate, stage, kind) in [
        (Fate::LostByFanOut, Stage::Routed, Kind::Lost),
        (Fate::LostByKafka, Stage::Accepted, Kind::Lost),
        (Fate::Rejected, Stage::Routed, Kind::Rejected),
    ] {
        let mut ledger = ledger([false, false]);
        ledger.record(BLOCK, closed());
        put(&mut ledger, (0..LENGTH).filter(|index| *index != 37));
        assert_eq!(ledger.account(NOW).stages.at(Stage::Routed).late, 1);
        assert_eq!(found(&ledger), (vec![], vec![]), "slow is not lost");
        prove(&mut ledger, fate);
        assert_eq!(found(&ledger), (vec![(stage, kind, 1)], vec!["00000001/0/0/37".to_owned()]));
        let routed = ledger.account(NOW).stages.at(Stage::Routed);
        assert_eq!((routed.found, routed.late, ledger.account(NOW).open_blocks), (99, 0, 0));
    }
}

#[test]
fn one_sale_doubled_is_a_duplicate_and_no_loss() {
    let mut ledger = ledger([false, false]);
    ledger.record(BLOCK, closed());
    put(&mut ledger, (0..LENGTH).chain([37]));
    prove(&mut ledger, Fate::LostByFanOut);
    assert_eq!(found(&ledger), (vec![(Stage::Routed, Kind::Duplicate, 1)], vec!["00000001/0/0/37".to_owned()]));
    let routed = ledger.account(NOW).stages.at(Stage::Routed);
    assert_eq!((routed.expected, routed.found, routed.lost), (100, 100, 0));
}

#[test]
fn a_duplicate_does_not_hide_a_loss() {
    let mut ledger = ledger([false, false]);
    ledger.record(BLOCK, closed());
    put(&mut ledger, (0..LENGTH).filter(|index| *index != 12).chain([37]));
    prove(&mut ledger, Fate::LostByFanOut);
    let counts = vec![(Stage::Routed, Kind::Lost, 1), (Stage::Routed, Kind::Duplicate, 1)];
    assert_eq!(found(&ledger).0, counts);
}

#[test]
fn a_sale_on_another_states_topic_is_misrouted_and_found() {
    let mut ledger = ledger([false, false]);
    ledger.record(BLOCK, closed());
    put(&mut ledger, (0..LENGTH).filter(|index| *index != 37));
    ledger.sale(BLOCK.sale(37), State::Ny, 0);
    prove(&mut ledger, Fate::LostByFanOut);
    assert_eq!(found(&ledger), (vec![(Stage::Routed, Kind::Misrouted, 1)], vec!["00000001/0/0/37".to_owned()]));
}

#[test]
fn a_sale_that_nobody_sent_is_named() {
    // Behind the block's end, outside of the block, and of no block at all.
    let other = BlockId { block: 9, ..BLOCK };
    for sale in [BLOCK.sale(60), BLOCK.sale(LENGTH), other.sale(0)] {
        let mut ledger = ledger([false, false]);
        ledger.record(BLOCK, record(Phase::Closed, &[(0, 60)], Some(60)));
        put(&mut ledger, 0..60);
        ledger.sale(sale, State::Tx, 60);
        ledger.blocks_are_known(ledger.waiting());
        prove(&mut ledger, Fate::LostByFanOut);
        assert_eq!(found(&ledger), (vec![(Stage::Routed, Kind::NeverSent, 1)], vec![sale.to_string()]));
    }
}

#[test]
fn a_sale_that_comes_before_its_block_is_known_waits_for_it() {
    let mut ledger = ledger([false, false]);
    put(&mut ledger, 0..LENGTH);
    assert_eq!((ledger.waiting(), found(&ledger)), (100, (vec![], vec![])));
    assert!(ledger.checkpoint().unwrap().is_none(), "what waits is in no checkpoint");
    ledger.record(BLOCK, closed());
    prove(&mut ledger, Fate::LostByFanOut);
    assert_eq!((found(&ledger), ledger.account(NOW).done_blocks), ((vec![], vec![]), 1));
}

#[test]
fn of_a_cut_block_what_was_not_acknowledged_may_be_there_once() {
    let mut ledger = ledger([false, false]);
    ledger.record(BLOCK, record(Phase::Progress, &[(0, 50)], None));
    put(&mut ledger, 0..53);
    assert_eq!(ledger.account(NOW).stages.at(Stage::Routed).unknown, 0, "its loader will say");
    ledger.record(BLOCK, record(Phase::Cut, &[(0, 50)], None));
    prove(&mut ledger, Fate::LostByFanOut);
    assert_eq!(found(&ledger).0, vec![]);
    let routed = ledger.account(NOW).stages.at(Stage::Routed);
    assert_eq!((routed.expected, routed.found, routed.unknown), (50, 50, 3));

    ledger.sale(BLOCK.sale(53), State::Tx, 53);
    assert_eq!((found(&ledger).0, ledger.account(NOW).stages.at(Stage::Routed).unknown), (vec![], 4));
    ledger.sale(BLOCK.sale(53), State::Tx, 54);
    assert_eq!(found(&ledger).0, vec![(Stage::Routed, Kind::Duplicate, 1)]);
}

#[test]
fn a_loader_that_fell_silent_leaves_its_unsaid_sales_unknown_and_the_block_open() {
    let mut ledger = ledger([false, false]);
    ledger.record(BLOCK, record(Phase::Progress, &[(0, 50)], None));
    put(&mut ledger, 0..53);
    prove(&mut ledger, Fate::LostByFanOut);
    let later = ledger.account(NOW + 121_000_000);
    assert_eq!((later.stages.at(Stage::Routed).unknown, later.open_blocks), (3, 1));
}

#[test]
fn a_loss_in_a_block_that_is_still_being_sent_is_found() {
    let mut ledger = ledger([false, false]);
    ledger.record(BLOCK, record(Phase::Progress, &[(0, 50)], None));
    put(&mut ledger, (0..60).filter(|index| *index != 7));
    prove(&mut ledger, Fate::LostByFanOut);
    assert_eq!(found(&ledger), (vec![(Stage::Routed, Kind::Lost, 1)], vec!["00000001/0/0/7".to_owned()]));
    prove(&mut ledger, Fate::LostByFanOut);
    assert_eq!(found(&ledger).0, vec![(Stage::Routed, Kind::Lost, 1)], "once");

    ledger.sale(BLOCK.sale(7), State::Ca, 99);
    assert_eq!(found(&ledger), (vec![], vec![]), "whoever was wrong takes it back");
}

#[test]
fn where_a_log_was_deleted_nothing_is_called_lost() {
    let mut ledger = ledger([false, false]);
    ledger.record(BLOCK, closed());
    assert_eq!(ledger.begin(State::Ca, 40, 50, NOW + 1), 40);
    put(&mut ledger, 40..LENGTH);
    prove(&mut ledger, Fate::LostByFanOut);
    let account = ledger.account(NOW);
    assert_eq!(found(&ledger), (vec![], vec![]));
    assert_eq!((account.stages.at(Stage::Routed).not_auditable, account.auditable), (40, false));
}

#[test]
fn a_store_is_judged_by_its_own_position() {
    let mut ledger = ledger([false, true]);
    ledger.record(BLOCK, record(Phase::Progress, &[(0, 50)], None));
    put(&mut ledger, 0..50);
    let asked = ledger.ask(None, 10).remove(0);
    let passed = |next| asked.is_passed_by(&BTreeMap::from([(State::Ca, next)]));
    assert!(!passed(49) && passed(50) && !asked.is_passed_by(&BTreeMap::new()));

    ledger.store_said(1, &asked, 47, 0, false);
    let stored = ledger.account(NOW).stages.at(Stage::Stored);
    assert_eq!((stored.expected, stored.found, stored.late, stored.lost), (50, 47, 3, 0));

    ledger.store_said(1, &asked, 47, 0, true);
    ledger.store_misses(1, &asked, Ranges::from(vec![(3, 5), (9, 10)]));
    let stored = ledger.account(NOW).stages.at(Stage::Stored);
    assert_eq!((stored.found, stored.late, stored.lost), (47, 0, 3));
    let named = ["00000001/0/0/3", "00000001/0/0/4", "00000001/0/0/9"].map(str::to_owned).to_vec();
    assert_eq!(found(&ledger), (vec![(Stage::Stored, Kind::Lost, 3)], named));
}

#[test]
fn a_block_is_done_when_every_watched_store_has_it() {
    let mut ledger = ledger([true, true]);
    ledger.record(BLOCK, closed());
    put(&mut ledger, 0..LENGTH);
    prove(&mut ledger, Fate::LostByFanOut);
    let asked = ledger.ask(None, 10).remove(0);
    for store in [0, 1] {
        assert_eq!(ledger.account(NOW).open_blocks, 1);
        ledger.store_said(store, &asked, 100, 0, true);
        ledger.close();
    }
    assert_eq!((ledger.account(NOW).done_blocks, found(&ledger).0), (1, vec![]));
}

#[test]
fn a_store_that_was_given_a_sale_twice_has_a_duplicate() {
    let mut ledger = ledger([true, false]);
    ledger.record(BLOCK, closed());
    put(&mut ledger, 0..LENGTH);
    prove(&mut ledger, Fate::LostByFanOut);
    let asked = ledger.ask(None, 10).remove(0);
    ledger.store_said(0, &asked, 100, 1, true);
    ledger.close();
    assert_eq!(found(&ledger), (vec![(Stage::Cached, Kind::Duplicate, 1)], vec!["block 00000001/0/0".to_owned()]));
}
