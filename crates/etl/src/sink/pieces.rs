//! A batch that the store did not take at once, piece by piece.

use stores::{Outcome, Part};

/// How far each part of a batch is.
pub(super) struct Pieces<'a> {
    each: Vec<Progress<'a>>,
}

struct Progress<'a> {
    part: &'a Part,
    /// Where the store is, as far as this batch goes.
    at: i64,
    conflicts: u64,
    /// The store is elsewhere, here.
    moved: Option<i64>,
}

impl<'a> Pieces<'a> {
    pub(super) fn new(parts: &'a [Part]) -> Self {
        let begin = |part: &'a Part| Progress { part, at: part.expected, conflicts: 0, moved: None };
        Self { each: parts.iter().map(begin).collect() }
    }

    /// The next `most` sales; nothing at the end.
    pub(super) fn next(&self, most: usize) -> Vec<Part> {
        let mut left = most;
        self.each.iter().filter(|one| !one.is_done()).map_while(|one| one.piece(&mut left)).collect()
    }

    /// Takes what became of a piece. `retried`: an earlier try of it, or of a larger one, failed and may have been written.
    pub(super) fn take(&mut self, piece: &[Part], outcomes: &[Outcome], retried: bool) {
        for (part, outcome) in piece.iter().zip(outcomes) {
            let Some(one) = self.each.iter_mut().find(|one| one.part.partition == part.partition) else { continue };
            match *outcome {
                Outcome::Written { conflicts } => (one.at, one.conflicts) = (part.next, one.conflicts + conflicts),
                Outcome::Moved { actual } if retried && actual > one.at && actual <= one.part.next => one.at = actual,
                Outcome::Moved { actual } => one.moved = Some(actual),
            }
        }
    }

    /// What became of the batch.
    pub(super) fn outcomes(&self) -> Vec<Outcome> {
        let of = |one: &Progress<'_>| match one.moved {
            Some(actual) => Outcome::Moved { actual },
            None => Outcome::Written { conflicts: one.conflicts },
        };
        self.each.iter().map(of).collect()
    }
}

impl Progress<'_> {
    fn is_done(&self) -> bool {
        self.moved.is_some() || self.at >= self.part.next
    }

    /// What comes next, of `left` sales at most; none if there is no room for any.
    fn piece(&self, left: &mut usize) -> Option<Part> {
        let begin = self.part.records.partition_point(|record| record.offset() < self.at);
        let rest = &self.part.records[begin..];
        let records = &rest[..rest.len().min(*left)];
        *left -= records.len();
        let next = match records.last() {
            _ if records.len() == rest.len() => self.part.next,
            Some(last) => last.offset() + 1,
            None => return None,
        };
        Some(Part { partition: self.part.partition.clone(), expected: self.at, next, records: records.to_vec() })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use petstore::{BlockId, Parameters, Petstore};
    use stores::Record;

    use super::*;

    pub(in super::super) fn part(topic: &str, expected: i64, sales: usize, next: i64) -> Part {
        let block = BlockId { run: 1, loader: 0, block: 0 };
        let block = Petstore::new(Parameters::default()).unwrap().block(block).to_sales();
        let records = (expected..).zip(&block[..sales]).map(|(n, sale)| Record::new(sale.clone(), 1, n).unwrap());
        Part { partition: (topic.to_owned(), 0), expected, next, records: records.collect() }
    }

    fn shape(parts: &[Part]) -> Vec<(&str, i64, i64, usize)> {
        parts.iter().map(|part| (part.partition.0.as_str(), part.expected, part.next, part.records.len())).collect()
    }

    const WRITTEN: Outcome = Outcome::Written { conflicts: 1 };

    #[test]
    fn all_of_a_batch_is_written_in_order_whatever_the_size_of_a_piece() {
        let parts = [part("a", 5, 3, 10), part("b", 0, 0, 7), part("c", 0, 2, 2)];
        let mut pieces = Pieces::new(&parts);
        for (most, expected) in [
            (2, vec![("a", 5, 7, 2), ("b", 0, 7, 0)]),
            (1, vec![("a", 7, 10, 1)]),
            (1, vec![("c", 0, 1, 1)]),
            (1, vec![("c", 1, 2, 1)]),
        ] {
            let piece = pieces.next(most);
            assert_eq!(shape(&piece), expected);
            pieces.take(&piece, &vec![WRITTEN; piece.len()], false);
        }
        assert_eq!(shape(&pieces.next(9)), []);
        let conflicts = |conflicts| Outcome::Written { conflicts };
        assert_eq!(pieces.outcomes(), [conflicts(2), conflicts(1), conflicts(2)]);
    }

    #[test]
    fn a_part_that_moved_is_left_alone() {
        let parts = [part("a", 5, 3, 10), part("b", 0, 1, 1)];
        let mut pieces = Pieces::new(&parts);
        let piece = pieces.next(1);
        pieces.take(&piece, &[Outcome::Moved { actual: 8 }], false);
        assert_eq!(shape(&pieces.next(9)), [("b", 0, 1, 1)]);
        assert_eq!(pieces.outcomes()[0], Outcome::Moved { actual: 8 });
    }

    #[test]
    fn what_a_try_without_an_answer_has_written_is_gone_on_from() {
        let parts = [part("a", 5, 4, 10)];
        let mut pieces = Pieces::new(&parts);
        let piece = pieces.next(1);
        pieces.take(&piece, &[Outcome::Moved { actual: 7 }], true);
        let rest = pieces.next(9);
        assert_eq!(shape(&rest), [("a", 7, 10, 2)]);
        pieces.take(&rest, &[Outcome::Moved { actual: 10 }], true);
        assert_eq!((shape(&pieces.next(9)), pieces.outcomes()), (vec![], vec![Outcome::Written { conflicts: 0 }]));
    }
}
