//! Whose fault lateness is: Kafka's, because it would take no more, or the loader's own. Pure.

use crate::rate::CatchUp;

/// What a sale may be late before it counts: the tick, and what a busy machine adds to it.
pub const LATE_US: u64 = 5_000;

/// If there is room again when the loader looks, Kafka is blamed for no more than this since it last looked:
/// the rest the loader slept.
const LOOK_US: u64 = 5_000;

/// How late a sale was handed to the client, and how much of that is Kafka's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lateness {
    /// From due to handed over.
    pub total_us: u64,
    /// The part of it in which Kafka took nothing, or that such a time left to catch up with.
    pub blocked_us: u64,
}

impl Lateness {
    /// Whether the sale counts as late.
    pub fn is_late(self) -> bool {
        self.total_us > LATE_US
    }

    /// Whether it would be late without Kafka's part as well.
    pub fn is_own_fault(self) -> bool {
        self.total_us - self.blocked_us > LATE_US
    }
}

/// Keeps how much of the time that the schedule is behind is Kafka's fault.
#[derive(Clone, Debug)]
pub struct Blame {
    catch_up: CatchUp,
    blocked_us: u64,
    /// Since when Kafka takes nothing, as far as it has not been counted.
    since_us: Option<u64>,
}

impl Blame {
    /// Starts with nothing to blame anybody for. `catch_up` is the schedule's.
    pub fn new(catch_up: CatchUp) -> Self {
        Self { catch_up, blocked_us: 0, since_us: None }
    }

    /// Kafka takes nothing now, and the next sale is already this late. Returns for how much longer Kafka has taken nothing
    /// since the last call.
    pub fn blocked(&mut self, now_us: u64, late_us: u64) -> u64 {
        let longer = self.since_us.map_or(0, |since| now_us.saturating_sub(since));
        self.since_us = Some(now_us);
        self.add(longer, late_us);
        longer
    }

    /// A sale was handed over now, this much later than it was due. Must be called for every sale in order: as the schedule
    /// catches up, the loader's own part of the delay is taken to be made good first. Also returns for how much longer Kafka
    /// had taken nothing since the last call.
    pub fn handed(&mut self, now_us: u64, late_us: u64) -> (Lateness, u64) {
        let longer = self.since_us.take().map_or(0, |since| now_us.saturating_sub(since).min(LOOK_US));
        self.add(longer, late_us);
        (Lateness { total_us: late_us, blocked_us: self.blocked_us }, longer)
    }

    /// While Kafka took nothing, the loader would have caught up with what it was behind by its own fault: from then on
    /// that is Kafka's as well.
    fn add(&mut self, longer_us: u64, late_us: u64) {
        self.blocked_us = self.blocked_us.saturating_add(self.catch_up.times(longer_us)).min(late_us);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blame() -> Blame {
        Blame::new(CatchUp::default())
    }

    #[test]
    fn a_stall_of_its_own_is_its_own_fault() {
        let (lateness, longer) = blame().handed(9_000_000, 2_000_000);
        assert_eq!((lateness, longer), (Lateness { total_us: 2_000_000, blocked_us: 0 }, 0));
        assert!(lateness.is_late() && lateness.is_own_fault());
    }

    #[test]
    fn a_full_queue_is_not_and_neither_is_catching_up_afterwards() {
        let mut blame = blame();
        assert_eq!(blame.blocked(0, 0), 0);
        assert_eq!(blame.blocked(1_500_000, 1_500_000), 1_500_000);
        assert_eq!(blame.handed(1_501_000, 1_501_000).1, 1_000);
        for late in [1_500_000, 1_000_000, 10_000] {
            let (lateness, longer) = blame.handed(2_000_000, late);
            assert!(lateness.is_late() && !lateness.is_own_fault(), "{lateness:?}");
            assert_eq!(longer, 0);
        }
        assert!(!blame.handed(3_000_000, 0).0.is_late());
        assert!(blame.handed(3_010_000, 10_000).0.is_own_fault(), "that time is over");
    }

    #[test]
    fn a_loader_that_sleeps_while_the_queue_is_full_does_not_blame_kafka() {
        let mut blame = blame();
        blame.blocked(0, 0);
        let (lateness, longer) = blame.handed(3_000_000, 3_000_000);
        assert_eq!(longer, LOOK_US);
        assert!(lateness.is_own_fault());
    }

    #[test]
    fn what_it_was_behind_before_would_have_been_made_good_meanwhile() {
        let mut blame = blame();
        blame.blocked(0, 30_000);
        blame.blocked(20_000, 50_000);
        assert_eq!(blame.clone().handed(20_000, 50_000).0.blocked_us, 40_000, "20 ms waited, 20 ms made good");
        blame.blocked(1_000_000, 1_030_000);
        assert!(!blame.handed(1_000_000, 1_030_000).0.is_own_fault());
    }

    #[test]
    fn a_stall_while_catching_up_is_told_apart() {
        let mut blame = blame();
        blame.blocked(0, 0);
        blame.blocked(1_000_000, 1_000_000);
        assert!(!blame.handed(1_000_000, 1_000_000).0.is_own_fault());
        assert!(blame.handed(1_300_000, 1_300_000).0.is_own_fault(), "300 ms came on top");
        assert!(!blame.handed(1_700_000, 900_000).0.is_own_fault());
    }
}
