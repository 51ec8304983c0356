//! What a block holds by the model, and whether a record has the same content.
//!
//! A body is compared by the hash of its bytes first: a body that is byte by byte what the model would write needs no
//! parsing. Only if it differs is it parsed and compared by its canonical digest, which no layout of the JSON fools.

mod cache;
mod chains;
mod difference;
#[cfg(test)]
mod tests;

use petstore::{BlockId, Receipt, Sale, SaleId, State};
use stores::postgres::Row;
use xxhash_rust::xxh3::xxh3_64;

pub use cache::{Generate, Truths};
pub(crate) use chains::Chains;
pub use difference::difference;

/// The body of a record, as it came.
#[derive(Clone, Copy, Debug)]
pub struct Body<'a> {
    bytes: &'a [u8],
    hash: u64,
}

impl<'a> Body<'a> {
    /// Takes the bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, hash: xxh3_64(bytes) }
    }

    /// The bytes.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Tells one body from another.
    pub fn hash(&self) -> u64 {
        self.hash
    }
}

/// What became of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// The content of this block is not compared.
    Skipped,
    /// All as the model generates it.
    Same,
    /// A field is another.
    Altered {
        /// Whether a sink would store it even so.
        storable: bool,
    },
    /// The body is nothing of the kind, or that of another sale: no sink takes it.
    Malformed(String),
}

impl Comparison {
    /// Whether a sink takes this record.
    pub fn is_storable(&self) -> bool {
        !matches!(self, Self::Malformed(_) | Self::Altered { storable: false })
    }
}

/// What a block holds, as far as it is kept: 5 bytes a sale, and 32 more where content is compared.
#[derive(Debug)]
pub struct Truth {
    id: BlockId,
    states: Box<[State]>,
    stores: Box<[u32]>,
    content: Option<Content>,
}

/// In the order of the sales.
#[derive(Debug)]
struct Content {
    /// Hashes of the bodies as the model writes them, and the canonical digests.
    bodies: Box<[u64]>,
    digests: Box<[u64]>,
    /// The same of the receipts.
    receipt_bodies: Box<[u64]>,
    receipt_digests: Box<[u64]>,
}

impl Truth {
    /// Takes what the model generated; `content`: whether bodies are to be compared.
    pub fn new(id: BlockId, sales: &[Sale], content: bool) -> Self {
        Self {
            id,
            states: sales.iter().map(Sale::state).collect(),
            stores: sales.iter().map(|sale| sale.store.id).collect(),
            content: content.then(|| Content::new(sales)),
        }
    }

    /// How many sales the block has.
    pub fn len(&self) -> usize {
        self.states.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    /// The state that a sale belongs to, if the block has so many.
    pub fn state(&self, index: u32) -> Option<State> {
        self.states.get(index as usize).copied()
    }

    /// The store that a sale was made in.
    pub fn store(&self, index: u32) -> Option<u32> {
        self.stores.get(index as usize).copied()
    }

    /// Compares a sale's body.
    pub fn sale(&self, index: u32, body: Body<'_>) -> Comparison {
        let at = index as usize;
        let Some((content, expected)) = self.content.as_ref().and_then(|all| Some((all, *all.bodies.get(at)?))) else {
            return Comparison::Skipped;
        };
        if body.hash == expected {
            return Comparison::Same;
        }
        match serde_json::from_slice::<Sale>(body.bytes) {
            Err(err) => Comparison::Malformed(format!("the body is not a valid sale: {err}")),
            Ok(sale) if sale.id != self.id.sale(index) => Comparison::Malformed(other(sale.id)),
            Ok(sale) if petstore::digest(&sale) == content.digests[at] => Comparison::Same,
            // What a due time and an offset may be is another question.
            Ok(sale) => Comparison::Altered { storable: stores::Record::new(sale, 0, 0).is_ok() },
        }
    }

    /// Compares a receipt's body.
    pub fn receipt(&self, index: u32, body: Body<'_>) -> Comparison {
        let at = index as usize;
        let Some((content, expected)) = self.content.as_ref().and_then(|all| Some((all, *all.receipt_bodies.get(at)?)))
        else {
            return Comparison::Skipped;
        };
        if body.hash == expected {
            return Comparison::Same;
        }
        match serde_json::from_slice::<Receipt>(body.bytes) {
            Err(err) => Comparison::Malformed(format!("the body is not a valid receipt: {err}")),
            Ok(receipt) if receipt.id != self.id.sale(index) => Comparison::Malformed(other(receipt.id)),
            Ok(receipt) if petstore::receipt_digest(&receipt) == content.receipt_digests[at] => Comparison::Same,
            Ok(_) => Comparison::Altered { storable: true },
        }
    }

    /// Compares a row of Postgres: the digest that was stored with it, and its own columns, which may have been changed
    /// since without the digest.
    pub fn row(&self, row: &Row) -> Comparison {
        let at = row.index as usize;
        let Some((content, digest)) = self.content.as_ref().and_then(|all| Some((all, *all.digests.get(at)?))) else {
            return Comparison::Skipped;
        };
        let columns = row.receipt.as_ref().map(petstore::receipt_digest);
        if row.digest == digest && columns == Ok(content.receipt_digests[at]) {
            Comparison::Same
        } else {
            Comparison::Altered { storable: true }
        }
    }
}

impl Content {
    fn new(sales: &[Sale]) -> Self {
        let mut json = Vec::with_capacity(1_024);
        let mut content = [const { Vec::new() }; 4].map(|mut list: Vec<u64>| {
            list.reserve_exact(sales.len());
            list
        });
        for sale in sales {
            let receipt = sale.receipt();
            content[0].push(hash(&mut json, sale));
            content[1].push(petstore::digest(sale));
            content[2].push(hash(&mut json, &receipt));
            content[3].push(petstore::receipt_digest(&receipt));
        }
        let [bodies, digests, receipt_bodies, receipt_digests] = content.map(Vec::into_boxed_slice);
        Self { bodies, digests, receipt_bodies, receipt_digests }
    }
}

fn other(id: SaleId) -> String {
    format!("the body is that of sale {id}")
}

/// The hash of the body as its sender writes it.
fn hash(json: &mut Vec<u8>, value: &impl serde::Serialize) -> u64 {
    json.clear();
    // A Vec takes everything; and a body that could not be written equals none that came.
    let _ = serde_json::to_writer(&mut *json, value);
    xxh3_64(json)
}
