//! Whether anything is left for a reader between a committed offset and the end of a partition.
//!
//! A transaction leaves a marker behind its last record, and an aborted one leaves all of its records: they have offsets,
//! and no reader ever gets them. A group commits the offset behind the last record that it got, so that a log read to its
//! end seems to have something left for ever. The offsets alone can't tell that from a record that is not being read. So,
//! where neither the group nor the log moves, the exporter reads on from there as a member of the group would.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kafka::{LogReader, Next};

/// For all partitions together. Those for which there was no time are read at the next poll.
const READ_LIMIT: Duration = Duration::from_secs(2);

/// A wait for the next record.
const POLL: Duration = Duration::from_millis(20);

/// A partition of a topic.
pub(crate) type Id = kafka::Partition;

/// What was read from where to where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) from: i64,
    pub(crate) to: i64,
    /// The first record that a reader gets; none if it gets none before `to`.
    pub(crate) record: Option<i64>,
}

impl Read {
    /// Whether something is left between these offsets; none if they were not read.
    pub(crate) fn is_left(&self, position: i64, end: i64) -> Option<bool> {
        if position < self.from {
            return None;
        }
        match self.record {
            Some(record) => (position <= record).then_some(true),
            None => (end <= self.to).then_some(false),
        }
    }
}

/// Reads each partition from a position to its end, as far as there is time. Blocks.
pub(crate) fn read(config: &kafka::Config, wanted: &BTreeMap<Id, (i64, i64)>) -> anyhow::Result<BTreeMap<Id, Read>> {
    let deadline = Instant::now() + READ_LIMIT;
    let reader = LogReader::sparing(config)?;
    reader.begin(wanted.iter().map(|(id, (from, _))| (id, *from)))?;
    let mut found = BTreeMap::new();
    while found.len() < wanted.len() && Instant::now() < deadline {
        if let Next::Record(record) = reader.next(POLL)? {
            let id = (record.topic().to_owned(), record.partition());
            if let Some((from, to)) = wanted.get(&id) {
                found.entry(id).or_insert(Read { from: *from, to: *to, record: Some(record.offset()) });
            }
            continue;
        }
        // The position moves on over what is not a record, too.
        for (id, position) in reader.positions()? {
            if let Some((from, to)) = wanted.get(&id).filter(|(_, to)| position >= *to) {
                found.entry(id).or_insert(Read { from: *from, to: *to, record: None });
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_tells_of_what_is_inside_it() {
        let markers = Read { from: 10, to: 12, record: None };
        assert_eq!(markers.is_left(10, 12), Some(false));
        assert_eq!(markers.is_left(11, 12), Some(false));
        assert_eq!(markers.is_left(10, 13), None, "the log has grown");
        assert_eq!(markers.is_left(9, 12), None, "it began further back");
        let record = Read { from: 10, to: 20, record: Some(15) };
        assert_eq!(record.is_left(10, 99), Some(true));
        assert_eq!(record.is_left(15, 20), Some(true));
        assert_eq!(record.is_left(16, 20), None, "what is behind that record was not read");
    }
}
