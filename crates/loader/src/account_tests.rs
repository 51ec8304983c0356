use kafka::Ranges;
use kafka::blocks::Via;

use super::*;

fn account() -> Account {
    let load = LoadRecord { began_at_us: 400, micro_rate: 1, length_us: 2, shape: 0, via: Via::Kafka };
    let owner = Owner { run: 0xab, loader: 3, incarnation: 9, parameters: Parameters::default(), load };
    Account::new(owner, 17)
}

/// Publishes what is new, as if Kafka had committed it.
fn publish(account: &mut Account) -> Vec<(BlockId, BlockRecord)> {
    let draft = account.draft(1_000, false);
    account.committed(&draft);
    draft.records
}

fn id(block: u32) -> BlockId {
    BlockId { run: 0xab, loader: 3, block }
}

/// What a record says, in short: number, phase, acknowledged, end.
type Brief = (u32, Phase, Vec<(u32, u32)>, Option<u32>);

fn brief(records: &[(BlockId, BlockRecord)]) -> Vec<Brief> {
    let ranges = |ranges: &Ranges| ranges.clone().into();
    records.iter().map(|(id, record)| (id.block, record.phase, ranges(&record.acknowledged), record.end)).collect()
}

#[test]
fn a_block_is_sent_only_after_its_reservation_is_committed() {
    let mut account = account();
    account.reserve(1.0, 500);
    let draft = account.draft(600, false);
    assert_eq!(brief(&draft.records), [(17, Phase::Reserved, vec![], None), (18, Phase::Reserved, vec![], None)]);
    assert_eq!((draft.records[0].1.reserved_at_us, draft.records[0].1.updated_at_us), (500, 600));
    assert_eq!(draft.records[1].1.load.unwrap().began_at_us, 400);
    assert_eq!(account.counts().reserved, 0);
    assert_eq!(account.committed(&draft), [id(17), id(18)]);
    assert_eq!(account.counts(), Counts { reserved: 2, closed: 0 });
    assert!(account.draft(700, false).records.is_empty(), "nothing is new");
}

#[test]
fn a_draft_that_failed_is_drawn_up_again() {
    let mut account = account();
    account.reserve(1.0, 500);
    drop(account.draft(600, false));
    let draft = account.draft(700, false);
    assert_eq!(draft.records.len(), 2);
    assert_eq!(account.committed(&draft).len(), 2);
}

#[test]
fn reservations_run_ahead_by_sales_and_by_one_block() {
    let mut account = account();
    account.reserve(9_000.0, 0);
    assert_eq!(publish(&mut account).len(), 6, "1 + 9000 sales in blocks of 2000");
    account.reserve(9_000.0, 0);
    assert!(publish(&mut account).is_empty());
    account.begin(17, 0);
    account.finish(17, 9_000);
    account.reserve(9_000.0, 0);
    assert!(publish(&mut account).iter().all(|(id, _)| id.block == 17), "5 blocks of 9000 are more than enough");
    for number in 18..22 {
        account.begin(number, 0);
    }
    account.reserve(9_000.0, 0);
    assert_eq!(publish(&mut account).iter().filter(|(id, _)| id.block == 23).count(), 1);
}

#[test]
fn a_block_goes_from_reserved_over_progress_to_closed() {
    let mut account = account();
    account.reserve(1.0, 0);
    publish(&mut account);
    account.begin(17, 40);
    assert_eq!(account.acknowledged(17, 0), Some(40));
    assert_eq!(account.acknowledged(17, 2), Some(42));
    assert_eq!(brief(&publish(&mut account)), [(17, Phase::Progress, vec![(0, 1), (2, 3)], None)]);
    account.finish(17, 4);
    account.acknowledged(17, 3);
    assert_eq!(brief(&publish(&mut account)), [(17, Phase::Progress, vec![(0, 1), (2, 4)], None)]);
    account.acknowledged(17, 1);
    assert_eq!(brief(&publish(&mut account)), [(17, Phase::Closed, vec![(0, 4)], None)]);
    assert_eq!(account.counts().closed, 1);
    assert!(account.has_unused(), "block 18");
}

