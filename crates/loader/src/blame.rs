//! Why a sale is late: Kafka would take no more, the loader was kept from a CPU, or something else. Pure.

use crate::rate::CatchUp;

/// What a sale may be late before it counts: the tick, and what a busy machine adds to it.
pub const LATE_US: u64 = 5_000;

/// If there is room again when the loader looks, Kafka is blamed for no more than this since it last looked:
/// the rest the loader slept.
const LOOK_US: u64 = 5_000;

/// How late a sale was handed to the client, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lateness {
    /// From due to handed over.
    pub total_us: u64,
    /// The part of it in which Kafka took nothing, or that such a time left to catch up with.
    pub blocked_us: u64,
    /// The part of the rest in which the loader was kept from a CPU, or that such a time left to catch up with.
    pub throttled_us: u64,
}

/// Why a sale is late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It would not be, had Kafka taken it: the cluster's failure.
    Blocked,
    /// Of the rest, it was kept from a CPU for at least half: by its CPU limit, or by other programs on its node.
    Throttled,
    /// Neither, such as a maker that is too slow.
    Other,
}

impl Lateness {
    /// Why the sale is late; none if it isn't.
    pub fn cause(self) -> Option<Cause> {
        if self.total_us <= LATE_US {
            None
        } else if self.total_us - self.blocked_us <= LATE_US {
            Some(Cause::Blocked)
        } else if self.throttled_us * 2 >= self.total_us - self.blocked_us {
            Some(Cause::Throttled)
        } else {
            Some(Cause::Other)
        }
    }
}

/// Keeps why the schedule is behind, and by how much.
#[derive(Clone, Debug)]
pub struct Blame {
    catch_up: CatchUp,
    blocked_us: u64,
    throttled_us: u64,
    /// How late the last sale was, or the next one already is.
    late_us: u64,
    /// Since when Kafka takes nothing, as far as it has not been counted.
    since_us: Option<u64>,
}

impl Blame {
    /// Starts with nothing to blame anybody for. `catch_up` is the schedule's.
    pub fn new(catch_up: CatchUp) -> Self {
        Self { catch_up, blocked_us: 0, throttled_us: 0, late_us: 0, since_us: None }
    }

    /// Kafka takes nothing now, and the next sale is already this late. Returns for how much longer Kafka has taken nothing
    /// since the last call.
    pub fn blocked(&mut self, now_us: u64, late_us: u64) -> u64 {
        let longer = self.since_us.map_or(0, |since| now_us.saturating_sub(since));
        self.since_us = Some(now_us);
        self.add(longer, late_us);
        longer
    }

    /// The loader was kept from a CPU for this long since the last call, and the next sale is already this late. No more of
    /// that counts than the loader has fallen behind meanwhile: a loader that waits for something else loses nothing by it.
    pub fn throttled(&mut self, longer_us: u64, late_us: u64) {
        let fell_behind_us = late_us.saturating_sub(self.late_us);
        self.late_us = late_us;
        self.throttled_us = self.throttled_us.saturating_add(longer_us.min(fell_behind_us));
        self.add(0, late_us);
    }

    /// A sale was handed over now, this much later than it was due. Must be called for every sale in order: as the schedule
    /// catches up, the part of the delay with another cause is taken to be made good first, then the part without a CPU. Also
    /// returns for how much longer Kafka had taken nothing since the last call.
    pub fn handed(&mut self, now_us: u64, late_us: u64) -> (Lateness, u64) {
        let longer = self.since_us.take().map_or(0, |since| now_us.saturating_sub(since).min(LOOK_US));
        self.add(longer, late_us);
        self.late_us = late_us;
        let Self { blocked_us, throttled_us, .. } = *self;
        (Lateness { total_us: late_us, blocked_us, throttled_us }, longer)
    }

    /// While Kafka took nothing, the loader would have caught up with what it was behind by its own fault: from then on
    /// that is Kafka's as well.
    fn add(&mut self, longer_us: u64, late_us: u64) {
        self.blocked_us = self.blocked_us.saturating_add(self.catch_up.times(longer_us)).min(late_us);
        self.throttled_us = self.throttled_us.min(late_us - self.blocked_us);
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
        assert_eq!((lateness, longer), (Lateness { total_us: 2_000_000, ..Lateness::default() }, 0));
        assert_eq!(lateness.cause(), Some(Cause::Other));
    }

