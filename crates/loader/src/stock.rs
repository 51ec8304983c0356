//! Blocks as they are sent: generated and encoded ahead, off the sending thread.

use std::sync::mpsc::{Receiver, SyncSender};

use anyhow::Context;
use petstore::{BlockId, Petstore, Sale, State};

/// Blocks that wait, encoded, for the sending thread; one more is being made and one being sent. Each is a few
/// megabytes: two hide the time that generating takes, more would only cost memory.
pub const WAITING: usize = 2;

/// One block, encoded: all bodies in one piece of memory.
#[derive(Debug)]
pub struct Stock {
    id: BlockId,
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
    /// Encodes a block's sales.
    pub fn encode(id: BlockId, sales: &[Sale]) -> anyhow::Result<Self> {
        let mut stock =
            Self { id, bodies: Vec::with_capacity(sales.len() * 640), sales: Vec::with_capacity(sales.len()) };
        for sale in sales {
            serde_json::to_writer(&mut stock.bodies, sale).with_context(|| format!("encoding sale {}", sale.id))?;
            stock.sales.push(Entry { end: stock.bodies.len(), store: sale.store.id, state: sale.state() });
        }
        Ok(stock)
    }

    /// Which block it is.
    pub fn id(&self) -> BlockId {
        self.id
    }

    /// How many sales it has.
    pub fn len(&self) -> u32 {
        u32::try_from(self.sales.len()).unwrap_or(u32::MAX)
    }

    /// Whether it has no sales.
    pub fn is_empty(&self) -> bool {
        self.sales.is_empty()
    }

    /// The sale at `index`, if there are so many.
    pub fn get(&self, index: u32) -> Option<Encoded<'_>> {
        let index = index as usize;
        let entry = self.sales.get(index)?;
        let start = index.checked_sub(1).map_or(0, |before| self.sales[before].end);
        Some(Encoded { store: entry.store, state: entry.state, body: &self.bodies[start..entry.end] })
    }
}

/// Generates the blocks that were reserved, in order, until nobody reserves or sends any more. Blocks.
pub fn make(petstore: &Petstore, reserved: &Receiver<BlockId>, ready: &SyncSender<Stock>) -> anyhow::Result<()> {
    for id in reserved {
        let stock = Stock::encode(id, &petstore.block(id))?;
        if ready.send(stock).is_err() {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{channel, sync_channel};

    use petstore::Parameters;

    use super::*;

    fn petstore() -> Petstore {
        Petstore::new(Parameters { customers: 200, days: 30, ..Parameters::default() }).unwrap()
    }

    #[test]
    fn every_sale_is_there_as_it_was_generated() {
        let id = BlockId { run: 1, loader: 2, block: 3 };
        let sales = petstore().block(id);
        let stock = Stock::encode(id, &sales).unwrap();
        assert_eq!(stock.len() as usize, sales.len());
        assert!(!stock.is_empty());
        for (index, sale) in (0..).zip(&sales) {
            let encoded = stock.get(index).unwrap();
            assert_eq!(&serde_json::from_slice::<Sale>(encoded.body).unwrap(), sale);
            assert_eq!((encoded.store, encoded.state), (sale.store.id, sale.state()));
        }
        assert_eq!(stock.get(stock.len()), None);
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
        make(&petstore(), &reserved, &ready).unwrap();
        drop(ready);
        assert_eq!(made.iter().map(|stock| stock.id()).collect::<Vec<_>>(), ids);
    }
}