#[test]
fn what_comes_while_a_draft_is_being_committed_is_in_the_next() {
    let mut account = account();
    account.reserve(1.0, 0);
    publish(&mut account);
    account.begin(17, 0);
    account.acknowledged(17, 0);
    let draft = account.draft(1, false);
    account.acknowledged(17, 1);
    account.committed(&draft);
    assert_eq!(brief(&publish(&mut account)), [(17, Phase::Progress, vec![(0, 2)], None)]);
}

#[test]
fn a_sale_that_failed_is_settled_but_never_acknowledged() {
    let mut account = account();
    account.reserve(1.0, 0);
    publish(&mut account);
    account.begin(17, 0);
    account.acknowledged(17, 1);
    account.failed(17);
    account.finish(17, 2);
    assert_eq!(brief(&publish(&mut account)), [(17, Phase::Closed, vec![(1, 2)], None)]);
}

#[test]
fn a_graceful_stop_says_where_it_stopped() {
    let mut account = account();
    account.reserve(4_000.0, 0);
    publish(&mut account);
    account.begin(17, 0);
    account.acknowledged(17, 0);
    account.stop(Some((17, 2)));
    let closed = |number| (number, Phase::Closed, vec![], Some(0));
    assert_eq!(brief(&publish(&mut account)), [(17, Phase::Progress, vec![(0, 1)], None), closed(18), closed(19)]);
    account.acknowledged(17, 1);
    assert_eq!(brief(&publish(&mut account)), [(17, Phase::Closed, vec![(0, 2)], Some(2))]);
    assert!(account.is_closed());
}

#[test]
fn a_stop_that_can_wait_no_longer_closes_with_what_is_known() {
    let mut account = account();
    account.reserve(1.0, 0);
    publish(&mut account);
    account.begin(17, 0);
    account.acknowledged(17, 0);
    account.stop(Some((17, 3)));
    publish(&mut account);
    assert!(!account.is_closed());
    account.give_up();
    assert_eq!(brief(&publish(&mut account)), [(17, Phase::Closed, vec![(0, 1)], Some(3))]);
    assert!(account.is_closed());
}

#[test]
fn a_block_that_was_never_published_is_closed_as_well() {
    let mut account = account();
    account.reserve(1.0, 0);
    account.stop(None);
    let closed = |number| (number, Phase::Closed, vec![], Some(0));
    account.reserve(1.0, 0);
    assert_eq!(brief(&publish(&mut account)), [closed(17), closed(18)]);
    assert!(account.is_closed());
}

#[test]
fn a_loader_without_news_still_gives_a_sign_of_life() {
    let mut account = account();
    account.reserve(1.0, 0);
    publish(&mut account);
    let draft = account.draft(77, true);
    assert_eq!(brief(&draft.records), [(17, Phase::Reserved, vec![], None)]);
    assert_eq!(draft.records[0].1.updated_at_us, 77);
}

#[test]
fn the_position_is_the_first_sale_without_an_answer() {
    let mut account = account();
    assert_eq!(account.settled(), None);
    account.reserve(1.0, 0);
    publish(&mut account);
    account.begin(17, 100);
    assert_eq!(account.settled(), Some(100));
    account.acknowledged(17, 0);
    account.acknowledged(17, 2);
    assert_eq!(account.settled(), Some(101));
    account.acknowledged(17, 1);
    account.finish(17, 3);
    account.begin(18, 103);
    account.acknowledged(18, 0);
    assert_eq!(account.settled(), Some(104));
}

#[test]
fn an_answer_to_what_is_no_longer_open_is_ignored() {
    let mut account = account();
    assert_eq!(account.acknowledged(3, 0), None);
    account.failed(99);
    assert!(account.draft(0, false).records.is_empty());
}
