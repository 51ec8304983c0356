//! Logs that are too long to be read, or were deleted before they were.

use super::*;

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
    assert_eq!((audit.waiting.len(), found(&audit)), (70_000, NOTHING));
    for (source, rests) in sources.iter().zip(rests(&audit)) {
        assert_eq!(rests, *source != Source::Rejected, "{source}");
    }
    know_blocks(&mut audit);
    assert!(!rests(&audit).contains(&true));
}

#[test]
fn where_a_log_was_deleted_nothing_is_called_lost() {
    let mut audit = read(closed(), []);
    assert_eq!(audit.begin(Source::State(State::Ca), 40, 50, NOW + 1), 40);
    put(&mut audit, 40..LENGTH);
    prove(&mut audit, Fate::LostByFanOut);
    let account = audit.account();
    assert_eq!(found(&audit), NOTHING);
    assert_eq!((account.stages.at(Stage::Routed).not_auditable, account.auditable), (40, false));
}

#[test]
fn where_kafka_overtook_the_auditor_every_log_is_read_on_and_later_blocks_are_judged() {
    let mut audit = read(closed(), 0..10);
    let sources = Source::all(0);
    audit.follow(sources.clone());
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
    audit.record(OTHER, BlockRecord { reserved_at_us: NOW + 2, ..closed() });
    (0..LENGTH - 1).for_each(|index| sale(&mut audit, OTHER.sale(index), home(index), (LENGTH + index).into()));
    prove(&mut audit, Fate::LostByFanOut);
    let account = audit.account();
    assert_eq!(found(&audit), only(Stage::Routed, Kind::Lost, OTHER.sale(LENGTH - 1)));
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
