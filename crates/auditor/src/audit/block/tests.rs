//! Whatever happens to a block, its account adds up.

use std::sync::LazyLock;

use petstore::{Sale, State};
use proptest::prelude::*;

use super::*;
use crate::audit::bits::Bits;
use crate::audit::findings::Stage;
use crate::audit::tests::{record, watched};
use crate::model::Body;
use crate::model::tests::sales_of;

const LENGTH: u32 = 40;

const ID: petstore::BlockId = petstore::BlockId { run: 1, loader: 0, block: 0 };

static SALES: LazyLock<Vec<Sale>> = LazyLock::new(|| {
    let mut sales = sales_of(ID);
    sales.truncate(LENGTH as usize);
    for sale in &mut sales {
        sale.store.state = State::Ca;
    }
    sales
});

static TRUTH: LazyLock<Truth> = LazyLock::new(|| Truth::new(ID, SALES.iter(), true));

#[derive(Clone, Debug)]
enum Event {
    See(u32, State, Damage, bool),
    ComeBack(u32, bool),
    LoseReturned(u32),
    Alter(u32),
    Verify(u32),
    Acknowledge(u32),
    End(Phase, u32),
    Lose(u32, Fate),
    Suspect,
    Finish,
    Say(u32, u64),
    Miss(u32, u32),
}

#[derive(Clone, Copy, Debug)]
enum Damage {
    None,
    Altered,
    Broken,
}

fn event() -> impl Strategy<Value = Event> {
    let state = prop_oneof![Just(State::Ca), Just(State::Tx)];
    let damage = prop_oneof![6 => Just(Damage::None), 1 => Just(Damage::Altered), 1 => Just(Damage::Broken)];
    let fate = prop::sample::select(vec![
        Fate::Spoilt,
        Fate::LostByKafka,
        Fate::LostByFanOut,
        Fate::Lost,
        Fate::Rejected,
        Fate::NotAuditable,
    ]);
    prop_oneof![
        8 => (0..LENGTH + 2, state, damage, any::<bool>()).prop_map(|(index, state, damage, in_order)| {
            Event::See(index, state, damage, in_order)
        }),
        4 => (0..LENGTH + 2, any::<bool>()).prop_map(|(index, in_order)| Event::ComeBack(index, in_order)),
        2 => (0..LENGTH).prop_map(Event::LoseReturned),
        1 => (0..LENGTH).prop_map(Event::Alter),
        1 => (0..LENGTH + 2).prop_map(Event::Verify),
        2 => (0..LENGTH).prop_map(Event::Acknowledge),
        1 => (prop_oneof![Just(Phase::Closed), Just(Phase::Cut)], 0..LENGTH).prop_map(|(phase, end)| Event::End(phase, end)),
        2 => (0..LENGTH, fate).prop_map(|(index, fate)| Event::Lose(index, fate)),
        1 => Just(Event::Suspect),
        1 => Just(Event::Finish),
        2 => (0..LENGTH + 2, 0..3u64).prop_map(|(found, duplicates)| Event::Say(found, duplicates)),
        1 => (0..LENGTH, 0..LENGTH).prop_map(|(start, end)| Event::Miss(start, end)),
    ]
}

/// Nothing of it was acknowledged yet.
fn reserved() -> Block {
    Block::new(0, record(Phase::Progress, &[], None), watched([false, true], true))
}

/// What Postgres has of it.
fn stored(block: &mut Block) -> &mut Stored {
    block.stores[1].as_mut().unwrap()
}

