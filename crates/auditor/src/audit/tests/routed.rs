//! From the loaders' account to the states' topics.

use std::time::Duration;

use super::*;
use crate::audit::findings::Tally;

#[test]
fn a_block_that_arrived_whole_is_done_without_a_finding() {
    let account = proved(0..LENGTH).account();
    assert_eq!((account.open_blocks, account.done_blocks), (0, 1));
    let all = Tally { expected: 100, found: 100, ..Tally::default() };
    let routed = Tally { compared: 100, ..all };
    assert_eq!(account.stages.0.into_iter().collect::<Vec<_>>(), [(Stage::Accepted, all), (Stage::Routed, routed)]);
    assert!(account.counts.is_empty() && account.findings.is_empty() && account.auditable);
}

#[test]
fn one_sale_left_out_is_late_until_proved_lost_and_then_exactly_that() {
    for (fate, stage, kind) in [
        (Fate::LostByFanOut, Stage::Routed, Kind::Lost),
        (Fate::LostByKafka, Stage::Accepted, Kind::Lost),
        (Fate::Rejected, Stage::Routed, Kind::Rejected),
    ] {
        let mut audit = read(closed(), without(37));
        assert_eq!(audit.account().stages.at(Stage::Routed).late, 1);
        assert_eq!(found(&audit), NOTHING, "slow is not lost");
        prove(&mut audit, fate);
        assert_eq!(found(&audit), only(stage, kind, SALE));
        let routed = audit.account().stages.at(Stage::Routed);
        assert_eq!((routed.found, routed.late, audit.account().open_blocks), (99, 0, 0));
    }
}

#[test]
fn one_sale_doubled_is_a_duplicate_and_no_loss() {
    let audit = proved((0..LENGTH).chain([37]));
    assert_eq!(found(&audit), only(Stage::Routed, Kind::Duplicate, SALE));
    let routed = audit.account().stages.at(Stage::Routed);
    assert_eq!((routed.expected, routed.found, routed.lost), (100, 100, 0));
}

#[test]
fn a_duplicate_does_not_hide_a_loss() {
    let audit = proved(without(12).chain([37]));
    assert_eq!(found(&audit).0, [(Stage::Routed, Kind::Lost, 1), (Stage::Routed, Kind::Duplicate, 1)]);
}

#[test]
fn a_sale_on_another_states_topic_is_misrouted_and_found() {
    let mut audit = read(closed(), without(37));
    sale(&mut audit, SALE, State::Ny, 0);
    prove(&mut audit, Fate::LostByFanOut);
    assert_eq!(found(&audit), only(Stage::Routed, Kind::Misrouted, SALE));
}

#[test]
fn a_sale_that_nobody_sent_is_named() {
    // Behind the block's end, outside of the block, and of no block at all.
    for stranger in [BLOCK.sale(60), BLOCK.sale(LENGTH), OTHER.sale(0)] {
        let mut audit = read(closed_at(60), 0..60);
        sale(&mut audit, stranger, State::Tx, 60);
        know_blocks(&mut audit);
        prove(&mut audit, Fate::LostByFanOut);
        assert_eq!(found(&audit), only(Stage::Routed, Kind::NeverSent, stranger));
    }
}

#[test]
fn a_sale_that_nobody_sent_is_named_when_its_block_is_done_as_well() {
    // A block that was stopped early, and a whole one. What comes again of either was sent.
    for (acknowledged, strangers) in [(60, [70, LENGTH]), (LENGTH, [LENGTH, LENGTH + 1])] {
        let mut audit = read_of([false, false], true, closed_at(acknowledged), 0..acknowledged);
        prove(&mut audit, Fate::LostByFanOut);
        assert_eq!(audit.account().done_blocks, 1);
        for stranger in strangers {
            sale(&mut audit, BLOCK.sale(stranger), State::Tx, 200 + i64::from(stranger));
        }
        sale(&mut audit, BLOCK.sale(1), State::Ca, 200);
        let [first, second] = strangers;
        let counts = vec![(Stage::Routed, Kind::Duplicate, 1), (Stage::Routed, Kind::NeverSent, 2)];
        assert_eq!(found(&audit), (counts, named(&[first, second, 1].map(|index| BLOCK.sale(index)))));
        // It was on `sales` so.
        audit.close_cases(&[Origin::Accepted(Kind::NeverSent); 2]);
        assert!(found(&audit).0.contains(&(Stage::Accepted, Kind::NeverSent, 2)), "{:?}", found(&audit));
    }
}

