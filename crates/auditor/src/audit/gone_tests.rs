//! What an auditor leaves of a Kafka that was replaced, and what the next one makes of it.

use kafka::blocks::Phase;
use petstore::BlockId;

use super::restart_tests::restore;
use super::tests::{BLOCK, audit, closed, found, put, record};
use super::*;
use crate::audit::bits::Bits;
use crate::audit::findings::{Kind, Stage, Tally};

const NEXT: BlockId = BlockId { block: 1, ..BLOCK };

fn of(installation: &str) -> Audit {
    let mut audit = audit([false, true], false);
    audit.of_kafka(installation.to_owned());
    audit
}

/// 100 sales are acknowledged, of which 90 are read, and 81 stored: one of those was not read. Of the next block, 5 are
/// acknowledged, and 3 and an unannounced one are stored, though nothing was read.
fn half_done() -> (Audit, HeldByStores) {
    let mut audit = of("old");
    audit.record(BLOCK, closed());
    audit.record(NEXT, record(Phase::Progress, &[(0, 5)], None));
    put(&mut audit, 0..90);
    let held = [(BLOCK, (0..80).chain([95]).collect()), (NEXT, (0..3).chain([7]).collect::<Bits>())];
    (audit, [HashMap::new(), HashMap::from(held)])
}

#[test]
fn what_did_not_arrive_is_lost_and_what_a_store_holds_is_not() {
    let (audit, held) = half_done();
    assert_eq!(audit.unsettled(), [BLOCK, NEXT]);
    let gone = audit.give_up(&held, 7);
    let tally =
        |expected, found, unknown| Tally { expected, found, lost: expected - found, unknown, ..Tally::default() };
    let routed = Tally { compared: 90, ..tally(94, 94, 1) };
    assert_eq!(gone.stages.at(Stage::Accepted), tally(105, 94, 0));
    assert_eq!(gone.stages.at(Stage::Routed), routed);
    assert_eq!(gone.stages.at(Stage::Stored), tally(95, 85, 0));
    assert_eq!(gone.losses(), "11 at accepted, 10 at stored");
    let first = gone.findings.iter().next().map(|finding| (finding.stage, finding.kind, finding.what.clone()));
    assert_eq!(first, Some((Stage::Accepted, Kind::Lost, BLOCK.sale(90).to_string())));
}

#[test]
fn of_a_store_that_does_not_answer_nothing_is_said() {
    let (audit, _) = half_done();
    let gone = audit.give_up(&HeldByStores::default(), 7);
    let stored = gone.stages.at(Stage::Stored);
    assert_eq!((stored.lost, stored.not_auditable, stored.late), (0, 90, 0));
}

#[test]
fn the_next_auditor_has_the_account_in_its_own_and_leaves_it_to_the_one_after() {
    let (audit, held) = half_done();
    let entries = audit.legacy(Some(audit.give_up(&held, 7))).unwrap();
    let lost = [(Stage::Accepted, Kind::Lost, 11), (Stage::Stored, Kind::Lost, 10)];

    let mut next = restore(&entries, || of("new"));
    assert_eq!(found(&next).0, lost);
    let account = next.account();
    let [earlier] = &account.earlier[..] else { panic!("{:?}", account.earlier) };
    assert_eq!((earlier.at_us, earlier.stages.counts(), earlier.findings), (7, account.counts.clone(), 21));
    let remark = &account.remarks[0];
    assert!(remark.contains("Kafka old was") && remark.contains("11 at accepted, 10 at stored"), "{remark}");
    assert!(account.auditable);
    next.record(BlockId { run: 2, ..BLOCK }, closed());
    assert_eq!(next.account().stages.at(Stage::Accepted).expected, 205);
    assert!(next.checkpoint().unwrap().unwrap().iter().all(|entry| !entry.key.starts_with("gone/")));

    let entries = next.legacy(Some(next.give_up(&HeldByStores::default(), 8))).unwrap();
    let keys: Vec<&str> = entries.iter().map(|entry| entry.key.as_str()).collect();
    assert_eq!(keys, ["gone/old", "gone/new"]);
    let newest = restore(&entries, || of("newest"));
    assert_eq!(newest.account().stages.at(Stage::Accepted).lost, 111);
    let keys: Vec<String> = next.legacy(None).unwrap().into_iter().map(|entry| entry.key).collect();
    assert_eq!(keys, ["gone/old"], "one that knows nothing of its own Kafka hands on what it was left");
}

#[test]
fn the_accounts_of_many_kafkas_are_added_up() {
    let mut next = of("0");
    for number in 1..=30 {
        next.record(BLOCK, closed());
        let entries = next.legacy(Some(next.give_up(&HeldByStores::default(), number))).unwrap();
        assert!(entries.len() <= 20, "{}", entries.len());
        next = restore(&entries, || of(&number.to_string()));
    }
    assert_eq!(next.account().stages.at(Stage::Accepted).lost, 3_000);
    next.store_adopted(30);
    assert!(next.account().remarks.iter().all(|remark| !remark.contains("can't be judged")));
}

#[test]
fn a_kafka_that_came_back_is_not_counted_twice() {
    let (audit, held) = half_done();
    let mut entries = audit.legacy(Some(audit.give_up(&held, 7))).unwrap();
    let mut same = restore(&entries, || of("old"));
    assert_eq!((found(&same), same.account().remarks), ((vec![], vec![]), vec![]));
    entries.extend(same.checkpoint().unwrap().unwrap());
    same.checkpoint_written();
    assert_eq!(found(&restore(&entries, || of("new"))).0, [], "it was removed");
}

#[test]
fn a_kafka_that_nobody_gave_account_of_is_remarked_on() {
    let (audit, held) = half_done();
    let entries = audit.legacy(Some(audit.give_up(&held, 7))).unwrap();
    let mut next = restore(&entries, || of("new"));
    next.store_adopted(1);
    assert_eq!(next.account().remarks.len(), 1);
    next.store_adopted(2);
    let remarks = next.account().remarks;
    assert!(remarks.iter().any(|remark| remark.contains("of an earlier Kafka can't be judged")), "{remarks:?}");
}

#[test]
fn a_checkpoint_of_another_kafka_is_not_used_and_is_removed() {
    let mut old = of("old");
    old.record(BLOCK, closed());
    old.malformed(Source::State(petstore::State::Ca), 7, "no headers");
    old.read_to(Source::State(petstore::State::Ca), 8);
    let mut entries = old.checkpoint().unwrap().unwrap();
    entries.extend(old.legacy(Some(old.give_up(&HeldByStores::default(), 7))).unwrap());
    assert_eq!(restore(&entries, || of("old")).account().stages.at(Stage::Routed).malformed, 1);

    let mut new = restore(&entries, || of("new"));
    assert_eq!(new.positions().at(Source::State(petstore::State::Ca)), 0);
    let stages = new.account().stages;
    assert_eq!((stages.at(Stage::Routed).malformed, stages.at(Stage::Accepted).lost), (1, 100), "as it was left, once");
    let written = new.checkpoint().unwrap().unwrap();
    assert_eq!(written[0], Entry { key: "checkpoint".to_owned(), value: None });
    entries.extend(written);
    assert_eq!(restore(&entries, || of("new")).account().stages, new.account().stages);
}
