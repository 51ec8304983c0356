//! Each fault gives its finding and nothing else.

use std::sync::LazyLock;
use std::time::Duration;

use kafka::Ranges;
use kafka::blocks::{BlockRecord, Phase};
use petstore::{BlockId, Parameters, Petstore, Sale, State};
use stores::postgres::Row;

use super::*;
use crate::audit::block::Fate;
use crate::audit::findings::{Kind, Stage, Tally};

pub(super) const BLOCK: BlockId = BlockId { run: 1, loader: 0, block: 0 };
pub(super) const NOW: i64 = 1_000_000;
/// Sales per block in these tests; the first half at home in California, the others in Texas.
pub(super) const LENGTH: u32 = 100;

fn home(index: u32) -> State {
    if index < LENGTH / 2 { State::Ca } else { State::Tx }
}

static SALES: LazyLock<Vec<Sale>> = LazyLock::new(|| {
    let parameters = Parameters { customers: 200, days: 20, ..Parameters::default() };
    let mut sales = Petstore::new(parameters).unwrap().block(BLOCK);
    sales.truncate(LENGTH as usize);
    for (index, sale) in (0..).zip(&mut sales) {
        (sale.store.state, sale.store.id) = (home(index), index / 10);
    }
    sales
});

/// What a block holds in these tests.
pub(super) fn model(id: BlockId) -> Vec<Sale> {
    SALES.iter().map(|sale| Sale { id: id.sale(sale.id.index), ..sale.clone() }).collect()
}

pub(super) fn audit(stores: [bool; 2], returned: bool) -> Audit {
    Audit::new(Watched { stores, returned }, Box::new(|_, id| Ok(model(id))))
}

/// Puts a record of a sale in, whose body is right if the model knows the sale.
pub(super) fn sale(audit: &mut Audit, id: SaleId, topic: State, offset: i64) {
    let body = SALES.get(id.index as usize).map(|sale| Sale { id, ..sale.clone() });
    say(audit, id, Source::State(topic), offset, &serde_json::to_vec(&body).unwrap());
}

/// Puts a receipt in.
fn receipt(audit: &mut Audit, index: u32, offset: i64) {
    let body = serde_json::to_vec(&model(BLOCK)[index as usize].receipt()).unwrap();
    say(audit, BLOCK.sale(index), Source::Receipts(0), offset, &body);
}

fn say(audit: &mut Audit, id: SaleId, source: Source, offset: i64, body: &[u8]) {
    let state = if let Source::State(state) = source { state } else { home(id.index) };
    audit.sale(Record { id, state, source, offset, body: Body::new(body) });
}

/// Has a store hold exactly this, in two passes: what is too much must have been passed by us as well.
fn hold(audit: &mut Audit, store: usize, present: impl IntoIterator<Item = u32>, rows: &[Row], repeated: u64) {
    let held = Held { present: present.into_iter().collect(), rows: rows.to_vec() };
    for _ in 0..2 {
        let Some(asked) = audit.ask(store, None, 10).pop() else { return };
        audit.store_said(store, &asked, &BTreeMap::new(), (held.present.count(), repeated));
        audit.store_verified(store, &asked, &held, BTreeMap::new());
    }
    audit.close();
}

pub(crate) fn record(phase: Phase, acknowledged: &[(u32, u32)], end: Option<u32>) -> BlockRecord {
    BlockRecord {
        incarnation: 1,
        parameters: Parameters::default(),
        phase,
        acknowledged: Ranges::from(acknowledged.to_vec()),
        end,
        load: None,
        reserved_at_us: NOW,
        updated_at_us: NOW,
    }
}

pub(super) fn closed() -> BlockRecord {
    record(Phase::Closed, &[(0, LENGTH)], Some(LENGTH))
}

/// Puts sales in, each at an offset that is its index; those given twice come at another one.
fn put(audit: &mut Audit, indices: impl IntoIterator<Item = u32>) {
    for (offset, index) in (0..).zip(indices) {
        sale(audit, BLOCK.sale(index), home(index), offset);
    }
}

/// A round of proof in which the fan-out has passed everything, and each missing sale met `fate`.
pub(super) fn prove(audit: &mut Audit, fate: Fate) {
    let suspects = audit.suspects();
    for missing in audit.convict(&suspects) {
        missing.indices.iter().for_each(|index| audit.sentence(missing.id, index, fate));
    }
    audit.end_round(&suspects);
    audit.close_cases(&vec![Origin::Routed; audit.cases().len()]);
    audit.close();
}

