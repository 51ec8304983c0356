//! What was read while a transaction is committed.

use std::collections::VecDeque;

/// What comes in a twentieth of a second at full speed.
const MAX_RECORDS: usize = 15_000;
/// Those have some 8 MB. Each record holds the buffer that it was fetched in, and outsized ones may have a megabyte.
const MAX_BYTES: usize = 16 << 20;

/// A queue that is bounded in records and in bytes.
pub(super) struct Ahead<T> {
    records: VecDeque<(usize, T)>,
    bytes: usize,
}

impl<T> Default for Ahead<T> {
    fn default() -> Self {
        Self { records: VecDeque::new(), bytes: 0 }
    }
}

impl<T> Ahead<T> {
    /// Whether nothing more is to be read.
    pub(super) fn is_full(&self) -> bool {
        self.records.len() >= MAX_RECORDS || self.bytes >= MAX_BYTES
    }

    /// Adds a record of so many bytes.
    pub(super) fn push(&mut self, bytes: usize, record: T) {
        self.bytes += bytes;
        self.records.push_back((bytes, record));
    }

    /// Takes the oldest.
    pub(super) fn pop(&mut self) -> Option<T> {
        let (bytes, record) = self.records.pop_front()?;
        self.bytes -= bytes;
        Some(record)
    }

    /// Drops all.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many records of this size are read ahead.
    fn held(bytes: usize) -> usize {
        let mut ahead = Ahead::default();
        while !ahead.is_full() {
            ahead.push(bytes, ());
        }
        ahead.records.len()
    }

    #[test]
    fn it_is_bounded_in_records_and_in_bytes() {
        assert_eq!(held(550), MAX_RECORDS);
        assert_eq!(held(1 << 20), 16, "a flood of outsized records");
        assert_eq!(held(0), MAX_RECORDS);
    }

    #[test]
    fn what_was_taken_makes_room() {
        let mut ahead = Ahead::default();
        ahead.push(MAX_BYTES, 1);
        ahead.push(1, 2);
        assert!(ahead.is_full());
        assert_eq!((ahead.pop(), ahead.is_full()), (Some(1), false));
        ahead.push(MAX_BYTES, 3);
        ahead.clear();
        assert_eq!((ahead.is_full(), ahead.pop()), (false, None));
    }
}
