//! What the stores hold, and what comes back.

use stores::postgres::Row;

use super::*;

/// Has a store hold exactly this, in two passes: what is too much must have been passed by us as well.
pub(super) fn hold(
    audit: &mut Audit,
    store: usize,
    present: impl IntoIterator<Item = u32>,
    rows: &[Row],
    repeated: u64,
) {
    let held = Held { present: present.into_iter().collect(), rows: rows.to_vec() };
    for _ in 0..2 {
        let Some(asked) = audit.ask(store, None, 10).pop() else { return };
        audit.store_said(store, &asked, &BTreeMap::new(), (held.present.count(), repeated));
        audit.store_verified(store, &asked, &held, BTreeMap::new());
    }
    audit.close();
}

/// Puts a receipt in.
fn receipt(audit: &mut Audit, index: u32, offset: i64) {
    let body = serde_json::to_vec(&model(BLOCK)[index as usize].receipt()).unwrap();
    say(audit, BLOCK.sale(index), Source::Receipts(0), offset, &body);
}

/// A closed block that was routed whole, and is finished there.
fn whole(stores: [bool; 2], returned: bool) -> Audit {
    let mut audit = read_of(stores, returned, closed(), 0..LENGTH);
    prove(&mut audit, Fate::LostByFanOut);
    audit
}

fn rows() -> Vec<Row> {
    let row = |sale: &Sale| Row { index: sale.id.index, digest: petstore::digest(sale), receipt: Ok(sale.receipt()) };
    model(BLOCK).iter().map(row).collect()
}

#[test]
fn what_a_store_may_have_forgotten_is_not_lost_there() {
    let mut audit = whole([true, true], false);
    audit.store_forgets(0, NOW);
    assert_eq!(audit.ask(0, None, 10).len(), 1);
    audit.store_forgets(0, NOW + 1);
    assert!(audit.ask(0, None, 10).is_empty());
    hold(&mut audit, 1, 0..LENGTH, &rows(), 0);
    assert_eq!((found(&audit), audit.account().done_blocks), (NOTHING, 1));

    // What it was seen to have before stays said.
    let mut audit = whole([true, true], false);
    hold(&mut audit, 0, 0..LENGTH, &[], 0);
    audit.store_forgets(0, NOW + 1);
    let cached = audit.account().stages.at(Stage::Cached);
    assert_eq!((audit.ask(0, None, 10).len(), cached.expected, cached.found), (0, 100, 100));
}

#[test]
fn a_store_is_judged_by_its_own_position() {
    let mut audit = read_of([false, true], false, record(Phase::Progress, &[(0, 50)], None), 0..50);
    let asked = audit.ask(1, None, 10).remove(0);
    let passed = |next| asked.is_passed_by(&BTreeMap::from([(State::Ca, next)]));
    assert!(!passed(49) && passed(50) && !asked.is_passed_by(&BTreeMap::new()));

    audit.store_said(1, &asked, &BTreeMap::new(), (47, 0));
    let stored = audit.account().stages.at(Stage::Stored);
    assert_eq!((stored.expected, stored.found, stored.late, stored.lost), (50, 47, 3, 0));

    let lost = [3, 4, 9];
    audit.store_holds(1, &asked, &(0..50).filter(|index| !lost.contains(index)).collect());
    let stored = audit.account().stages.at(Stage::Stored);
    assert_eq!((stored.found, stored.late, stored.lost), (47, 0, 3));
    let lost = named(&lost.map(|index| BLOCK.sale(index)));
    assert_eq!(found(&audit), (vec![(Stage::Stored, Kind::Lost, 3)], lost));
}

#[test]
fn a_store_that_is_ahead_of_the_auditor_does_not_hide_what_it_lost_behind_what_is_still_to_be_read() {
    let mut audit = read_of([false, true], true, record(Phase::Progress, &[(0, 50)], None), 0..40);
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
    assert_eq!(found(&audit).0, [(Stage::Returned, Kind::Lost, 40)]);
}

#[test]
fn a_block_is_done_when_every_watched_store_has_it() {
    let mut audit = whole([true, true], false);
    for store in [0, 1] {
        assert_eq!(audit.account().open_blocks, 1);
        hold(&mut audit, store, 0..LENGTH, &rows(), 0);
    }
    assert_eq!((audit.account().done_blocks, found(&audit)), (1, NOTHING));
    assert_eq!(audit.account().stages.at(Stage::Stored).compared, 100);
}