/// The account of blocks is read to its end.
fn know_blocks(audit: &mut Audit) {
    if let Some(unknown) = audit.unknown() {
        audit.blocks_are_known(unknown);
    }
}

/// Findings as (stage, kind, how many), and what the list names.
pub(super) fn found(audit: &Audit) -> (Vec<(Stage, Kind, u64)>, Vec<String>) {
    let account = audit.account();
    let counts = account.counts.iter().map(|count| (count.stage, count.kind, count.findings)).collect();
    (counts, account.findings.iter().map(|finding| finding.what.clone()).collect())
}

#[test]
fn a_block_that_arrived_whole_is_done_without_a_finding() {
    let mut audit = audit([false, false], false);
    audit.record(BLOCK, closed());
    put(&mut audit, 0..LENGTH);
    prove(&mut audit, Fate::LostByFanOut);
    let account = audit.account();
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
        let mut audit = audit([false, false], false);
        audit.record(BLOCK, closed());
        put(&mut audit, (0..LENGTH).filter(|index| *index != 37));
        assert_eq!(audit.account().stages.at(Stage::Routed).late, 1);
        assert_eq!(found(&audit), (vec![], vec![]), "slow is not lost");
        prove(&mut audit, fate);
        assert_eq!(found(&audit), (vec![(stage, kind, 1)], vec!["00000001/0/0/37".to_owned()]));
        let routed = audit.account().stages.at(Stage::Routed);
        assert_eq!((routed.found, routed.late, audit.account().open_blocks), (99, 0, 0));
    }
}

#[test]
fn one_sale_doubled_is_a_duplicate_and_no_loss() {
    let mut audit = audit([false, false], false);
    audit.record(BLOCK, closed());
    put(&mut audit, (0..LENGTH).chain([37]));
    prove(&mut audit, Fate::LostByFanOut);
    assert_eq!(found(&audit), (vec![(Stage::Routed, Kind::Duplicate, 1)], vec!["00000001/0/0/37".to_owned()]));
    let routed = audit.account().stages.at(Stage::Routed);
    assert_eq!((routed.expected, routed.found, routed.lost), (100, 100, 0));
}

#[test]
fn a_duplicate_does_not_hide_a_loss() {
    let mut audit = audit([false, false], false);
    audit.record(BLOCK, closed());
    put(&mut audit, (0..LENGTH).filter(|index| *index != 12).chain([37]));
    prove(&mut audit, Fate::LostByFanOut);
    let counts = vec![(Stage::Routed, Kind::Lost, 1), (Stage::Routed, Kind::Duplicate, 1)];
    assert_eq!(found(&audit).0, counts);
}

#[test]
fn a_sale_on_another_states_topic_is_misrouted_and_found() {
    let mut audit = audit([false, false], false);
    audit.record(BLOCK, closed());
    put(&mut audit, (0..LENGTH).filter(|index| *index != 37));
    sale(&mut audit, BLOCK.sale(37), State::Ny, 0);
    prove(&mut audit, Fate::LostByFanOut);
    assert_eq!(found(&audit), (vec![(Stage::Routed, Kind::Misrouted, 1)], vec!["00000001/0/0/37".to_owned()]));
}

#[test]
fn a_sale_that_nobody_sent_is_named() {
    // Behind the block's end, outside of the block, and of no block at all.
    let other = BlockId { block: 9, ..BLOCK };
    for stranger in [BLOCK.sale(60), BLOCK.sale(LENGTH), other.sale(0)] {
        let mut audit = audit([false, false], false);
        audit.record(BLOCK, record(Phase::Closed, &[(0, 60)], Some(60)));
        put(&mut audit, 0..60);
        sale(&mut audit, stranger, State::Tx, 60);
        know_blocks(&mut audit);
        prove(&mut audit, Fate::LostByFanOut);
        assert_eq!(found(&audit), (vec![(Stage::Routed, Kind::NeverSent, 1)], vec![stranger.to_string()]));
    }
}

