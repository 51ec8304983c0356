//! Whose fault lateness is: Kafka's, because it would take no more, or the loader's own. Pure.

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
#[derive(Clone, Debug, Default)]
pub struct Blame {
    blocked_us: u64,
    /// Since when Kafka takes nothing, as far as it has not been counted.
    since_us: Option<u64>,
}

impl Blame {
    /// Kafka takes nothing now. Returns for how much longer than when last asked.
    pub fn blocked(&mut self, now_us: u64) -> u64 {
        let longer = self.since_us.map_or(0, |since| now_us.saturating_sub(since));
        self.since_us = Some(now_us);
        self.blocked_us += longer;
        longer
    }

    /// Kafka takes sales now. Returns for how much longer it had not.
    pub fn unblocked(&mut self, now_us: u64) -> u64 {
        let longer = self.since_us.take().map_or(0, |since| now_us.saturating_sub(since).min(LOOK_US));
        self.blocked_us += longer;
        longer
    }

    /// A sale was handed over so much later than it was due. To be told of all of them, in their order: what is left
    /// to catch up with shrinks, and the loader's own part of it is taken to be made good first.
    pub fn handed(&mut self, late_us: u64) -> Lateness {
        self.blocked_us = self.blocked_us.min(late_us);
        Lateness { total_us: late_us, blocked_us: self.blocked_us }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stall_of_its_own_is_its_own_fault() {
        let mut blame = Blame::default();
        let lateness = blame.handed(2_000_000);
        assert_eq!(lateness, Lateness { total_us: 2_000_000, blocked_us: 0 });
        assert!(lateness.is_late() && lateness.is_own_fault());
    }

    #[test]
    fn a_full_queue_is_not_and_neither_is_catching_up_afterwards() {
        let mut blame = Blame::default();
        assert_eq!(blame.blocked(0), 0);
        assert_eq!(blame.blocked(1_500_000), 1_500_000);
        assert_eq!(blame.unblocked(1_501_000), 1_000);
        for late in [1_500_000, 1_000_000, 10_000] {
            let lateness = blame.handed(late);
            assert!(lateness.is_late() && !lateness.is_own_fault(), "{lateness:?}");
        }
        assert!(!blame.handed(0).is_late());
        assert!(blame.handed(10_000).is_own_fault(), "that time is over");
    }

    #[test]
    fn a_loader_that_sleeps_while_the_queue_is_full_does_not_blame_kafka() {
        let mut blame = Blame::default();
        blame.blocked(0);
        assert_eq!(blame.unblocked(3_000_000), LOOK_US);
        assert!(blame.handed(3_000_000).is_own_fault());
    }

    #[test]
    fn a_stall_while_catching_up_is_told_apart() {
        let mut blame = Blame::default();
        blame.blocked(0);
        blame.blocked(1_000_000);
        blame.unblocked(1_000_000);
        assert!(!blame.handed(1_000_000).is_own_fault());
        assert!(blame.handed(1_300_000).is_own_fault(), "300 ms came on top");
        assert!(!blame.handed(900_000).is_own_fault());
    }
}