#[test]
fn a_new_model_leaves_what_was_judged_before_as_it_is_and_counts_what_was_not() {
    let mut audit = proved(0..LENGTH);
    sale(&mut audit, OTHER.sale(0), State::Ca, 100);
    for id in [BLOCK, OTHER] {
        audit.of_another_release(id);
    }
    audit.unreadable(BLOCK);
    sale(&mut audit, OTHER.sale(1), State::Ca, 101);
    know_blocks(&mut audit);
    let account = audit.account();
    assert_eq!((found(&audit), account.auditable, account.other_release_blocks), (NOTHING, true, 1));
    assert_eq!((account.done_blocks, account.remarks.len()), (1, 1), "{:?}", account.remarks);
}

#[test]
fn a_sale_that_comes_before_its_block_is_known_waits_for_it() {
    let mut audit = audit([false, false], false);
    put(&mut audit, 0..LENGTH);
    assert_eq!((audit.waiting.len(), found(&audit)), (100, NOTHING));
    assert!(audit.checkpoint().unwrap().is_none(), "what waits is in no checkpoint");
    audit.record(BLOCK, closed());
    prove(&mut audit, Fate::LostByFanOut);
    assert_eq!((found(&audit), audit.account().done_blocks), (NOTHING, 1));
}

#[test]
fn a_sale_that_came_after_the_account_of_blocks_was_asked_for_still_waits() {
    let mut audit = audit([false, false], false);
    sale(&mut audit, BLOCK.sale(0), State::Ca, 0);
    sale(&mut audit, OTHER.sale(0), State::Ca, 1);
    let unknown = audit.unknown().unwrap();
    sale(&mut audit, BlockId { block: 2, ..BLOCK }.sale(0), State::Ca, 2);
    audit.record(BLOCK, closed());
    audit.blocks_are_known(unknown);
    let expected = only(Stage::Routed, Kind::NeverSent, OTHER.sale(0));
    assert_eq!((found(&audit), audit.waiting.len()), (expected, 1));
}

#[test]
fn of_a_cut_block_what_was_not_acknowledged_may_be_there_once() {
    let unknown = |audit: &Audit| audit.account().stages.at(Stage::Routed).unknown;
    let mut audit = read(record(Phase::Progress, &[(0, 50)], None), 0..53);
    assert_eq!(unknown(&audit), 0, "its loader will say");
    audit.record(BLOCK, record(Phase::Cut, &[(0, 50)], None));
    prove(&mut audit, Fate::LostByFanOut);
    assert_eq!(found(&audit), NOTHING);
    let routed = audit.account().stages.at(Stage::Routed);
    assert_eq!((routed.expected, routed.found, routed.unknown), (50, 50, 3));

    sale(&mut audit, BLOCK.sale(53), State::Tx, 53);
    assert_eq!((found(&audit), unknown(&audit)), (NOTHING, 4));
    sale(&mut audit, BLOCK.sale(53), State::Tx, 54);
    assert_eq!(found(&audit).0, [(Stage::Routed, Kind::Duplicate, 1)]);
}

#[test]
fn a_loader_that_never_comes_back_is_judged_as_if_its_block_had_been_cut() {
    let reserved = record(Phase::Reserved, &[], None);
    let mut audit = read(record(Phase::Progress, &[(0, 50)], None), (0..53).filter(|index| *index != 37));
    audit.record(OTHER, reserved.clone());
    listen(&mut audit, 115);
    // Its last word on any block counts, and while Kafka is away nobody is silent.
    audit.record(OTHER, reserved);
    audit.listened(Duration::from_hours(1));
    listen(&mut audit, 105);
    prove(&mut audit, Fate::LostByFanOut);
    let speaks = audit.account();
    assert_eq!((speaks.stages.at(Stage::Routed).unknown, speaks.open_blocks), (0, 2));

    listen(&mut audit, 10);
    prove(&mut audit, Fate::LostByFanOut);
    let silent = audit.account();
    assert_eq!((silent.stages.at(Stage::Routed).unknown, silent.open_blocks, silent.done_blocks), (3, 0, 2));
    assert_eq!(found(&audit), only(Stage::Routed, Kind::Lost, SALE));
}

