//! Sales whose block is not known yet: the account of blocks is read at the same time, and may be a moment behind.

use petstore::BlockId;

use crate::audit::record::Record;
use crate::model::Body;

/// With so many, or so many bytes of bodies, reading sales pauses until the account of blocks has been read on.
const SALES: usize = 65_536;
const BYTES: usize = 40 << 20;

/// The waiting sales in the order in which they came, each with a number of its own.
#[derive(Default)]
pub(super) struct Waiting {
    sales: Vec<Sale>,
    bytes: usize,
    next: u64,
}

pub(super) struct Sale {
    number: u64,
    /// Without its body.
    pub(super) record: Record<'static>,
    pub(super) body: Box<[u8]>,
}

impl Waiting {
    pub(super) fn push(&mut self, record: &Record<'_>) {
        let body: Box<[u8]> = record.body.bytes.into();
        self.bytes += body.len();
        self.sales.push(Sale { number: self.next, record: Record { body: Body::new(&[]), ..*record }, body });
        self.next += 1;
    }

    /// The number that the next sale will have: all that wait now have a lower one.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Takes out the sales of a block.
    pub(super) fn of(&mut self, id: BlockId) -> Vec<Sale> {
        self.take(|sale| sale.record.id.block_id() == id)
    }

    /// Takes out the sales whose number is below `number`.
    pub(super) fn before(&mut self, number: u64) -> Vec<Sale> {
        self.take(|sale| sale.number < number)
    }

    fn take(&mut self, which: impl Fn(&Sale) -> bool) -> Vec<Sale> {
        let taken: Vec<Sale> = self.sales.extract_if(.., |sale| which(sale)).collect();
        self.bytes -= taken.iter().map(|sale| sale.body.len()).sum::<usize>();
        taken
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
