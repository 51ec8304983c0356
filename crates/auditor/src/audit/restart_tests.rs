//! A restart changes nothing.

use kafka::blocks::Phase;
use petstore::{BlockId, State};

use super::checkpoint::Checkpoint;
use super::tests::{BLOCK, LENGTH, audit, closed, found, model, prove, record, sale, watched};
use super::*;
use crate::audit::block::Fate;
use crate::audit::findings::{Kind, Stage};
use crate::model::tests::MadeUp;

#[test]
fn a_restart_from_the_checkpoint_gives_the_same_account() {
    let two = BlockId { block: 1, ..BLOCK };
    let three = BlockId { block: 2, ..BLOCK };
    // One whole block, one with a loss and a stray record, one open and out of order; read up to the offset `to`.
    let read = |audit: &mut Audit, from: i64, to: i64| {
        for (offset, index) in
            (0..300).zip((0..3).flat_map(|_| 0..LENGTH)).filter(|(offset, _)| (from..to).contains(offset))
        {
            let block = [BLOCK, two, three][usize::try_from(offset).unwrap() / 100];
            let index = match offset {
                210 => 11,
                211 => 10,
                _ => index,
            };
            if block != two || index != 5 {
                sale(audit, block.sale(index), State::Ca, offset);
            }
        }
        if (from..to).contains(&300) {
            audit.malformed(Source::State(State::Ca), 300, "no headers");
        }
        audit.read_to(Source::State(State::Ca), to);
    };
    let blocks = |audit: &mut Audit| {
        audit.record(BLOCK, closed());
        audit.record(two, closed());
        audit.record(three, record(Phase::Progress, &[(0, 40)], None));
    };
    let all_in_california = |id| {
        let mut sales = model(id);
        for sale in &mut sales {
            sale.store.state = State::Ca;
        }
        sales
    };
    let fresh = || Audit::new(watched([false, false], false), Box::new(MadeUp(all_in_california)));
    let mut first = fresh();
    blocks(&mut first);
    read(&mut first, 0, 301);
    prove(&mut first, Fate::LostByFanOut);
    let entries = first.checkpoint().unwrap().unwrap();
    first.checkpoint_written();

    let checkpoint: Checkpoint = serde_json::from_slice(entries[0].value.as_deref().unwrap()).unwrap();
    let log = checkpoint.logs.iter().find(|(source, _)| *source == Source::State(State::Ca)).unwrap().1;
    assert_eq!((log.needed, log.read), (200, 301), "the open block is read again, the done ones are not");
    let mut second = restore(&entries, fresh);
    blocks(&mut second);
    read(&mut second, 150, 301);
    prove(&mut second, Fate::LostByFanOut);
    let without_position = |audit: &Audit| {
        let account = audit.account();
        (account.stages, account.open_blocks, account.done_blocks, found(audit))
    };
    assert_eq!(without_position(&second), without_position(&first));
    assert!(found(&second).0.contains(&(Stage::Routed, Kind::OutOfOrder, 1)), "{:?}", found(&second));

    for audit in [&mut first, &mut second] {
        sale(audit, BLOCK.sale(7), State::Ca, 301);
        assert_eq!(found(audit).0[1], (Stage::Routed, Kind::Duplicate, 1), "a late duplicate of a done block");
    }
}

pub(super) fn restore(entries: &[Entry], fresh: impl Fn() -> Audit) -> Audit {
    let mut restoring = Restoring::default();
    for entry in entries {
        restoring.take(&entry.key, entry.value.as_deref());
    }
    restoring.finish(fresh).0
}

#[test]
fn a_block_that_was_folded_into_its_loaders_is_counted_once_though_its_older_record_is_still_there() {
    let odd =
        entry(&format!("block/{BLOCK}"), Some(r#"{"seen":[[0,5]],"tallies":{"routed":{"expected":5,"found":5}}}"#));
    let loader =
        entry("loader/00000001/0", Some(r#"{"blocks":[[0,1]],"tallies":{"routed":{"expected":5,"found":5}}}"#));
    let entries = [odd, loader, entry(&format!("block/{BLOCK}"), None), entry("checkpoint", Some("{}"))];
    let audit = restore(&entries, fresh);
    assert_eq!((audit.account().done_blocks, audit.account().stages.at(Stage::Routed).found), (1, 5));
}

#[test]
fn what_a_later_release_added_is_passed_over_and_what_an_earlier_one_lacked_has_a_default() {
    let checkpoint = entry("checkpoint", Some(r#"{"strays":[{"malformed":3},{}],"of_a_later_release":1}"#));
    let audit = restore(&[checkpoint], fresh);
    assert_eq!((audit.account().stages.at(Stage::Routed).malformed, audit.account().remarks), (3, vec![]));
}

#[test]
fn a_checkpoint_of_an_unknown_shape_is_removed_and_the_account_begins_again() {
    let odd = entry(&format!("block/{BLOCK}"), Some(r#"{"seen":"all"}"#));
    let mut entries = vec![odd, entry("checkpoint", Some(r#"{"version":9}"#)), entry("settings", Some("else"))];
    let mut audit = restore(&entries, fresh);
    assert!(audit.account().remarks[0].contains("counted again"), "{:?}", audit.account().remarks);
    audit.malformed(Source::State(State::Ca), 0, "no headers");
    entries.extend(audit.checkpoint().unwrap().unwrap());
    audit.checkpoint_written();
    assert!(audit.checkpoint().unwrap().unwrap().iter().all(|entry| entry.value.is_some()));

    let next = restore(&entries, fresh);
    assert_eq!((next.account().stages, next.account().remarks), (audit.account().stages, vec![]));
    assert_eq!(next.account().done_blocks, 0);
}

fn entry(key: &str, value: Option<&str>) -> Entry {
    Entry { key: key.to_owned(), value: value.map(|value| value.as_bytes().to_vec()) }
}

fn fresh() -> Audit {
    audit([false, false], false)
}