#[test]
fn a_sale_that_nobody_sent_is_named_when_its_block_is_done_as_well() {
    // A block that was stopped early, and a whole one. What comes again of either was sent.
    for (acknowledged, strangers) in [(60, [70, LENGTH]), (LENGTH, [LENGTH, LENGTH + 1])] {
        let mut audit = audit([false, false], true);
        audit.record(BLOCK, record(Phase::Closed, &[(0, acknowledged)], Some(acknowledged)));
        put(&mut audit, 0..acknowledged);
        prove(&mut audit, Fate::LostByFanOut);
        assert_eq!(audit.account().done_blocks, 1);
        for stranger in strangers {
            sale(&mut audit, BLOCK.sale(stranger), State::Tx, 200 + i64::from(stranger));
        }
        sale(&mut audit, BLOCK.sale(1), State::Ca, 200);
        let mut named = strangers.map(|index| BLOCK.sale(index).to_string()).to_vec();
        named.push(BLOCK.sale(1).to_string());
        let counts = vec![(Stage::Routed, Kind::Duplicate, 1), (Stage::Routed, Kind::NeverSent, 2)];
        assert_eq!(found(&audit), (counts, named));
        // It was on `sales` so.
        let origins = vec![Origin::Accepted(Kind::NeverSent); 2];
        audit.close_cases(&origins);
        assert!(found(&audit).0.contains(&(Stage::Accepted, Kind::NeverSent, 2)), "{:?}", found(&audit));
    }
}

#[test]
fn a_new_model_leaves_what_was_judged_before_as_it_is_and_counts_what_was_not() {
    let mut audit = audit([false, false], false);
    audit.record(BLOCK, closed());
    put(&mut audit, 0..LENGTH);
    prove(&mut audit, Fate::LostByFanOut);
    let other = BlockId { block: 1, ..BLOCK };
    sale(&mut audit, other.sale(0), State::Ca, 100);
    for id in [BLOCK, other] {
        audit.of_another_release(id);
    }
    audit.unreadable(BLOCK);
    sale(&mut audit, other.sale(1), State::Ca, 101);
    know_blocks(&mut audit);
    let account = audit.account();
    assert_eq!((found(&audit), account.auditable, account.other_release_blocks), ((vec![], vec![]), true, 1));
    assert_eq!((account.done_blocks, account.remarks.len()), (1, 1), "{:?}", account.remarks);
}

#[test]
fn a_sale_that_comes_before_its_block_is_known_waits_for_it() {
    let mut audit = audit([false, false], false);
    put(&mut audit, 0..LENGTH);
    assert_eq!((audit.waiting(), found(&audit)), (100, (vec![], vec![])));
    assert!(audit.checkpoint().unwrap().is_none(), "what waits is in no checkpoint");
    audit.record(BLOCK, closed());
    prove(&mut audit, Fate::LostByFanOut);
    assert_eq!((found(&audit), audit.account().done_blocks), ((vec![], vec![]), 1));
}

#[test]
fn a_sale_that_came_after_the_account_of_blocks_was_asked_for_still_waits() {
    let (other, third) = (BlockId { block: 1, ..BLOCK }, BlockId { block: 2, ..BLOCK });
    let mut audit = audit([false, false], false);
    sale(&mut audit, BLOCK.sale(0), State::Ca, 0);
    sale(&mut audit, other.sale(0), State::Ca, 1);
    let unknown = audit.unknown().unwrap();
    sale(&mut audit, third.sale(0), State::Ca, 2);
    audit.record(BLOCK, closed());
    audit.blocks_are_known(unknown);
    let named = vec!["00000001/0/1/0".to_owned()];
    assert_eq!((found(&audit), audit.waiting()), ((vec![(Stage::Routed, Kind::NeverSent, 1)], named), 1));
}

#[test]
fn however_many_sales_wait_for_their_block_none_is_judged_and_reading_pauses() {
    let mut audit = audit([false, false], true);
    let sources = Source::all(1);
    audit.follow(sources.clone());
    let rests = |audit: &Audit| audit.rest(&vec![false; sources.len()]);
    assert!(!rests(&audit).contains(&true));
    for offset in 0..70_000 {
        say(&mut audit, BLOCK.sale(0), Source::State(State::Ca), offset, b"{}");
    }
    assert_eq!((audit.waiting(), found(&audit).0), (70_000, vec![]));
    for (source, rests) in sources.iter().zip(rests(&audit)) {
        assert_eq!(rests, *source != Source::Rejected, "{source}");
    }
    know_blocks(&mut audit);
    assert!(!rests(&audit).contains(&true));
}