fn apply(block: &mut Block, event: &Event) {
    match *event {
        Event::See(index, state, damage, in_order) => {
            let mut sale = SALES[index.min(LENGTH - 1) as usize].clone();
            let body = match damage {
                Damage::None => serde_json::to_vec(&sale).unwrap(),
                Damage::Altered => {
                    sale.cents += 1;
                    serde_json::to_vec(&sale).unwrap()
                }
                Damage::Broken => b"{}".to_vec(),
            };
            block.route(&TRUTH, &read(index, Source::State(state), &body), |_| (!in_order).then(|| ID.sale(LENGTH)));
        }
        Event::ComeBack(index, in_order) => {
            let body = serde_json::to_vec(&SALES[index.min(LENGTH - 1) as usize].receipt()).unwrap();
            block.come_back(&TRUTH, &read(index, Source::Receipts(0), &body), |_| (!in_order).then(|| ID.sale(LENGTH)));
        }
        // Only what is missing is ever convicted.
        Event::LoseReturned(index) if block.missing_returned().contains(index) => {
            block.returned.as_mut().unwrap().lose(index, Fate::Lost);
        }
        Event::Alter(index) => drop(stored(block).differ([index].into_iter().collect(), 1)),
        Event::Verify(extra) => {
            let unseen = block.routed.unseen(&[extra].into_iter().collect());
            stored(block).verify(unseen);
        }
        Event::Acknowledge(upto) if !block.record.phase.is_final() => {
            let acknowledged = Ranges::from(vec![(0, upto.max(block.record.acknowledged.len()))]);
            block.update(BlockRecord { acknowledged, ..block.record.clone() });
        }
        Event::End(phase, end) => block.update(BlockRecord { phase, end: Some(end), ..block.record.clone() }),
        // Only what is missing is ever convicted.
        Event::Lose(index, fate) if block.missing().contains(index) => {
            block.routed.lose(index, fate);
        }
        Event::Suspect => block.suspect(Stage::Routed),
        Event::Finish => block.finish_routed(),
        Event::Say(found, duplicates) => stored(block).say(found, duplicates, true),
        Event::Miss(start, end) => {
            let missing: Bits = block.routed.storable().iter().filter(|index| (start..end).contains(index)).collect();
            let certain = block.routed.storable().without(&missing).to_ranges();
            stored(block).settle(certain, missing.to_ranges());
        }
        Event::Acknowledge(_) | Event::Lose(..) | Event::LoseReturned(_) => {}
    }
}

fn read(index: u32, source: Source, body: &[u8]) -> Record<'_> {
    Record { id: ID.sale(index), state: State::Ca, source, offset: 0, body: Body::new(body) }
}

proptest! {
    #[test]
    fn every_account_adds_up(events in prop::collection::vec(event(), 0..120), silent: bool) {
        let mut block = reserved();
        for event in events {
            apply(&mut block, &event);
            let tallies = block.tallies(silent);
            for (stage, tally) in &tallies.0 {
                let Tally { expected, found, lost, rejected, not_auditable, late, .. } = *tally;
                prop_assert_eq!(expected, found + lost + rejected + not_auditable + late, "{:?}: {:?}", stage, tally);
            }
            let (accepted, routed) = (tallies.at(Stage::Accepted), tallies.at(Stage::Routed));
            prop_assert_eq!(routed.expected, accepted.found);
            prop_assert_eq!(u64::from(block.missing().len()), routed.late, "what is missing is what is late");
            prop_assert_eq!(tallies.at(Stage::Stored).expected, u64::from(block.routed.storable().count()));
        }
    }

    #[test]
    fn nothing_is_late_once_kafka_is_gone(
        events in prop::collection::vec(event(), 0..60),
        held in prop::option::of(prop::collection::vec(0..LENGTH + 10, 0..60)),
    ) {
        let mut block = reserved();
        for event in &events {
            apply(&mut block, event);
        }
        let held: Option<Bits> = held.map(|held| held.into_iter().collect());
        let (tallies, _) = block.account_of_gone([None, held.as_ref()]);
        for (stage, tally) in &tallies.0 {
            let Tally { expected, found, lost, rejected, not_auditable, late, .. } = *tally;
            prop_assert_eq!(late, 0);
            prop_assert_eq!(expected, found + lost + rejected + not_auditable, "{:?}: {:?}", stage, tally);
        }
        prop_assert_eq!(tallies.at(Stage::Routed).expected, tallies.at(Stage::Accepted).found);
        if let Some(held) = held {
            let stored = tallies.at(Stage::Stored);
            prop_assert_eq!(stored.lost, u64::from(block.routed.storable().count_without(&held)), "what it has not is lost");
        }
    }
}
