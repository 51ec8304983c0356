//! Keeps the logs that are read abreast of each other.
//!
//! What a block holds is kept while its sales come. Kafka hands out as much of a small state's log as of a large one's, so
//! a backlog would be read to its end in some logs when others have hardly begun: all blocks would be wanted all the time,
//! and generated again for each log. So a log that is far ahead rests until the others come up. One that is read to its
//! end holds nobody up.

use super::Audit;
use crate::audit::source::{Positions, Source};

/// A log rests when it is so many blocks ahead of another, and goes on when it is half as many: half of what
/// [`crate::model::Truths`] keeps.
const BLOCKS_AHEAD: i64 = 200;

/// How far each source is, and how far it could be.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// As they were asked for last.
    ends: Positions,
    /// The block of the last sale, counted as blocks were reserved.
    reached: Positions,
    blocks: i64,
}

impl Pace {
    /// The number of a block that was reserved.
    pub(super) fn count(&mut self) -> i64 {
        self.blocks += 1;
        self.blocks
    }

    pub(super) fn reach(&mut self, source: Source, block: i64) {
        self.reached.set(source, block);
    }

    pub(super) fn ends_at(&mut self, source: Source, end: i64) {
        self.ends.set(source, end);
    }

    pub(super) fn unread(&self, source: Source, read: &Positions) -> u64 {
        self.ends.at(source).saturating_sub(read.at(source)).max(0).unsigned_abs()
    }

    /// The least that a source with something unread has reached.
    fn slowest(&self, sources: &[Source], read: &Positions) -> i64 {
        let behind = sources.iter().filter(|source| paced(**source) && self.unread(**source, read) > 0);
        behind.map(|source| self.reached.at(*source)).min().unwrap_or(i64::MAX)
    }

    fn is_ahead(&self, source: Source, slowest: i64, rests: bool) -> bool {
        let limit = if rests { BLOCKS_AHEAD / 2 } else { BLOCKS_AHEAD };
        paced(source) && self.reached.at(source).saturating_sub(slowest) > limit
    }
}

/// What was rejected belongs to no block.
fn paced(source: Source) -> bool {
    source != Source::Rejected
}

impl Audit {
    /// Takes where all sources end, asked for at regular times; content is compared more or less sparingly by what is
    /// unread.
    pub(crate) fn end_at(&mut self, ends: &[i64]) {
        for (source, end) in self.sources.iter().zip(ends) {
            self.pace.ends_at(*source, *end);
        }
        self.sampling.adjust(self.backlog());
    }

    /// Says of each source whether reading it should rest; `rests`: whether it does.
    pub(crate) fn rest(&self, rests: &[bool]) -> Vec<bool> {
        // What comes back is what the memory waits for.
        let (full, waiting) = (self.is_full(), self.waiting.is_full());
        let slowest = self.pace.slowest(&self.sources, &self.read);
        let should = |(source, rests): (&Source, &bool)| {
            let has_sales = *source != Source::Rejected;
            (waiting && has_sales)
                || (full && matches!(source, Source::State(_)))
                || self.pace.is_ahead(*source, slowest, *rests)
        };
        self.sources.iter().zip(rests).map(should).collect()
    }
}

#[cfg(test)]
mod tests {
    use petstore::State;

    use super::*;

    const CA: Source = Source::State(State::Ca);
    const WY: Source = Source::State(State::Wy);
    const ALL: [Source; 3] = [CA, WY, Source::Rejected];

    /// Which of all rest, when California has reached one block and Wyoming another.
    fn resting(pace: &mut Pace, read: &Positions, (ca, wy): (i64, i64), rests: bool) -> [bool; 3] {
        pace.reach(CA, ca);
        pace.reach(WY, wy);
        let slowest = pace.slowest(&ALL, read);
        ALL.map(|source| pace.is_ahead(source, slowest, rests))
    }

    #[test]
    fn a_log_that_is_far_ahead_rests_until_the_others_come_up() {
        let (mut pace, read) = (Pace::default(), Positions::default());
        for source in ALL {
            pace.ends_at(source, 1_000);
        }
        assert_eq!(resting(&mut pace, &read, (0, BLOCKS_AHEAD), false), [false; 3]);
        assert_eq!(resting(&mut pace, &read, (0, BLOCKS_AHEAD + 1), false), [false, true, false]);
        assert_eq!(resting(&mut pace, &read, (1, BLOCKS_AHEAD + 1), true), [false, true, false]);
        assert_eq!(resting(&mut pace, &read, (BLOCKS_AHEAD / 2 + 1, BLOCKS_AHEAD + 1), true), [false; 3]);
    }

    #[test]
    fn a_log_that_is_read_to_its_end_holds_nobody_up() {
        let (mut pace, mut read) = (Pace::default(), Positions::default());
        for source in ALL {
            pace.ends_at(source, 1_000);
        }
        read.set(CA, 1_000);
        assert_eq!(resting(&mut pace, &read, (0, 10 * BLOCKS_AHEAD), false), [false; 3]);
        pace.ends_at(CA, 1_001);
        assert_eq!(resting(&mut pace, &read, (0, 10 * BLOCKS_AHEAD), false), [false, true, false]);
    }
}