#[test]
fn a_store_that_was_given_a_sale_twice_has_a_duplicate() {
    let mut audit = whole([true, false], false);
    hold(&mut audit, 0, 0..LENGTH, &[], 1);
    assert_eq!(found(&audit), (vec![(Stage::Cached, Kind::Duplicate, 1)], vec!["block 00000001/0/0".to_owned()]));
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
        assert_eq!((found(&audit), audit.account().done_blocks), (only(Stage::Stored, Kind::Altered, SALE), 1));
    }
    // Instead of one that is missing: numbers alone would not tell.
    let mut audit = whole([false, true], false);
    hold(&mut audit, 1, without(37).chain([777]), &rows(), 0);
    let counts = vec![(Stage::Stored, Kind::Lost, 1), (Stage::Stored, Kind::NeverSent, 1)];
    assert_eq!(found(&audit), (counts, named(&[SALE, BLOCK.sale(777)])));
}

#[test]
fn what_a_store_has_before_we_read_it_is_no_finding() {
    let mut audit = read_of([false, true], false, record(Phase::Cut, &[(0, 50)], None), 0..50);
    prove(&mut audit, Fate::LostByFanOut);
    let held = Held { present: (0..51).collect(), rows: Vec::new() };
    let ahead = BTreeMap::from([(State::Tx, 900)]);
    for _ in 0..3 {
        let asked = audit.ask(1, None, 10).remove(0);
        assert!(audit.is_more(&asked, &held.present));
        audit.store_verified(1, &asked, &held, ahead.clone());
    }
    assert_eq!((found(&audit), audit.account().done_blocks), (NOTHING, 0));
    sale(&mut audit, BLOCK.sale(50), State::Tx, 800);
    audit.read_to(Source::State(State::Tx), 900);
    hold(&mut audit, 1, 0..51, &[], 0);
    assert_eq!((found(&audit), audit.account().done_blocks), (NOTHING, 1));
}

#[test]
fn a_body_that_is_altered_or_broken_is_found_once_and_at_its_stage() {
    let altered = Sale { cents: 1, ..model(BLOCK)[37].clone() };
    for (body, kind) in [(serde_json::to_vec(&altered).unwrap(), Kind::Altered), (b"{".to_vec(), Kind::Malformed)] {
        let mut audit = read_of([false, true], false, closed(), without(37));
        say(&mut audit, SALE, Source::State(State::Ca), 100, &body);
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
        let expected = kind.map_or(NOTHING, |kind| only(Stage::Returned, kind, SALE));
        assert_eq!((found(&audit), audit.account().done_blocks), (expected, 1), "{kind:?}");
    }
}

#[test]
fn a_receipt_of_what_was_never_routed_is_named_and_one_that_is_altered() {
    let mut audit = read_of([false, true], true, closed_at(37), 0..37);
    (0..38).for_each(|index| receipt(&mut audit, index, index.into()));
    assert_eq!(found(&audit), NOTHING, "it may be routed and not read as yet");
    prove(&mut audit, Fate::LostByFanOut);
    assert_eq!(found(&audit), only(Stage::Returned, Kind::NeverSent, SALE));

    let mut audit = whole([false, true], true);
    let altered = serde_json::to_vec(&petstore::Receipt { cents: 1, ..model(BLOCK)[37].receipt() }).unwrap();
    say(&mut audit, SALE, Source::Receipts(0), 0, &altered);
    assert_eq!(found(&audit), only(Stage::Returned, Kind::Altered, SALE));
    assert!(audit.account().findings[0].detail.contains("/cents: "), "{:?}", audit.account().findings);
    // Unless it was stored so.
    let mut rows = rows();
    rows[37].receipt.as_mut().unwrap().cents = 1;
    hold(&mut audit, 1, 0..LENGTH, &rows, 0);
    assert_eq!(found(&audit), only(Stage::Stored, Kind::Altered, SALE));
}

#[test]
fn a_block_that_nobody_reserved_is_strange_where_it_was_first() {
    let mut audit = audit([false, true], false);
    assert_eq!(audit.strange_blocks(Stage::Stored, &[OTHER]), [OTHER]);
    audit.strange_block(Stage::Stored, OTHER, 3);
    assert_eq!((audit.strange_blocks(Stage::Stored, &[OTHER]), found(&audit)), (vec![], NOTHING));
    know_blocks(&mut audit);
    assert_eq!(found(&audit), (vec![(Stage::Stored, Kind::NeverSent, 3)], vec![format!("block {OTHER}")]));

    sale(&mut audit, OTHER.sale(0), State::Tx, 60);
    know_blocks(&mut audit);
    assert_eq!(found(&audit), only(Stage::Routed, Kind::NeverSent, OTHER.sale(0)));
}