#[test]
fn of_a_cut_block_what_was_not_acknowledged_may_be_there_once() {
    let mut audit = audit([false, false], false);
    audit.record(BLOCK, record(Phase::Progress, &[(0, 50)], None));
    put(&mut audit, 0..53);
    assert_eq!(audit.account().stages.at(Stage::Routed).unknown, 0, "its loader will say");
    audit.record(BLOCK, record(Phase::Cut, &[(0, 50)], None));
    prove(&mut audit, Fate::LostByFanOut);
    assert_eq!(found(&audit).0, vec![]);
    let routed = audit.account().stages.at(Stage::Routed);
    assert_eq!((routed.expected, routed.found, routed.unknown), (50, 50, 3));

    sale(&mut audit, BLOCK.sale(53), State::Tx, 53);
    assert_eq!((found(&audit).0, audit.account().stages.at(Stage::Routed).unknown), (vec![], 4));
    sale(&mut audit, BLOCK.sale(53), State::Tx, 54);
    assert_eq!(found(&audit).0, vec![(Stage::Routed, Kind::Duplicate, 1)]);
}

#[test]
fn a_loader_that_never_comes_back_is_judged_as_if_its_block_had_been_cut() {
    let mut audit = audit([false, false], false);
    let reserved = BlockId { block: 1, ..BLOCK };
    audit.record(BLOCK, record(Phase::Progress, &[(0, 50)], None));
    audit.record(reserved, record(Phase::Reserved, &[], None));
    put(&mut audit, (0..53).filter(|index| *index != 7));
    listen(&mut audit, 115);
    // Its last word on any block counts, and while Kafka is away nobody is silent.
    audit.record(reserved, record(Phase::Reserved, &[], None));
    audit.listened(Duration::from_hours(1));
    listen(&mut audit, 105);
    prove(&mut audit, Fate::LostByFanOut);
    let speaks = audit.account();
    assert_eq!((speaks.stages.at(Stage::Routed).unknown, speaks.open_blocks), (0, 2));

    listen(&mut audit, 10);
    prove(&mut audit, Fate::LostByFanOut);
    let silent = audit.account();
    assert_eq!((silent.stages.at(Stage::Routed).unknown, silent.open_blocks, silent.done_blocks), (3, 0, 2));
    assert_eq!(found(&audit), (vec![(Stage::Routed, Kind::Lost, 1)], vec!["00000001/0/0/7".to_owned()]));
}

/// The account of blocks is read to its end every five seconds for so long.
fn listen(audit: &mut Audit, seconds: u64) {
    (0..seconds / 5).for_each(|_| audit.listened(Duration::from_secs(5)));
}

#[test]
fn a_loader_that_was_taken_for_gone_and_says_more_is_heard() {
    let mut audit = audit([true, false], false);
    audit.record(BLOCK, record(Phase::Progress, &[(0, 50)], None));
    put(&mut audit, 0..50);
    listen(&mut audit, 125);
    prove(&mut audit, Fate::LostByFanOut);
    audit.record(BLOCK, record(Phase::Closed, &[(0, 60)], Some(60)));
    hold(&mut audit, 0, 0..50, &[], 0);
    assert_eq!(audit.account().open_blocks, 1, "ten more are to come");
    prove(&mut audit, Fate::LostByFanOut);
    hold(&mut audit, 0, 0..50, &[], 0);
    assert_eq!((found(&audit).0, audit.account().done_blocks), (vec![(Stage::Routed, Kind::Lost, 10)], 1));
}

#[test]
fn what_a_store_may_have_forgotten_is_not_lost_there() {
    let mut audit = whole([true, true], false);
    audit.store_forgets(0, NOW);
    assert_eq!(audit.ask(0, None, 10).len(), 1);
    audit.store_forgets(0, NOW + 1);
    assert!(audit.ask(0, None, 10).is_empty());
    hold(&mut audit, 1, 0..LENGTH, &rows(), 0);
    assert_eq!((found(&audit).0, audit.account().done_blocks), (vec![], 1));

    // What it was seen to have before stays said.
    let mut audit = whole([true, true], false);
    hold(&mut audit, 0, 0..LENGTH, &[], 0);
    audit.store_forgets(0, NOW + 1);
    let cached = audit.account().stages.at(Stage::Cached);
    assert_eq!((audit.ask(0, None, 10).len(), cached.expected, cached.found), (0, 100, 100));
}

