//! Which indices of a block were seen: one bit each.

use fixedbitset::FixedBitSet;
use kafka::Ranges;

/// A set of indices below some thousands. Grows to the highest index that was put in, so callers bound that.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bits(FixedBitSet);

impl Bits {
    /// What it takes besides itself.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(self.0.as_slice())
    }

    /// Adds an index; `false` if it was there.
    pub(crate) fn insert(&mut self, index: u32) -> bool {
        self.0.grow(index as usize + 1);
        !self.0.put(index as usize)
    }

    pub(crate) fn remove(&mut self, index: u32) {
        if self.contains(index) {
            self.0.remove(index as usize);
        }
    }

    pub(crate) fn contains(&self, index: u32) -> bool {
        self.0.contains(index as usize)
    }

    pub(crate) fn count(&self) -> u32 {
        number(self.0.count_ones(..))
    }

    /// Those of the set that are not in `other`.
    #[must_use]
    pub(crate) fn without(&self, other: &Self) -> Self {
        let mut left = self.0.clone();
        left.difference_with(&other.0);
        Self(left)
    }

    /// Those of either set.
    #[must_use]
    pub(crate) fn or(&self, other: &Self) -> Self {
        Self(&self.0 | &other.0)
    }

    pub(crate) fn count_without(&self, other: &Self) -> u32 {
        number(self.0.difference_count(&other.0))
    }

    pub(crate) fn count_in(&self, ranges: &Ranges) -> u32 {
        ranges.ranges().map(|(start, end)| self.count_between(start, end)).sum()
    }

    /// How many indices from `start` on, below `end`, are in the set.
    pub(crate) fn count_between(&self, start: u32, end: u32) -> u32 {
        let end = (end as usize).min(self.0.len());
        number(self.0.count_ones((start as usize).min(end)..end))
    }

    /// Those of `ranges` that are not in the set.
    pub(crate) fn missing_from(&self, ranges: &Ranges) -> Ranges {
        // No more memory than the set itself takes, however far the ranges go.
        let length = self.0.len();
        let mut wanted = FixedBitSet::with_capacity(length);
        for (start, end) in ranges.ranges() {
            let end = (end as usize).min(length);
            wanted.insert_range((start as usize).min(end)..end);
        }
        wanted.difference_with(&self.0);
        let mut missing: Vec<(u32, u32)> = Self(wanted).to_ranges().into();
        missing.extend(ranges.ranges().map(|(start, end)| (start.max(number(length)), end)));
        Ranges::from(missing)
    }

    /// The indices, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.ones().map(number)
    }

    pub(crate) fn to_ranges(&self) -> Ranges {
        self.iter().collect()
    }
}

impl FromIterator<u32> for Bits {
    fn from_iter<I: IntoIterator<Item = u32>>(indices: I) -> Self {
        Self(indices.into_iter().map(|index| index as usize).collect())
    }
}

/// Indices, and so counts of them, are `u32`.
fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_answers_as_a_set_does(
            indices in prop::collection::vec(0u32..300, 0..300),
            asked in prop::collection::vec((0u32..320, 0u32..320), 0..6),
        ) {
            let set: BTreeSet<u32> = indices.iter().copied().collect();
            let bits: Bits = indices.into_iter().collect();
            let asked = Ranges::from(asked);
            let other: Bits = asked.iter().collect();
            let left: Vec<u32> = set.iter().copied().filter(|index| !asked.contains(*index)).collect();
            prop_assert_eq!(bits.without(&other).to_ranges().iter().collect::<Vec<_>>(), left.clone());
            prop_assert_eq!(bits.count_without(&other) as usize, left.len());
            prop_assert_eq!(bits.or(&other).to_ranges(), bits.to_ranges().iter().chain(asked.iter()).collect::<Bits>().to_ranges());
            let mut fewer = bits.clone();
            asked.iter().for_each(|index| fewer.remove(index));
            prop_assert_eq!(fewer.to_ranges(), bits.without(&other).to_ranges());
            prop_assert_eq!(fewer.count() as usize, left.len());
            prop_assert_eq!(bits.count() as usize, set.len());
            prop_assert_eq!(bits.to_ranges().iter().collect::<Vec<_>>(), set.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(bits.count_in(&asked) as usize, asked.iter().filter(|index| set.contains(index)).count());
            prop_assert_eq!(
                bits.missing_from(&asked).iter().collect::<Vec<_>>(),
                asked.iter().filter(|index| !set.contains(index)).collect::<Vec<_>>()
            );
            for index in 0..320 {
                prop_assert_eq!(bits.contains(index), set.contains(&index));
            }
        }
    }
}
