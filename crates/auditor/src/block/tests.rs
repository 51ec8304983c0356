//! Whatever happens to a block, its account adds up.

use proptest::prelude::*;

use super::*;

const LENGTH: u32 = 40;

#[derive(Clone, Debug)]
enum Event {
    See(u32, State),
    Acknowledge(u32),
    End(Phase, u32),
    Lose(u32, Fate),
    Suspect,
    Finish,
    Say(u32, u64),
    Miss(u32, u32),
}

fn event() -> impl Strategy<Value = Event> {
    let state = prop_oneof![Just(State::Ca), Just(State::Tx)];
    let fate = prop_oneof![
        Just(Fate::LostByKafka),
        Just(Fate::LostByFanOut),
        Just(Fate::Lost),
        Just(Fate::Rejected),
        Just(Fate::NotAuditable),
    ];
    prop_oneof![
        8 => (0..LENGTH + 2, state).prop_map(|(index, state)| Event::See(index, state)),
        2 => (0..LENGTH).prop_map(Event::Acknowledge),
        1 => (prop_oneof![Just(Phase::Closed), Just(Phase::Cut)], 0..LENGTH).prop_map(|(phase, end)| Event::End(phase, end)),
        2 => (0..LENGTH, fate).prop_map(|(index, fate)| Event::Lose(index, fate)),
        1 => Just(Event::Suspect),
        1 => Just(Event::Finish),
        2 => (0..LENGTH + 2, 0..3u64).prop_map(|(found, duplicates)| Event::Say(found, duplicates)),
        1 => (0..LENGTH, 0..LENGTH).prop_map(|(start, end)| Event::Miss(start, end)),
    ]
}

fn record() -> BlockRecord {
    BlockRecord {
        incarnation: 1,
        parameters: petstore::Parameters::default(),
        phase: Phase::Progress,
        acknowledged: Ranges::default(),
        end: None,
        reserved_at_us: 0,
        updated_at_us: 0,
    }
}

fn apply(block: &mut Block, event: &Event) {
    match *event {
        Event::See(index, state) => {
            block.learn((0..LENGTH).map(|_| State::Ca).collect());
            block.see(index, state, 0);
        }
        Event::Acknowledge(upto) if !block.record().phase.is_final() => {
            let acknowledged = Ranges::from(vec![(0, upto.max(block.record().acknowledged.len()))]);
            block.update(BlockRecord { acknowledged, ..block.record().clone() });
        }
        Event::End(phase, end) => block.update(BlockRecord { phase, end: Some(end), ..block.record().clone() }),
        // Only what is missing is ever convicted.
        Event::Lose(index, fate) if block.missing().contains(index) => {
            block.lose(index, fate);
        }
        Event::Suspect => block.suspect(),
        Event::Finish => block.finish_routed(),
        Event::Say(found, duplicates) => block.store_said(1, found, duplicates, Some(block.records())),
        Event::Miss(start, end) => {
            let seen = block.seen_ranges();
            let missing: Vec<(u32, u32)> =
                seen.iter().filter(|index| (start..end).contains(index)).map(|index| (index, index + 1)).collect();
            block.store_misses(1, Ranges::from(missing));
        }
        Event::Acknowledge(_) | Event::Lose(..) => {}
    }
}

proptest! {
    #[test]
    fn every_account_adds_up(events in prop::collection::vec(event(), 0..120), silent: bool) {
        let mut block = Block::new(record(), [false, true]);
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
            prop_assert_eq!(tallies.at(Stage::Stored).expected, u64::from(block.seen()));
        }
    }
}