#[test]
fn a_loss_in_a_block_that_is_still_being_sent_is_found() {
    let mut audit = audit([false, false], false);
    audit.record(BLOCK, record(Phase::Progress, &[(0, 50)], None));
    put(&mut audit, (0..60).filter(|index| *index != 7));
    prove(&mut audit, Fate::LostByFanOut);
    assert_eq!(found(&audit), (vec![(Stage::Routed, Kind::Lost, 1)], vec!["00000001/0/0/7".to_owned()]));
    prove(&mut audit, Fate::LostByFanOut);
    assert_eq!(found(&audit).0, vec![(Stage::Routed, Kind::Lost, 1)], "once");

    sale(&mut audit, BLOCK.sale(7), State::Ca, 99);
    let behind = (vec![(Stage::Routed, Kind::OutOfOrder, 1)], vec!["00000001/0/0/7".to_owned()]);
    assert_eq!(found(&audit), behind, "whoever was wrong takes it back; but it came too late");
}

#[test]
fn where_a_log_was_deleted_nothing_is_called_lost() {
    let mut audit = audit([false, false], false);
    audit.record(BLOCK, closed());
    assert_eq!(audit.begin(Source::State(State::Ca), 40, 50, NOW + 1), 40);
    put(&mut audit, 40..LENGTH);
    prove(&mut audit, Fate::LostByFanOut);
    let account = audit.account();
    assert_eq!(found(&audit), (vec![], vec![]));
    assert_eq!((account.stages.at(Stage::Routed).not_auditable, account.auditable), (40, false));
}

#[test]
fn where_kafka_overtook_the_auditor_every_log_is_read_on_and_later_blocks_are_judged() {
    let later = BlockId { block: 1, ..BLOCK };
    let mut audit = audit([false, false], false);
    let sources = Source::all(0);
    audit.follow(sources.clone());
    audit.record(BLOCK, closed());
    put(&mut audit, 0..10);
    audit.read_to(Source::State(State::Ca), 10);
    audit.read_to(Source::State(State::Tx), 3);
    let at = |state: State, offset: i64| {
        let of = |source: &Source| if *source == Source::State(state) { offset } else { 0 };
        sources.iter().map(of).collect::<Vec<i64>>()
    };
    let ends: Vec<i64> = sources.iter().map(|_| 200).collect();
    let starts = audit.go_on(&at(State::Ca, 40), &ends, NOW + 1).unwrap();
    for (source, start) in sources.iter().zip(starts) {
        let expected = match source {
            Source::State(State::Ca) => 40,
            Source::State(State::Tx) => 3,
            _ => 0,
        };
        assert_eq!(start, expected, "{source}");
    }
    put(&mut audit, 40..LENGTH);
    audit.record(later, BlockRecord { reserved_at_us: NOW + 2, ..closed() });
    (0..LENGTH - 1).for_each(|index| sale(&mut audit, later.sale(index), home(index), (LENGTH + index).into()));
    prove(&mut audit, Fate::LostByFanOut);
    let account = audit.account();
    assert_eq!(found(&audit), (vec![(Stage::Routed, Kind::Lost, 1)], vec![later.sale(LENGTH - 1).to_string()]));
    assert_eq!((account.stages.at(Stage::Routed).not_auditable, account.done_blocks), (30, 2));
    assert!(account.remarks[0].starts_with("Kafka deleted 30 records"), "{:?}", account.remarks);

    let emptied = audit.go_on(&at(State::Ca, 0), &at(State::Ca, 5), NOW).unwrap_err().to_string();
    assert!(emptied.contains("ends at 5, and was read to 40"), "{emptied}");
}

#[test]
fn the_auditors_own_backlog_has_a_name_of_its_own_and_is_said_in_words() {
    let mut audit = audit([false, false], false);
    audit.follow(Source::all(0));
    audit.end_at(&vec![5_000; 52]);
    audit.read_to(Source::State(State::Ca), 4_000);
    let account = audit.account();
    assert_eq!(account.position.audit_backlog, 256_000);
    assert!(account.remarks[0].contains("256000 records still to read"), "{:?}", account.remarks);
}

