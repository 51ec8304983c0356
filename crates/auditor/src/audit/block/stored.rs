//! What one store has of a block.

use kafka::Ranges;

use crate::audit::bits::Bits;
use crate::audit::findings::Tally;

/// By the store's last answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Stored {
    found: u32,
    duplicates: u64,
    /// As many as there were when we had read all that they came from.
    known: u64,
    /// Sales that it has provably passed and does not have.
    pub(super) lost: Ranges,
    /// Sales that it has provably passed and does have.
    pub(super) certain: Ranges,
    /// Sales that it has, and that provably never came its way.
    extra: Ranges,
    /// Those whose row is not what was sent.
    pub(super) altered: Bits,
    pub(super) compared: usize,
    /// All of it was compared with all that was seen: nothing came since that it may not have passed.
    pub(super) verified: bool,
    /// The store may have forgotten it since.
    pub(super) forgotten: bool,
}

impl Stored {
    /// Takes how many it has. `abreast`: we have read all that it had written when it last answered.
    pub(super) fn say(&mut self, found: u32, duplicates: u64, abreast: bool) {
        if abreast || duplicates == 0 {
            self.known = self.duplicates.min(duplicates);
        }
        (self.found, self.duplicates) = (found, duplicates);
    }

    /// Takes what it has and misses of what it has provably passed; gives those that were not known to be lost.
    pub(super) fn settle(&mut self, certain: Ranges, lost: Ranges) -> Vec<u32> {
        self.certain = certain;
        let known = std::mem::replace(&mut self.lost, lost);
        self.lost.iter().filter(|index| !known.contains(*index)).collect()
    }

    /// Takes what it has that never came its way; gives those that are new. Now all of it is known.
    pub(super) fn verify(&mut self, extra: Ranges) -> Vec<u32> {
        self.verified = true;
        let known = std::mem::replace(&mut self.extra, extra);
        self.extra.iter().filter(|index| !known.contains(*index)).collect()
    }

    /// Whether all of it is known, sale by sale.
    pub(super) fn is_verified(&self) -> bool {
        self.verified && self.known == self.duplicates
    }

    /// Its account. `expected`: what came its way, each sale once; `repeated`: what came its way more than once;
    /// `altered`: what was altered before it came.
    pub(super) fn tally(&self, expected: u32, repeated: u64, altered: &Bits) -> Tally {
        let lost = self.lost.len().min(expected);
        let found = self.found.saturating_sub(self.extra.len()).min(expected - lost);
        Tally {
            expected: expected.into(),
            found: found.into(),
            lost: lost.into(),
            late: (expected - lost - found).into(),
            duplicate: self.known.saturating_sub(repeated),
            compared: self.compared as u64,
            altered: self.altered.count_without(altered).into(),
            never_sent: self.extra.len().into(),
            ..Tally::default()
        }
    }
}
