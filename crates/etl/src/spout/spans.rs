//! Which sales are read next: as much of each partition as is its share of the backlog.
//!
//! So all partitions advance in step, and what is read together was stored together: the sales of all states are mixed in
//! one table, in the order in which they came, and its pages are read once and nearly in order. The same number of each
//! state would reach far ahead in a small one, a page a sale, and read the same pages again for the large ones. From a disk
//! that gives 500 reads a second, with a backlog larger than all caches, this way read 80,000 sales a second, a thousand of
//! each state 5,000. A table a state read as many as this, and would no longer keep a sale's id unique.

use stores::Partition;
use stores::postgres::Span;

/// A partition with the next offset to read, and the one after the last that is stored.
pub(super) type Backlog = (Partition, (i64, i64));

/// Spans of `most` offsets in all, and whether that is the whole backlog. `turn` counts: where not all partitions get a
/// part, others do the next time.
pub(super) fn spans(backlog: &[Backlog], most: usize, turn: usize) -> (Vec<Span>, bool) {
    let of = |(_, (next, stored)): &Backlog| (i128::from(*stored) - i128::from(*next)).max(0);
    let total: i128 = backlog.iter().map(of).sum();
    let most = i128::try_from(most).expect("a number of sales");
    let mut left = most.min(total);
    let mut spans = Vec::new();
    let begin = turn.checked_rem(backlog.len()).unwrap_or_default();
    let (after, before) = backlog.split_at(begin);
    for one in before.iter().chain(after) {
        let share = if total <= most { of(one) } else { (of(one) * most + total - 1) / total }.min(left);
        left -= share;
        if share > 0 {
            let (partition, (next, _)) = one;
            let below = next + i64::try_from(share).expect("no more than its backlog");
            spans.push((partition.clone(), (*next, below)));
        }
    }
    (spans, total <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backlog(of: &[(&str, i64, i64)]) -> Vec<Backlog> {
        of.iter().map(|(topic, next, stored)| (((*topic).to_owned(), 0), (*next, *stored))).collect()
    }

    fn ends(spans: &[Span]) -> Vec<(&str, i64, i64)> {
        spans.iter().map(|((topic, _), (low, high))| (topic.as_str(), *low, *high)).collect()
    }

    #[test]
    fn a_backlog_that_fits_is_read_whole() {
        let (spans, whole) = spans(&backlog(&[("a", 5, 5), ("b", 7, 9), ("c", 0, 3)]), 5, 0);
        assert_eq!((ends(&spans), whole), (vec![("b", 7, 9), ("c", 0, 3)], true));
        assert_eq!(super::spans(&[], 5, 3), (Vec::new(), true));
    }

    #[test]
    fn partitions_advance_in_step() {
        let (spans, whole) = spans(&backlog(&[("a", 100, 900_100), ("b", 0, 90_000), ("c", 7, 10_007)]), 10_000, 0);
        assert_eq!((ends(&spans), whole), (vec![("a", 100, 9_100), ("b", 0, 900), ("c", 7, 107)], false));
    }

    #[test]
    fn the_smallest_bite_starves_nobody() {
        let mut behind = backlog(&[("a", 0, 3), ("b", 0, 1_000_000), ("c", 0, 1)]);
        for turn in 0..9 {
            let (spans, whole) = spans(&behind, 1, turn);
            assert_eq!((spans.len(), whole), (1, false));
            let (read, (_, high)) = &spans[0];
            behind.iter_mut().find(|(partition, _)| partition == read).unwrap().1.0 = *high;
        }
        let next: Vec<i64> = behind.iter().map(|(_, (next, _))| *next).collect();
        assert!(next[0] == 3 && next[2] == 1 && next[1] == 5, "{next:?}");
    }

    #[test]
    fn a_bite_is_never_exceeded() {
        let many: Vec<Backlog> = (0..51).map(|n| ((n.to_string(), 0), (0, 1 + 1_000 * n))).collect();
        for most in [1, 7, 50, 51, 52, 1_000, 100_000] {
            let (spans, _) = spans(&many, most, 13);
            let offsets: i64 = spans.iter().map(|(_, (low, high))| high - low).sum();
            assert_eq!(usize::try_from(offsets), Ok(most));
        }
    }
}