#[test]
fn a_store_is_judged_by_its_own_position() {
    let mut audit = audit([false, true], false);
    audit.record(BLOCK, record(Phase::Progress, &[(0, 50)], None));
    put(&mut audit, 0..50);
    let asked = audit.ask(1, None, 10).remove(0);
    let passed = |next| asked.is_passed_by(&BTreeMap::from([(State::Ca, next)]));
    assert!(!passed(49) && passed(50) && !asked.is_passed_by(&BTreeMap::new()));

    audit.store_said(1, &asked, &BTreeMap::new(), (47, 0));
    let stored = audit.account().stages.at(Stage::Stored);
    assert_eq!((stored.expected, stored.found, stored.late, stored.lost), (50, 47, 3, 0));

    audit.store_holds(1, &asked, &(0..50).filter(|index| ![3, 4, 9].contains(index)).collect());
    let stored = audit.account().stages.at(Stage::Stored);
    assert_eq!((stored.found, stored.late, stored.lost), (47, 0, 3));
    let named = ["00000001/0/0/3", "00000001/0/0/4", "00000001/0/0/9"].map(str::to_owned).to_vec();
    assert_eq!(found(&audit), (vec![(Stage::Stored, Kind::Lost, 3)], named));
}

#[test]
fn a_store_that_is_ahead_of_the_auditor_does_not_hide_what_it_lost_behind_what_is_still_to_be_read() {
    let mut audit = audit([false, true], true);
    audit.record(BLOCK, record(Phase::Progress, &[(0, 50)], None));
    put(&mut audit, 0..40);
    audit.read_to(Source::State(State::Ca), 40);
    let asked = audit.ask(1, None, 10).remove(0);
    // Of the first 40 it lost one, and it has ten more.
    let (found_there, ahead) = (49, BTreeMap::from([(State::Ca, 50)]));
    audit.store_has_all(1, &asked, found_there, &ahead);
    assert!(audit.unreturned().is_empty(), "nothing is known for certain");
    put(&mut audit, 40..50);
    audit.read_to(Source::State(State::Ca), 50);
    audit.store_has_all(1, &asked, found_there, &ahead);
    assert!(audit.unreturned().is_empty(), "50 were seen by now");
    audit.store_has_all(1, &asked, 50, &ahead);
    let unreturned = audit.unreturned();
    audit.convict_returned(&unreturned);
    assert_eq!(found(&audit).0, vec![(Stage::Returned, Kind::Lost, 40)]);
}

#[test]
fn a_block_is_done_when_every_watched_store_has_it() {
    let mut audit = whole([true, true], false);
    for store in [0, 1] {
        assert_eq!(audit.account().open_blocks, 1);
        hold(&mut audit, store, 0..LENGTH, &rows(), 0);
    }
    assert_eq!((audit.account().done_blocks, found(&audit).0), (1, vec![]));
    assert_eq!(audit.account().stages.at(Stage::Stored).compared, 100);
}

#[test]
fn a_store_that_was_given_a_sale_twice_has_a_duplicate() {
    let mut audit = whole([true, false], false);
    hold(&mut audit, 0, 0..LENGTH, &[], 1);
    assert_eq!(found(&audit), (vec![(Stage::Cached, Kind::Duplicate, 1)], vec!["block 00000001/0/0".to_owned()]));
}

/// A closed block that was routed whole, and is finished there.
fn whole(stores: [bool; 2], returned: bool) -> Audit {
    let mut audit = audit(stores, returned);
    audit.record(BLOCK, closed());
    put(&mut audit, 0..LENGTH);
    prove(&mut audit, Fate::LostByFanOut);
    audit
}

fn rows() -> Vec<Row> {
    let row = |sale: &Sale| Row { index: sale.id.index, digest: petstore::digest(sale), receipt: Ok(sale.receipt()) };
    model(BLOCK).iter().map(row).collect()
}

/// One finding, of sale 37.
fn only(stage: Stage, kind: Kind) -> (Vec<(Stage, Kind, u64)>, Vec<String>) {
    (vec![(stage, kind, 1)], vec!["00000001/0/0/37".to_owned()])
}

