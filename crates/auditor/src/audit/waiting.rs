//! Sales whose block is not known yet: the account of blocks is read at the same time, and may be a moment behind.

use std::collections::VecDeque;

use petstore::BlockId;

use crate::audit::record::Record;
use crate::model::Body;

/// With so many, or so many bytes of bodies, reading sales pauses until the account of blocks has been read on.
const SALES: usize = 65_536;
const BYTES: usize = 40 << 20;

/// The waiting sales in the order in which they came, each with a number of its own.
#[derive(Default)]
pub(super) struct Waiting {
    sales: VecDeque<Sale>,
    bytes: usize,
    next: u64,
}

struct Sale {
    number: u64,
    record: Record<'static>,
    body: Box<[u8]>,
}

impl Waiting {
    pub(super) fn push(&mut self, record: &Record<'_>) {
        let body: Box<[u8]> = record.body.bytes.into();
        self.bytes += body.len();
        self.sales.push_back(Sale { number: self.next, record: Record { body: Body::new(&[]), ..*record }, body });
        self.next += 1;
    }

    /// The number that the next sale will have: all that wait now have a lower one.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    pub(super) fn of(&mut self, id: BlockId) -> Vec<(Record<'static>, Box<[u8]>)> {
        if !self.sales.iter().any(|sale| sale.record.id.block_id() == id) {
            return Vec::new();
        }
        let (of, others) =
            std::mem::take(&mut self.sales).into_iter().partition(|sale| sale.record.id.block_id() == id);
        self.sales = others;
        self.take(of)
    }

    /// Takes out the sales whose number is below `number`, without their bodies.
    pub(super) fn before(&mut self, number: u64) -> Vec<Record<'static>> {
        let count = self.sales.partition_point(|sale| sale.number < number);
        let before = self.sales.drain(..count).collect();
        self.take(before).into_iter().map(|(record, _)| record).collect()
    }

    fn take(&mut self, sales: VecDeque<Sale>) -> Vec<(Record<'static>, Box<[u8]>)> {
        self.bytes -= sales.iter().map(|sale| sale.body.len()).sum::<usize>();
        sales.into_iter().map(|sale| (sale.record, sale.body)).collect()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.sales.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sales.is_empty()
    }

    /// Whether reading sales should pause. What was already on its way may still be put in.
    pub(super) fn is_full(&self) -> bool {
        self.sales.len() >= SALES || self.bytes >= BYTES
    }
}
