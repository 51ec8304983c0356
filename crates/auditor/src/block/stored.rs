//! What one store has of a block.

use kafka::Ranges;

use crate::findings::Tally;

/// A store that has more sales than were seen twice in a row, though both had passed everything, is believed.
const EXCESS: u32 = 2;

/// As the store last said.
#[derive(Clone, Debug, Default)]
pub(super) struct Stored {
    found: u32,
    duplicates: u64,
    lost: Ranges,
    /// It has passed all that was seen.
    passed: bool,
    /// How often in a row it had more than was seen.
    excess: u32,
}

impl Stored {
    /// Something was seen that it may not have passed.
    pub(super) fn fall_behind(&mut self) {
        self.passed = false;
    }

    /// Takes what it has, `seen` having been seen. `final_`: nothing more will be.
    pub(super) fn say(&mut self, found: u32, duplicates: u64, passed: bool, seen: u32, final_: bool) {
        (self.found, self.duplicates, self.passed) = (found, duplicates, passed);
        self.excess = if found > seen && passed && final_ { (self.excess + 1).min(EXCESS) } else { 0 };
        if found >= seen {
            self.lost = Ranges::default();
        }
    }

    /// Takes which sales it lost, and gives those that were not known to be.
    pub(super) fn lose(&mut self, lost: Ranges) -> Vec<u32> {
        let known = std::mem::replace(&mut self.lost, lost);
        self.lost.iter().filter(|index| !known.contains(*index)).collect()
    }

    /// Whether it has, or has lost, all that was seen.
    pub(super) fn is_done(&self, seen: u32) -> bool {
        let have = self.found + self.lost.len();
        self.passed && (have == seen || (have > seen && self.excess >= EXCESS))
    }

    /// Its account.
    pub(super) fn tally(&self, seen: u32) -> Tally {
        let lost = self.lost.len().min(seen);
        let found = self.found.min(seen - lost);
        Tally {
            expected: seen.into(),
            found: found.into(),
            lost: lost.into(),
            late: (seen - lost - found).into(),
            duplicate: self.duplicates,
            never_sent: if self.excess >= EXCESS { self.found.saturating_sub(seen).into() } else { 0 },
            ..Tally::default()
        }
    }
}