#[test]
fn a_row_that_was_changed_is_altered_and_one_that_nobody_sent_is_named() {
    for change in [
        (|row| row.digest ^= 1) as fn(&mut Row),
        |row| row.receipt.as_mut().unwrap().cents += 1,
        |row| row.receipt.as_mut().unwrap().items.clear(),
        |row| row.receipt = Err("state is \"zz\"".to_owned()),
    ] {
        let (mut audit, mut rows) = (whole([false, true], false), rows());
        change(&mut rows[37]);
        hold(&mut audit, 1, 0..LENGTH, &rows, 0);
        assert_eq!((found(&audit), audit.account().done_blocks), (only(Stage::Stored, Kind::Altered), 1));
    }
    // Instead of one that is missing: numbers alone would not tell.
    let mut audit = whole([false, true], false);
    hold(&mut audit, 1, (0..LENGTH).filter(|index| *index != 37).chain([777]), &rows(), 0);
    let counts = vec![(Stage::Stored, Kind::Lost, 1), (Stage::Stored, Kind::NeverSent, 1)];
    let named = ["00000001/0/0/37", "00000001/0/0/777"].map(str::to_owned).to_vec();
    assert_eq!(found(&audit), (counts, named));
}

#[test]
fn what_a_store_has_before_we_read_it_is_no_finding() {
    let mut audit = audit([false, true], false);
    audit.record(BLOCK, record(Phase::Cut, &[(0, 50)], None));
    put(&mut audit, 0..50);
    prove(&mut audit, Fate::LostByFanOut);
    let held = Held { present: (0..51).collect(), rows: Vec::new() };
    let ahead = BTreeMap::from([(State::Tx, 900)]);
    for _ in 0..3 {
        let asked = audit.ask(1, None, 10).remove(0);
        assert!(audit.is_more(&asked, &held.present));
        audit.store_verified(1, &asked, &held, ahead.clone());
    }
    assert_eq!((found(&audit).0, audit.account().done_blocks), (vec![], 0));
    sale(&mut audit, BLOCK.sale(50), State::Tx, 800);
    audit.read_to(Source::State(State::Tx), 900);
    hold(&mut audit, 1, 0..51, &[], 0);
    assert_eq!((found(&audit).0, audit.account().done_blocks), (vec![], 1));
}

#[test]
fn a_body_that_is_altered_or_broken_is_found_once_and_at_its_stage() {
    for (body, kind) in [("altered", Kind::Altered), ("{", Kind::Malformed)] {
        let mut audit = audit([false, true], false);
        audit.record(BLOCK, closed());
        put(&mut audit, (0..LENGTH).filter(|index| *index != 37));
        let altered = Sale { cents: 1, ..model(BLOCK)[37].clone() };
        let body = if body == "altered" { serde_json::to_vec(&altered).unwrap() } else { body.into() };
        say(&mut audit, BLOCK.sale(37), Source::State(State::Ca), 100, &body);
        prove(&mut audit, Fate::LostByFanOut);
        // A sink stores what was altered, and leaves out what is broken.
        let kept: Vec<u32> = (0..LENGTH).filter(|index| kind == Kind::Altered || *index != 37).collect();
        let mut rows = rows();
        rows[37] = Row { index: 37, digest: petstore::digest(&altered), receipt: Ok(altered.receipt()) };
        rows.retain(|row| kept.contains(&row.index));
        hold(&mut audit, 1, kept, &rows, 0);
        // It came late besides: behind 38 and 39 of its store.
        let (mut counts, _) = found(&audit);
        counts.retain(|(_, kind, _)| *kind != Kind::OutOfOrder);
        assert_eq!((counts, audit.account().done_blocks), (vec![(Stage::Routed, kind, 1)], 1));
    }
}

#[test]
fn a_sale_behind_a_later_one_of_its_store_is_out_of_order_if_it_was_acknowledged() {
    for (acknowledged, finding) in [(100, true), (30, false)] {
        let mut audit = audit([false, false], false);
        audit.record(BLOCK, record(Phase::Progress, &[(0, 30)], None));
        put(&mut audit, (0..30).chain([38, 37, 39]));
        assert_eq!(found(&audit), (vec![], vec![]), "its loader will say");
        audit.record(BLOCK, record(Phase::Progress, &[(0, acknowledged)], None));
        let expected = if finding { only(Stage::Routed, Kind::OutOfOrder) } else { (vec![], vec![]) };
        assert_eq!(found(&audit), expected);
    }
}

