//! A restart changes nothing.

use kafka::blocks::Phase;
use petstore::{BlockId, Parameters, State};

use super::tests::{BLOCK, LENGTH, closed, found, model, prove, record, sale};
use super::*;
use crate::block::Fate;
use crate::findings::{Kind, Stage};

#[test]
fn a_restart_from_the_checkpoint_gives_the_same_account() {
    let two = BlockId { block: 1, ..BLOCK };
    let three = BlockId { block: 2, ..BLOCK };
    // One whole block, one with a loss and a stray record, one open and out of order; read up to the offset `to`.
    let read = |ledger: &mut Ledger, from: i64, to: i64| {
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
                sale(ledger, block.sale(index), State::Ca, offset);
            }
        }
        if (from..to).contains(&300) {
            ledger.malformed(Source::State(State::Ca), 300, "no headers");
        }
        ledger.read_to(Source::State(State::Ca), to);
    };
    let blocks = |ledger: &mut Ledger| {
        ledger.record(BLOCK, closed());
        ledger.record(two, closed());
        ledger.record(three, record(Phase::Progress, &[(0, 40)], None));
    };
    let all_in_california = |_: &Parameters, id| {
        let mut sales = model(id);
        for sale in &mut sales {
            sale.store.state = State::Ca;
        }
        Ok(sales)
    };
    let fresh = || Ledger::new(Watched::default(), Box::new(all_in_california));
    let mut first = fresh();
    blocks(&mut first);
    read(&mut first, 0, 301);
    prove(&mut first, Fate::LostByFanOut);
    let entries = first.checkpoint().unwrap().unwrap();
    first.checkpoint_written();

    let mut second = fresh();
    let mut checkpoint = None;
    for entry in &entries {
        checkpoint = second.restore(&entry.key, entry.value.as_ref().unwrap()).unwrap().or(checkpoint);
    }
    let checkpoint = checkpoint.unwrap();
    let log = checkpoint.logs.iter().find(|(source, _)| *source == Source::State(State::Ca)).unwrap().1;
    assert_eq!((log.needed, log.read), (200, 301), "the open block is read again, the done ones are not");
    second.resume(checkpoint);
    blocks(&mut second);
    read(&mut second, 150, 301);
    prove(&mut second, Fate::LostByFanOut);
    let without_position = |ledger: &Ledger| {
        let account = ledger.account();
        (account.stages, account.open_blocks, account.done_blocks, found(ledger))
    };
    assert_eq!(without_position(&second), without_position(&first));
    assert!(found(&second).0.contains(&(Stage::Routed, Kind::OutOfOrder, 1)), "{:?}", found(&second));

    for ledger in [&mut first, &mut second] {
        sale(ledger, BLOCK.sale(7), State::Ca, 301);
        assert_eq!(found(ledger).0[1], (Stage::Routed, Kind::Duplicate, 1), "a late duplicate of a done block");
    }
}