/// The account of blocks is read to its end every five seconds for so long.
fn listen(audit: &mut Audit, seconds: u64) {
    (0..seconds / 5).for_each(|_| audit.listened(Duration::from_secs(5)));
}

#[test]
fn a_loader_that_was_taken_for_gone_and_says_more_is_heard() {
    let mut audit = read_of([true, false], false, record(Phase::Progress, &[(0, 50)], None), 0..50);
    listen(&mut audit, 125);
    prove(&mut audit, Fate::LostByFanOut);
    audit.record(BLOCK, closed_at(60));
    stored::hold(&mut audit, 0, 0..50, &[], 0);
    assert_eq!(audit.account().open_blocks, 1, "ten more are to come");
    prove(&mut audit, Fate::LostByFanOut);
    stored::hold(&mut audit, 0, 0..50, &[], 0);
    assert_eq!((found(&audit).0, audit.account().done_blocks), (vec![(Stage::Routed, Kind::Lost, 10)], 1));
}

#[test]
fn a_loss_in_a_block_that_is_still_being_sent_is_found() {
    let mut audit = read(record(Phase::Progress, &[(0, 50)], None), (0..60).filter(|index| *index != 37));
    for _ in 0..2 {
        prove(&mut audit, Fate::LostByFanOut);
        assert_eq!(found(&audit), only(Stage::Routed, Kind::Lost, SALE), "once");
    }
    sale(&mut audit, SALE, State::Ca, 99);
    let behind = only(Stage::Routed, Kind::OutOfOrder, SALE);
    assert_eq!(found(&audit), behind, "whoever was wrong takes it back; but it came too late");
}

#[test]
fn a_sale_behind_a_later_one_of_its_store_is_out_of_order_if_it_was_acknowledged() {
    for (acknowledged, expected) in [(100, only(Stage::Routed, Kind::OutOfOrder, SALE)), (30, NOTHING)] {
        let mut audit = read(record(Phase::Progress, &[(0, 30)], None), (0..30).chain([38, 37, 39]));
        assert_eq!(found(&audit), NOTHING, "its loader will say");
        audit.record(BLOCK, record(Phase::Progress, &[(0, acknowledged)], None));
        assert_eq!(found(&audit), expected);
    }
}

#[test]
fn of_sales_that_went_through_the_shop_no_order_is_expected() {
    for (via, expected) in [(Via::Kafka, only(Stage::Routed, Kind::OutOfOrder, SALE)), (Via::Webapp, NOTHING)] {
        let load = Some(LoadRecord { began_at_us: 0, micro_rate: 1, length_us: 1, shape: 0, via });
        let record = BlockRecord { load, ..record(Phase::Progress, &[(0, 100)], None) };
        let audit = read(record, (0..30).chain([38, 37, 39]));
        assert_eq!(found(&audit), expected, "{via:?}");
    }
}

#[test]
fn a_fault_that_was_there_on_sales_is_put_down_to_it() {
    let mut audit = read(closed(), (0..LENGTH).chain([37]));
    assert_eq!(audit.cases().len(), 1);
    audit.finish(&audit.suspects());
    audit.close();
    assert_eq!(audit.account().done_blocks, 0, "not before it is looked up");
    audit.close_cases(&[Origin::Accepted(Kind::Duplicate)]);
    audit.close();
    assert_eq!((found(&audit), audit.account().done_blocks), (only(Stage::Accepted, Kind::Duplicate, SALE), 1));

    // Of a done block as well.
    sale(&mut audit, BLOCK.sale(40), State::Ca, 200);
    assert_eq!(found(&audit).0[1], (Stage::Routed, Kind::Duplicate, 1));
    audit.close_cases(&[Origin::Accepted(Kind::Duplicate)]);
    assert_eq!(found(&audit).0, [(Stage::Accepted, Kind::Duplicate, 2)]);
}
