//! What a loader takes over from its predecessors with the same ordinal. Pure: reads records and decides what to do.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use kafka::blocks::{BlockRecord, LoadRecord, Phase, Published};
use petstore::{BlockId, Parameters};

/// The earlier blocks of one loader, as far as they matter: bounded by the number of runs and of open blocks.
#[derive(Debug)]
pub struct Past {
    loader: u32,
    runs: HashMap<u32, Run>,
    /// Blocks that are not final, by id.
    open: HashMap<BlockId, BlockRecord>,
    /// Incarnations that wrote a block's last record: one for each start of the loader.
    writers: HashSet<u64>,
    /// The load of the last record, with its parameters.
    last: Option<(Parameters, LoadRecord)>,
}

#[derive(Debug)]
struct Run {
    parameters: Parameters,
    reserved_at_us: i64,
    highest: u32,
}

impl Past {
    /// Nothing is known yet of the loader with this ordinal.
    pub fn of(loader: u32) -> Self {
        Self { loader, runs: HashMap::new(), open: HashMap::new(), writers: HashSet::new(), last: None }
    }

    /// Takes the next record of the topic, in the topic's order. Other loaders' records are skipped.
    pub fn see(&mut self, Published { id, record, .. }: Published) {
        if id.loader != self.loader {
            return;
        }
        self.writers.insert(record.incarnation);
        self.last = record.load.map(|load| (record.parameters.clone(), load));
        let run = self.runs.entry(id.run).or_insert_with(|| Run {
            parameters: record.parameters.clone(),
            reserved_at_us: record.reserved_at_us,
            highest: id.block,
        });
        run.highest = run.highest.max(id.block);
        run.reserved_at_us = run.reserved_at_us.max(record.reserved_at_us);
        if record.phase.is_final() {
            self.open.remove(&id);
        } else {
            self.open.insert(id, record);
        }
    }

    /// The run to continue, if one had the same parameters (the latest, if there were several), and the number of its next
    /// block.
    pub fn resume(&self, parameters: &Parameters) -> Option<(u32, u32)> {
        let same = self.runs.iter().filter(|(_, run)| run.parameters == *parameters && run.highest < u32::MAX);
        same.max_by_key(|(_, run)| run.reserved_at_us).map(|(run, known)| (*run, known.highest + 1))
    }

    /// The load to continue: the last one if it has the same parameters, rate and length as `wanted`; otherwise `wanted`,
    /// which begins now.
    pub fn load(&self, parameters: &Parameters, wanted: LoadRecord) -> LoadRecord {
        let same = |(theirs, last): &&(Parameters, LoadRecord)| {
            theirs == parameters && LoadRecord { began_at_us: wanted.began_at_us, ..*last } == wanted
        };
        self.last.as_ref().filter(same).map_or(wanted, |(_, last)| *last)
    }

    /// Whether there is a run with this number.
    pub fn has_run(&self, run: u32) -> bool {
        self.runs.contains_key(&run)
    }

    /// The incarnations that wrote these records.
    pub fn writers(&self) -> impl Iterator<Item = u64> + '_ {
        self.writers.iter().copied()
    }

    /// The records that cut the blocks left open: their owner is fenced, so its last record is final.
    pub fn cuts(&self, incarnation: u64, now_us: i64) -> Vec<(BlockId, BlockRecord)> {
        let mut cuts: Vec<(BlockId, BlockRecord)> = self
            .open
            .iter()
            .map(|(id, left)| {
                (*id, BlockRecord { incarnation, phase: Phase::Cut, updated_at_us: now_us, ..left.clone() })
            })
            .collect();
        cuts.sort_unstable_by_key(|(id, _)| *id);
        cuts
    }
}

/// How long a load has gone on, and what is left of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Since its first start.
    pub gone: Duration,
    /// Until its end.
    pub left: Duration,
}

impl Span {
    /// Of a load at a time. A clock that was put back does not make what is left longer than it was.
    pub fn of(load: LoadRecord, now_us: i64) -> Self {
        let gone = u64::try_from(now_us.saturating_sub(load.began_at_us)).unwrap_or(0);
        let left = Duration::from_micros(load.length_us.saturating_sub(gone));
        Self { gone: Duration::from_micros(gone), left }
    }
}

#[cfg(test)]
mod tests {
    use kafka::blocks::Via;

    use super::*;

    fn published(id: (u32, u32, u32), phase: Phase, reserved_at_us: i64, seed: u64) -> Published {
        let (run, loader, block) = id;
        let acknowledged = if phase == Phase::Reserved { vec![] } else { vec![(0, 9)] };
        let record = BlockRecord {
            incarnation: 1,
            parameters: Parameters { seed, ..Parameters::default() },
            phase,
            acknowledged: acknowledged.into(),
            end: None,
            load: Some(load(reserved_at_us)),
            reserved_at_us,
            updated_at_us: reserved_at_us,
        };
        Published { id: BlockId { run, loader, block }, record, offset: 0 }
    }

