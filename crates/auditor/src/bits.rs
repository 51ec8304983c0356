//! Which indices of a block were seen: one bit each.

use kafka::Ranges;

/// A set of indices below some thousands. Grows to the highest index that was put in, so callers bound that.
#[derive(Clone, Debug, Default)]
pub struct Bits {
    words: Vec<u64>,
    count: u32,
}

impl Bits {
    /// An empty set.
    pub const fn new() -> Self {
        Self { words: Vec::new(), count: 0 }
    }

    /// What it takes besides itself.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.words.capacity() * 8
    }

    /// Adds an index; `false` if it was there.
    pub fn insert(&mut self, index: u32) -> bool {
        let (word, bit) = place(index);
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        let new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        self.count += u32::from(new);
        new
    }

    /// Adds all of `ranges`.
    pub fn insert_all(&mut self, ranges: &Ranges) {
        for index in ranges.iter() {
            self.insert(index);
        }
    }

    /// Takes an index out.
    pub fn remove(&mut self, index: u32) {
        let (word, bit) = place(index);
        if let Some(bits) = self.words.get_mut(word)
            && *bits & bit != 0
        {
            *bits &= !bit;
            self.count -= 1;
        }
    }

    /// Whether the index is in the set.
    pub fn contains(&self, index: u32) -> bool {
        let (word, bit) = place(index);
        self.words.get(word).is_some_and(|bits| bits & bit != 0)
    }

    /// How many indices are in the set.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Those of the set that are not in `other`.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let mut words = self.words.clone();
        words.iter_mut().zip(&other.words).for_each(|(word, other)| *word &= !other);
        let count = words.iter().map(|word| word.count_ones()).sum();
        Self { words, count }
    }

    /// Those of either set.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        let mut words = self.words.clone();
        words.resize(words.len().max(other.words.len()), 0);
        words.iter_mut().zip(&other.words).for_each(|(word, other)| *word |= other);
        let count = words.iter().map(|word| word.count_ones()).sum();
        Self { words, count }
    }

    /// How many of the set are not in `other`.
    pub fn count_without(&self, other: &Self) -> u32 {
        if self.count == 0 || other.count == 0 { self.count } else { self.without(other).count }
    }

    /// How many of `ranges` are in the set.
    pub fn count_in(&self, ranges: &Ranges) -> u32 {
        ranges.ranges().map(|(start, end)| self.count_between(start, end)).sum()
    }

    /// How many indices from `start` on, below `end`, are in the set.
    pub fn count_between(&self, start: u32, end: u32) -> u32 {
        let (first, last) = (start as usize / 64, (end as usize).div_ceil(64).min(self.words.len()));
        (first..last).map(|word| (self.words[word] & mask(word, start, end)).count_ones()).sum()
    }

    /// Those of `ranges` that are not in the set.
    pub fn missing_from(&self, ranges: &Ranges) -> Ranges {
        let mut missing = Vec::new();
        for (start, end) in ranges.ranges() {
            self.gaps(start, end, &mut missing);
        }
        Ranges::from(missing)
    }

    /// The set as ranges.
    pub fn to_ranges(&self) -> Ranges {
        let end = u32::try_from(self.words.len() * 64).unwrap_or(u32::MAX);
        let mut gaps = Vec::new();
        self.gaps(0, end, &mut gaps);
        let mut ranges = Vec::new();
        let mut from = 0;
        for (start, after) in gaps.into_iter().chain([(end, end)]) {
            ranges.push((from, start));
            from = after;
        }
        Ranges::from(ranges)
    }

    /// Appends the ranges of indices between `start` and `end` that are not in the set.
    fn gaps(&self, start: u32, end: u32, gaps: &mut Vec<(u32, u32)>) {
        let mut index = start;
        while index < end {
            let first = index + self.run(index, end, true);
            let after = first + self.run(first, end, false);
            if first < after {
                gaps.push((first, after));
            }
            index = after;
        }
    }

    /// How many indices from `index` on, below `end`, are alike: in the set (`set`), or not.
    fn run(&self, index: u32, end: u32, set: bool) -> u32 {
        let mut at = index;
        while at < end {
            let shift = at % 64;
            let word = self.words.get(at as usize / 64).copied().unwrap_or(0) >> shift;
            let alike = if set { word.trailing_ones() } else { word.trailing_zeros() }.min(64 - shift);
            at += alike;
            if alike < 64 - shift {
                break;
            }
        }
        at.min(end) - index
    }
}

impl FromIterator<u32> for Bits {
    fn from_iter<I: IntoIterator<Item = u32>>(indices: I) -> Self {
        let mut bits = Self::default();
        for index in indices {
            bits.insert(index);
        }
        bits
    }
}

fn place(index: u32) -> (usize, u64) {
    (index as usize / 64, 1 << (index % 64))
}

/// The bits of word number `word` that stand for indices between `start` and `end`.
fn mask(word: usize, start: u32, end: u32) -> u64 {
    let base = word * 64;
    let below = |index: u32| match (index as usize).saturating_sub(base) {
        bits @ 0..64 => (1u64 << bits) - 1,
        _ => u64::MAX,
    };
    below(end) & !below(start)
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
