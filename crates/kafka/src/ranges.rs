//! A set of numbers kept as ranges: what was acknowledged is nearly always one prefix and few exceptions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A set of `u32` as sorted, disjoint, half-open ranges. As JSON: `[[0,500],[502,510]]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<(u32, u32)>", into = "Vec<(u32, u32)>")]
pub struct Ranges {
    /// First number of a range to the first after it.
    ranges: BTreeMap<u32, u32>,
}

impl Ranges {
    /// Adds one number; `false` if it was there.
    ///
    /// The last `u32` has none after it to end a range with, and is passed over: it is far beyond [`petstore::MAX_INDEX`].
    pub fn insert(&mut self, number: u32) -> bool {
        if self.contains(number) {
            return false;
        }
        let Some(after) = number.checked_add(1) else { return true };
        let mut range = (number, after);
        if let Some((&start, &end)) = self.ranges.range(..number).next_back()
            && end == number
        {
            range.0 = start;
        }
        if let Some(end) = self.ranges.remove(&after) {
            range.1 = end;
        }
        self.ranges.insert(range.0, range.1);
        true
    }

    /// Whether the number is in the set.
    pub fn contains(&self, number: u32) -> bool {
        self.ranges.range(..=number).next_back().is_some_and(|(_, &end)| number < end)
    }

    /// How many numbers are in the set.
    pub fn len(&self) -> u32 {
        self.ranges.iter().map(|(start, end)| end - start).sum()
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The ranges, ascending, half-open.
    pub fn ranges(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.ranges.iter().map(|(&start, &end)| (start, end))
    }

    /// The numbers, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.ranges().flat_map(|(start, end)| start..end)
    }
}

impl From<Vec<(u32, u32)>> for Ranges {
    /// Joins ranges that touch or overlap; an empty one is left out.
    fn from(mut given: Vec<(u32, u32)>) -> Self {
        given.retain(|(start, end)| start < end);
        given.sort_unstable();
        let mut ranges = BTreeMap::new();
        let mut open: Option<(u32, u32)> = None;
        for (start, end) in given {
            open = match open {
                Some((first, last)) if start <= last => Some((first, last.max(end))),
                Some((first, last)) => {
                    ranges.insert(first, last);
                    Some((start, end))
                }
                None => Some((start, end)),
            };
        }
        ranges.extend(open);
        Self { ranges }
    }
}

/// Made of numbers in any order; the last `u32` is passed over.
impl FromIterator<u32> for Ranges {
    fn from_iter<I: IntoIterator<Item = u32>>(numbers: I) -> Self {
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for number in numbers {
            let Some(after) = number.checked_add(1) else { continue };
            match ranges.last_mut() {
                Some((_, end)) if *end == number => *end = after,
                _ => ranges.push((number, after)),
            }
        }
        Self::from(ranges)
    }
}

impl From<Ranges> for Vec<(u32, u32)> {
    fn from(set: Ranges) -> Self {
        set.ranges().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_holds_what_a_set_holds(numbers in prop::collection::vec(0u32..60, 0..80)) {
            let mut ranges = Ranges::default();
            let mut set = BTreeSet::new();
            for number in &numbers {
                prop_assert_eq!(ranges.insert(*number), set.insert(*number));
            }
            prop_assert_eq!(&numbers.into_iter().collect::<Ranges>(), &ranges);
            prop_assert_eq!(ranges.iter().collect::<Vec<_>>(), set.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(ranges.len() as usize, set.len());
            for number in 0..61 {
                prop_assert_eq!(ranges.contains(number), set.contains(&number));
            }
            let pairs: Vec<(u32, u32)> = ranges.ranges().collect();
            prop_assert!(pairs.windows(2).all(|pair| pair[0].1 < pair[1].0), "ranges that touch are one");
            let json = serde_json::to_string(&ranges).unwrap();
            prop_assert_eq!(serde_json::from_str::<Ranges>(&json).unwrap(), ranges);
        }
    }

    #[test]
    fn a_number_without_a_next_one_is_passed_over() {
        let mut ranges = Ranges::default();
        assert!(ranges.insert(u32::MAX - 1) && ranges.insert(u32::MAX));
        assert_eq!(ranges.iter().collect::<Vec<_>>(), [u32::MAX - 1]);
        assert_eq!([u32::MAX - 1, u32::MAX].into_iter().collect::<Ranges>(), ranges);
    }

    #[test]
    fn a_careless_writer_is_understood() {
        let ranges: Ranges = serde_json::from_str("[[5,9],[0,3],[3,4],[7,12],[20,20]]").unwrap();
        assert_eq!(serde_json::to_string(&ranges).unwrap(), "[[0,4],[5,12]]");
    }
}