#[test]
fn a_fault_that_was_there_on_sales_is_put_down_to_it() {
    let mut audit = audit([false, false], false);
    audit.record(BLOCK, closed());
    put(&mut audit, (0..LENGTH).chain([37]));
    assert_eq!(audit.cases().len(), 1);
    audit.end_round(&audit.suspects());
    audit.close();
    assert_eq!(audit.account().done_blocks, 0, "not before it is looked up");
    audit.close_cases(&[Origin::Accepted(Kind::Duplicate)]);
    audit.close();
    assert_eq!((found(&audit), audit.account().done_blocks), (only(Stage::Accepted, Kind::Duplicate), 1));

    // Of a done block as well.
    sale(&mut audit, BLOCK.sale(40), State::Ca, 200);
    assert_eq!(found(&audit).0[1], (Stage::Routed, Kind::Duplicate, 1));
    audit.close_cases(&[Origin::Accepted(Kind::Duplicate)]);
    assert_eq!(found(&audit).0, [(Stage::Accepted, Kind::Duplicate, 2)]);
}

#[test]
fn what_is_stored_must_come_back_once_unaltered_and_in_order() {
    for (kind, fault) in [
        (None, (|_| {}) as fn(&mut Vec<u32>)),
        (Some(Kind::Lost), |indices| indices.retain(|index| *index != 37)),
        (Some(Kind::Duplicate), |indices| indices.push(37)),
        (Some(Kind::OutOfOrder), |indices| indices.swap(37, 38)),
    ] {
        let mut audit = whole([false, true], true);
        let mut indices: Vec<u32> = (0..LENGTH).collect();
        fault(&mut indices);
        (0..).zip(indices).for_each(|(offset, index)| receipt(&mut audit, index, offset));
        hold(&mut audit, 1, 0..LENGTH, &rows(), 0);
        let suspects = audit.unreturned();
        assert!(found(&audit).0.iter().all(|(_, kind, _)| *kind != Kind::Lost), "slow is not lost");
        audit.convict_returned(&suspects);
        audit.close();
        let expected = kind.map_or((vec![], vec![]), |kind| only(Stage::Returned, kind));
        assert_eq!((found(&audit), audit.account().done_blocks), (expected, 1), "{kind:?}");
    }
}

#[test]
fn a_receipt_of_what_was_never_routed_is_named_and_one_that_is_altered() {
    let mut audit = audit([false, true], true);
    audit.record(BLOCK, record(Phase::Closed, &[(0, 37)], Some(37)));
    put(&mut audit, 0..37);
    (0..38).for_each(|index| receipt(&mut audit, index, index.into()));
    assert_eq!(found(&audit), (vec![], vec![]), "it may be routed and not read as yet");
    prove(&mut audit, Fate::LostByFanOut);
    assert_eq!(found(&audit), only(Stage::Returned, Kind::NeverSent));

    let mut audit = whole([false, true], true);
    let altered = serde_json::to_vec(&petstore::Receipt { cents: 1, ..model(BLOCK)[37].receipt() }).unwrap();
    say(&mut audit, BLOCK.sale(37), Source::Receipts(0), 0, &altered);
    assert_eq!(found(&audit), only(Stage::Returned, Kind::Altered));
    assert!(audit.account().findings[0].detail.contains("/cents: "), "{:?}", audit.account().findings);
    // Unless it was stored so.
    let mut rows = rows();
    rows[37].receipt.as_mut().unwrap().cents = 1;
    hold(&mut audit, 1, 0..LENGTH, &rows, 0);
    assert_eq!(found(&audit), only(Stage::Stored, Kind::Altered));
}

#[test]
fn a_block_that_nobody_reserved_is_strange_where_it_was_first() {
    let strange = BlockId { block: 9, ..BLOCK };
    let mut audit = audit([false, true], false);
    assert_eq!(audit.strange_blocks(Stage::Stored, &[strange]), [strange]);
    audit.strange_block(Stage::Stored, strange, 3);
    assert_eq!((audit.strange_blocks(Stage::Stored, &[strange]), found(&audit).0), (vec![], vec![]));
    know_blocks(&mut audit);
    let named = vec!["block 00000001/0/9".to_owned()];
    assert_eq!(found(&audit), (vec![(Stage::Stored, Kind::NeverSent, 3)], named));

    sale(&mut audit, strange.sale(0), State::Tx, 60);
    know_blocks(&mut audit);
    assert_eq!(found(&audit), (vec![(Stage::Routed, Kind::NeverSent, 1)], vec!["00000001/0/9/0".to_owned()]));
}