    /// A load of an hour.
    fn load(began_at_us: i64) -> LoadRecord {
        LoadRecord { began_at_us, micro_rate: 1_000_000, length_us: 3_600_000_000, shape: 0, via: Via::Kafka }
    }

    fn past(records: impl IntoIterator<Item = Published>) -> Past {
        let mut past = Past::of(3);
        records.into_iter().for_each(|record| past.see(record));
        past
    }

    fn with_seed(seed: u64) -> Parameters {
        Parameters { seed, ..Parameters::default() }
    }

    #[test]
    fn a_run_goes_on_after_its_highest_block() {
        let past = past([
            published((7, 3, 4), Phase::Closed, 10, 1),
            published((7, 3, 5), Phase::Reserved, 20, 1),
            published((7, 3, 2), Phase::Closed, 5, 1),
        ]);
        assert_eq!(past.resume(&with_seed(1)), Some((7, 6)));
    }

    #[test]
    fn other_parameters_never_meet_an_old_id() {
        let past = past([published((7, 3, 4), Phase::Closed, 10, 1)]);
        assert_eq!(past.resume(&with_seed(2)), None);
        assert!(past.has_run(7) && !past.has_run(8));
    }

    #[test]
    fn another_loader_is_none_of_its_business() {
        let past = past([published((7, 2, 4), Phase::Progress, 10, 1)]);
        assert_eq!(past.resume(&with_seed(1)), None);
        assert!(past.cuts(2, 99).is_empty());
    }

    #[test]
    fn of_two_runs_with_the_same_parameters_the_later_goes_on() {
        let past = past([
            published((9, 3, 0), Phase::Closed, 30, 1),
            published((7, 3, 4), Phase::Closed, 10, 1),
            published((8, 3, 4), Phase::Closed, 40, 2),
        ]);
        assert_eq!(past.resume(&with_seed(1)), Some((9, 1)));
    }

    #[test]
    fn a_load_goes_on_from_its_first_start_if_nothing_else_is_asked_for() {
        let mut past = past([published((7, 3, 4), Phase::Closed, 10, 1)]);
        assert_eq!(past.load(&with_seed(1), load(99)), load(10));
        assert_eq!(past.load(&with_seed(2), load(99)), load(99), "other parameters");
        for other in [
            LoadRecord { micro_rate: 1, ..load(99) },
            LoadRecord { length_us: 1, ..load(99) },
            LoadRecord { shape: 1, ..load(99) },
            LoadRecord { via: Via::Webapp, ..load(99) },
        ] {
            assert_eq!(past.load(&with_seed(1), other), other);
        }
        // Back to what there was before is another load, too.
        past.see(published((8, 3, 0), Phase::Closed, 20, 2));
        assert_eq!(past.load(&with_seed(1), load(99)), load(99));
        assert_eq!(past.load(&with_seed(2), load(99)), load(20));
        assert_eq!(Past::of(3).load(&with_seed(1), load(99)), load(99));
    }

    #[test]
    fn a_release_that_said_nothing_of_its_load_left_none_to_go_on_with() {
        let mut old = published((7, 3, 4), Phase::Closed, 10, 1);
        old.record.load = None;
        assert_eq!(past([old]).load(&with_seed(1), load(99)), load(99));
    }

    #[test]
    fn a_load_that_has_ended_has_nothing_left() {
        let left = |now_us| Span::of(load(10), now_us).left;
        assert_eq!(left(10), Duration::from_hours(1));
        assert_eq!(left(10 + 3_599_999_999), Duration::from_micros(1));
        assert_eq!([left(10 + 3_600_000_000), left(i64::MAX)], [Duration::ZERO; 2]);
        assert_eq!(left(-5), Duration::from_hours(1), "the clock was put back");
    }

    #[test]
    fn what_was_left_open_is_cut_with_its_last_word() {
        let past = past([
            published((7, 3, 4), Phase::Progress, 10, 1),
            published((7, 3, 5), Phase::Reserved, 11, 1),
            published((6, 3, 0), Phase::Progress, 1, 2),
            published((7, 3, 3), Phase::Cut, 9, 1),
            published((7, 3, 4), Phase::Closed, 10, 1),
        ]);
        let cuts = past.cuts(2, 99);
        let ids: Vec<(u32, u32)> = cuts.iter().map(|(id, _)| (id.run, id.block)).collect();
        assert_eq!(ids, [(6, 0), (7, 5)]);
        for (_, record) in &cuts {
            assert_eq!((record.phase, record.incarnation, record.updated_at_us), (Phase::Cut, 2, 99));
        }
        assert_eq!(cuts[0].1.acknowledged.len(), 9);
        assert!(cuts[1].1.acknowledged.is_empty());
        assert_eq!(past.writers().collect::<Vec<_>>(), [1]);
    }
}
