//! Blocks as they are sent: generated and encoded ahead, off the sending thread.

use std::sync::mpsc::{Receiver, SyncSender};

use petstore::{Block, BlockId, Petstore, State};
use prometheus_client::metrics::counter::Counter;
use service::{Activity, Stopwatch};

/// Bytes of bodies in a piece, at most. Blocks have about two megabytes, or twenty if they last ten years: in pieces, what is
/// made ahead takes the same memory for any block.
const PIECE_BYTES: usize = 1 << 20;
/// More than most sales take.
const SALE_BYTES: usize = 640;
/// Pieces that wait for the sending thread; one more is being made and one being sent, 18 MiB in all. They hide the time
/// that generating a block takes, more would only cost memory.
pub const WAITING: usize = 16;

/// A piece of a block, encoded: all bodies in one piece of memory.
#[derive(Debug)]
pub struct Stock {
    id: BlockId,
    first: u32,
    is_last: bool,
    bodies: Vec<u8>,
    sales: Vec<Entry>,
}

/// One sale of a block, ready to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoded<'a> {
    /// The record's key is this in decimal.
    pub store: u32,
    /// What the sale is routed by.
    pub state: State,
    /// The sale as JSON.
    pub body: &'a [u8],
}

#[derive(Debug)]
struct Entry {
    end: usize,
    store: u32,
    state: State,
}

impl Stock {
    /// Encodes the sales of a block from the one at `first` on, as many as a piece holds.
    fn encode(block: &Block, first: u32) -> Self {
        let left = block.len().saturating_sub(first as usize);
        let expected = (left * SALE_BYTES).min(PIECE_BYTES);
        let (bodies, sales) = (Vec::with_capacity(expected + SALE_BYTES), Vec::with_capacity(expected / SALE_BYTES));
        let mut stock = Self { id: block.id(), first, is_last: false, bodies, sales };
        for sale in block.from(first) {
            if stock.bodies.len() + SALE_BYTES > PIECE_BYTES {
                return stock;
            }
            sale.write_json(&mut stock.bodies);
            stock.sales.push(Entry { end: stock.bodies.len(), store: sale.store().id, state: sale.state() });
        }
        stock.is_last = true;
        stock
    }

    /// Which block it is of.
    pub fn id(&self) -> BlockId {
        self.id
    }

    /// The index of its first sale.
    pub fn first(&self) -> u32 {
        self.first
    }

    /// The index behind its last sale.
    pub fn end(&self) -> u32 {
        u32::try_from(self.sales.len()).unwrap_or(u32::MAX).saturating_add(self.first)
    }

    /// Whether the block ends with it.
    pub fn is_last(&self) -> bool {
        self.is_last
    }

    /// The block's sale at `index`, if it is in this piece.
    pub fn get(&self, index: u32) -> Option<Encoded<'_>> {
        let index = index.checked_sub(self.first)? as usize;
        let entry = self.sales.get(index)?;
        let start = index.checked_sub(1).map_or(0, |before| self.sales[before].end);
        Some(Encoded { store: entry.store, state: entry.state, body: &self.bodies[start..entry.end] })
    }
}

/// The pieces of a block, made one by one.
pub(crate) fn pieces(block: &Block) -> impl Iterator<Item = Stock> {
    let mut next = Some(0);
    std::iter::from_fn(move || {
        let piece = Stock::encode(block, next?);
        next = (!piece.is_last).then(|| piece.end());
        Some(piece)
    })
}

/// Generates the reserved blocks in order until either channel is closed, and counts the sales. Blocks.
pub fn make(
    petstore: &Petstore,
    reserved: &Receiver<BlockId>,
    ready: &SyncSender<Stock>,
    time: &Stopwatch,
    made: &Counter,
) {
    for id in reserved {
        time.begin(Activity::Working);
        for piece in pieces(&petstore.block(id)) {
            made.inc_by(u64::from(piece.end() - piece.first()));
            // A full channel means there is nothing to do until pieces are sent.
            if time.during(Activity::Input, || ready.send(piece)).is_err() {
                return;
            }
        }
        time.begin(Activity::Input);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{channel, sync_channel};

    use petstore::{Parameters, Sale};
    use service::Time;

    use super::*;

    fn petstore() -> Petstore {
        Petstore::new(Parameters { customers: 200, days: 30, ..Parameters::default() }).unwrap()
    }

    const ID: BlockId = BlockId { run: 1, loader: 2, block: 3 };

    #[test]
    fn every_sale_is_there_as_it_was_generated() {
        let block = Petstore::new(Parameters::default()).unwrap().block(ID);
        let (pieces, sales): (Vec<Stock>, _) = (pieces(&block).collect(), block.to_sales());
        assert!(pieces.len() > 1);
        let mut rest = (0..).zip(&sales);
        for (number, piece) in (1..).zip(&pieces) {
            assert_eq!((piece.id(), piece.is_last()), (ID, number == pieces.len()));
            assert_eq!(piece.get(piece.end()), None);
            assert_eq!(piece.first().checked_sub(1).and_then(|before| piece.get(before)), None);
            for index in piece.first()..piece.end() {
                let (expected, sale) = rest.next().unwrap();
                assert_eq!(index, expected);
                let encoded = piece.get(index).unwrap();
                assert_eq!(&serde_json::from_slice::<Sale>(encoded.body).unwrap(), sale);
                assert_eq!((encoded.store, encoded.state), (sale.store.id, sale.state()));
            }
        }
        assert_eq!(rest.next(), None);
    }

    #[test]
    fn a_block_without_sales_is_one_empty_piece() {
        let parameters = Parameters { days: 1, customers: 200, ..Parameters::default() };
        // Of some ten thousand blocks of a day, nobody buys anything in this one.
        let block = Petstore::new(parameters).unwrap().block(BlockId { block: 6_452, ..ID });
        assert!(block.is_empty());
        let pieces: Vec<Stock> = pieces(&block).collect();
        assert_eq!(pieces.iter().map(|piece| (piece.end(), piece.is_last())).collect::<Vec<_>>(), [(0, true)]);
    }

    #[test]
    fn what_is_ahead_takes_twenty_megabytes_however_long_a_block_is() {
        let petstore = Petstore::new(Parameters { days: 3_660, ..Parameters::default() }).unwrap();
        let block = petstore.block(ID);
        let bytes = |piece: &Stock| piece.bodies.capacity() + piece.sales.capacity() * size_of::<Entry>();
        let pieces: Vec<usize> = pieces(&block).map(|piece| bytes(&piece)).collect();
        assert!(pieces.iter().sum::<usize>() > 15_000_000, "the block alone is large: {pieces:?}");
        let largest = pieces.into_iter().max().unwrap();
        assert!(largest * (WAITING + 2) < 20_500_000, "{largest}");
    }

    #[test]
    fn blocks_are_made_in_the_order_of_their_reservation() {
        let (reserve, reserved) = channel();
        let (ready, made) = sync_channel(WAITING);
        let ids = [5, 6].map(|block| BlockId { run: 1, loader: 0, block });
        for id in ids {
            reserve.send(id).unwrap();
        }
        drop(reserve);
        let counter = Counter::default();
        make(&petstore(), &reserved, &ready, &Time::default().start("maker"), &counter);
        drop(ready);
        let made: Vec<Stock> = made.iter().collect();
        assert_eq!(made.iter().filter(|stock| stock.is_last()).map(Stock::id).collect::<Vec<_>>(), ids);
        assert_eq!(counter.get(), made.iter().map(|stock| stock.sales.len() as u64).sum::<u64>());
    }
}
