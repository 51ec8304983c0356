//! What one store has of a block.

use std::collections::BTreeMap;

use kafka::Ranges;
use petstore::State;

use super::Sightings;
use crate::audit::bits::Bits;
use crate::audit::findings::Tally;

/// By the store's last answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stored {
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
    /// What it had at one time that was not seen, and its position after that: to be read so far before that is judged.
    pub(crate) beyond: Option<Box<(Ranges, BTreeMap<State, i64>)>>,
    /// Those whose row is not what was sent.
    pub(super) altered: Bits,
    compared: usize,
    /// All of it was compared with all that was seen: nothing came since that it may not have passed.
    pub(super) verified: bool,
    /// The store may have forgotten it since: it is asked no more.
    pub(crate) forgotten: bool,
}

impl Stored {
    /// Takes how many it has. `abreast`: we have read all that it had written when it last answered.
    pub(crate) fn say(&mut self, found: u32, duplicates: u64, abreast: bool) {
        if abreast || duplicates == 0 {
            self.known = self.duplicates.min(duplicates);
        }
        (self.found, self.duplicates) = (found, duplicates);
    }

    /// Takes what it has and misses of what it has provably passed; gives those that were not known to be lost.
    pub(crate) fn settle(&mut self, certain: Ranges, lost: Ranges) -> Vec<u32> {
        self.certain = certain;
        let known = std::mem::replace(&mut self.lost, lost);
        self.lost.iter().filter(|index| !known.contains(*index)).collect()
    }

    /// Takes what it has that never came its way; gives those that are new. Now all of it is known.
    pub(crate) fn verify(&mut self, extra: Ranges) -> Vec<u32> {
        self.verified = true;
        let known = std::mem::replace(&mut self.extra, extra);
        self.extra.iter().filter(|index| !known.contains(*index)).collect()
    }

    /// Takes which rows are not what was sent, of how many that were compared; gives those that are new.
    pub(crate) fn differ(&mut self, altered: Bits, compared: usize) -> Bits {
        self.compared = compared;
        let known = std::mem::replace(&mut self.altered, altered);
        self.altered.without(&known)
    }

    /// Says that the store may have forgotten it. If it was not compared, it is left out.
    pub(crate) fn forget(self) -> Option<Self> {
        self.is_verified().then_some(Self { forgotten: true, ..self })
    }

    /// Whether all of it is known, sale by sale.
    pub(crate) fn is_verified(&self) -> bool {
        self.verified && self.known == self.duplicates
    }

    /// Its account: what came its way and is storable must be there once; what came more than once, or altered, is not its
    /// fault. `seen`: what was routed.
    pub(crate) fn tally(&self, routed: &Sightings, seen: &Bits) -> Tally {
        let expected = seen.count_without(&routed.broken);
        let lost = self.lost.len().min(expected);
        let found = self.found.saturating_sub(self.extra.len()).min(expected - lost);
        Tally {
            expected: expected.into(),
            found: found.into(),
            lost: lost.into(),
            late: (expected - lost - found).into(),
            duplicate: self.known.saturating_sub(routed.repeated),
            compared: self.compared as u64,
            altered: self.altered.count_without(&routed.altered).into(),
            never_sent: self.extra.len().into(),
            ..Tally::default()
        }
    }
}