    #[test]
    fn a_full_queue_is_not_and_neither_is_catching_up_afterwards() {
        let mut blame = blame();
        assert_eq!(blame.blocked(0, 0), 0);
        assert_eq!(blame.blocked(1_500_000, 1_500_000), 1_500_000);
        assert_eq!(blame.handed(1_501_000, 1_501_000).1, 1_000);
        for late in [1_500_000, 1_000_000, 10_000] {
            let (lateness, longer) = blame.handed(2_000_000, late);
            assert_eq!(lateness.cause(), Some(Cause::Blocked), "{lateness:?}");
            assert_eq!(longer, 0);
        }
        assert_eq!(blame.handed(3_000_000, 0).0.cause(), None);
        assert_eq!(blame.handed(3_010_000, 10_000).0.cause(), Some(Cause::Other), "that time is over");
    }

    #[test]
    fn a_loader_that_sleeps_while_the_queue_is_full_does_not_blame_kafka() {
        let mut blame = blame();
        blame.blocked(0, 0);
        let (lateness, longer) = blame.handed(3_000_000, 3_000_000);
        assert_eq!(longer, LOOK_US);
        assert_eq!(lateness.cause(), Some(Cause::Other));
    }

    #[test]
    fn what_it_was_behind_before_would_have_been_made_good_meanwhile() {
        let mut blame = blame();
        blame.blocked(0, 30_000);
        blame.blocked(20_000, 50_000);
        assert_eq!(blame.clone().handed(20_000, 50_000).0.blocked_us, 40_000, "20 ms waited, 20 ms made good");
        blame.blocked(1_000_000, 1_030_000);
        assert_eq!(blame.handed(1_000_000, 1_030_000).0.cause(), Some(Cause::Blocked));
    }

    #[test]
    fn a_stall_while_catching_up_is_told_apart() {
        let mut blame = blame();
        blame.blocked(0, 0);
        blame.blocked(1_000_000, 1_000_000);
        assert_eq!(blame.handed(1_000_000, 1_000_000).0.cause(), Some(Cause::Blocked));
        assert_eq!(blame.handed(1_300_000, 1_300_000).0.cause(), Some(Cause::Other), "300 ms came on top");
        assert_eq!(blame.handed(1_700_000, 900_000).0.cause(), Some(Cause::Blocked));
    }

    #[test]
    fn waiting_for_a_cpu_is_told_apart_until_it_is_caught_up_with() {
        let mut blame = blame();
        blame.throttled(90_000, 100_000);
        for late in [100_000, 50_000, 6_000] {
            assert_eq!(blame.handed(100_000, late).0.cause(), Some(Cause::Throttled), "{late}");
        }
        assert_eq!(blame.handed(300_000, 4_000).0.cause(), None);
        assert_eq!(blame.handed(400_000, 100_000).0.cause(), Some(Cause::Other), "a stall that has another cause");
    }

    #[test]
    fn a_loader_that_waits_for_its_maker_is_not_throttled_though_it_waits_for_a_cpu_now_and_then() {
        let mut blame = blame();
        let mut cause = None;
        for turn in 1..=1_000 {
            blame.throttled(200, turn * 500);
            cause = blame.handed(turn * 1_000, turn * 500).0.cause();
        }
        assert_eq!(cause, Some(Cause::Other));
    }

    #[test]
    fn short_waits_while_nothing_is_due_never_add_up() {
        let mut blame = blame();
        for _ in 0..1_000 {
            blame.throttled(100, 0);
        }
        assert_eq!(blame.handed(0, 60_000).0.cause(), Some(Cause::Other));
    }

    #[test]
    fn what_kafka_is_to_blame_for_is_not_throttled_as_well() {
        let mut blame = blame();
        blame.blocked(0, 0);
        blame.blocked(100_000, 100_000);
        blame.throttled(80_000, 100_000);
        let (lateness, _) = blame.handed(100_000, 100_000);
        assert_eq!((lateness.cause(), lateness.throttled_us), (Some(Cause::Blocked), 0));
    }
}
