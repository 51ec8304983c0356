//! A set of small numbers, one bit each: acknowledgements come in any order, a few thousand at a time.

use fixedbitset::FixedBitSet;
use kafka::Ranges;

/// Indices of a block.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bits {
    bits: FixedBitSet,
    /// How many are set; asked for at each acknowledgement.
    count: u32,
}

impl Bits {
    /// Adds one number; `false` if it was there.
    pub(crate) fn insert(&mut self, number: u32) -> bool {
        self.bits.grow(number as usize + 1);
        let new = !self.bits.put(number as usize);
        self.count += u32::from(new);
        new
    }

    /// How many numbers are in the set.
    pub(crate) fn len(&self) -> u32 {
        self.count
    }

    /// Whether the set is empty.
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many numbers from 0 on are in the set without a gap.
    pub(crate) fn prefix(&self) -> u32 {
        number(self.bits.zeroes().next().unwrap_or(self.bits.len()))
    }

    /// The same set as ranges.
    pub(crate) fn ranges(&self) -> Ranges {
        // Those that touch become one.
        self.bits.ones().map(number).map(|number| (number, number + 1)).collect::<Vec<_>>().into()
    }
}

/// Only `u32` are put in.
fn number(bit: usize) -> u32 {
    u32::try_from(bit).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_what_was_put_in() {
        let mut bits = Bits::default();
        assert!(bits.is_empty());
        for number in [0, 1, 2, 63, 64, 65, 200, 1, 199, 4_000] {
            bits.insert(number);
        }
        assert_eq!(bits.len(), 9);
        assert_eq!(bits.prefix(), 3);
        let ranges: Vec<(u32, u32)> = bits.ranges().into();
        assert_eq!(ranges, [(0, 3), (63, 66), (199, 201), (4_000, 4_001)]);
    }

    #[test]
    fn the_prefix_ends_at_the_first_gap() {
        let mut bits = Bits::default();
        assert_eq!(bits.prefix(), 0);
        for (number, prefix) in [(1, 0), (0, 2)].into_iter().chain((2..200).map(|number| (number, number + 1))) {
            bits.insert(number);
            assert_eq!(bits.prefix(), prefix);
        }
    }

    #[test]
    fn a_number_is_new_once() {
        let mut bits = Bits::default();
        assert!(bits.insert(7));
        assert!(!bits.insert(7));
        assert_eq!(bits.len(), 1);
    }
}
