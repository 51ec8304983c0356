//! The table `sale_events`, as both ways of writing to it see it.

use crate::Part;

/// The columns of a sale, here and in `conflicts`. Only `stored_at` is missing, which has a default.
macro_rules! sale_columns {
    () => {
        "run, loader, block, index, topic, partition, kafka_offset, due, state, store, customer, time, cents, items, digest"
    };
}
pub(super) use sale_columns;

/// The columns that are written, in the order in which [`copy`](super::copy) and [`insert`](super::insert) give their values.
macro_rules! event_columns {
    () => {
        concat!($crate::postgres::events::sale_columns!(), ", epoch")
    };
}
pub(super) use event_columns;

/// How many they are.
pub(super) const COLUMNS: u8 = {
    let (list, mut count, mut at) = (event_columns!().as_bytes(), 1, 0);
    while at < list.len() {
        count += (list[at] == b',') as u8;
        at += 1;
    }
    count
};

/// The rows of one part.
pub(super) struct Events<'a> {
    pub(super) part: &'a Part,
    /// Which of the Kafkas that the partition has had the offsets count in.
    pub(super) epoch: i32,
}
