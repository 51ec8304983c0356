//! What a block holds by the model, and whether a record has the same content.
//!
//! A body is compared by the hash of its bytes first: a body that is byte by byte what the model would write needs no
//! parsing. Only if it differs is it parsed and compared by its canonical digest, which no layout of the JSON fools.

mod cache;
mod chains;
mod difference;
#[cfg(test)]
pub(crate) mod tests;

use std::borrow::Borrow;

use petstore::{BlockId, Receipt, Sale, SaleId, State};
use serde::Serialize;
use serde::de::DeserializeOwned;
use stores::postgres::Row;
use xxhash_rust::xxh3::xxh3_64;

pub(crate) use cache::{Generate, Truths};
pub(crate) use chains::Chains;
pub(crate) use difference::difference;

/// The body of a record, as it came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Body<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) hash: u64,
}

impl<'a> Body<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, hash: xxh3_64(bytes) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
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
    pub(crate) fn is_storable(&self) -> bool {
        !matches!(self, Self::Malformed(_) | Self::Altered { storable: false })
    }
}

/// What a block holds, as far as it is kept: 5 bytes a sale, and 32 more where content is compared.
#[derive(Debug)]
pub(crate) struct Truth {
    id: BlockId,
    states: Box<[State]>,
    stores: Box<[u32]>,
    content: Option<Content>,
}

#[derive(Debug)]
struct Content {
    sales: Prints,
    receipts: Prints,
}

/// In the order of the sales.
#[derive(Debug)]
struct Prints {
    /// Hashes of the bodies as the model writes them.
    bodies: Box<[u64]>,
    /// The canonical digests.
    digests: Box<[u64]>,
}

impl Truth {
    /// Takes what the model generated; `content`: whether bodies are to be compared.
    pub(crate) fn new(id: BlockId, sales: &[Sale], content: bool) -> Self {
        Self {
            id,
            states: sales.iter().map(Sale::state).collect(),
            stores: sales.iter().map(|sale| sale.store.id).collect(),
            content: content.then(|| Content::new(sales)),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.states.len()
    }

    fn bytes(&self) -> usize {
        let each =
            size_of::<State>() + size_of::<u32>() + if self.content.is_some() { 4 * size_of::<u64>() } else { 0 };
        size_of::<Self>() + self.len() * each
    }

    /// The state that a sale belongs to, if the block has so many.
    pub(crate) fn state(&self, index: u32) -> Option<State> {
        self.states.get(index as usize).copied()
    }

    pub(crate) fn store(&self, index: u32) -> Option<u32> {
        self.stores.get(index as usize).copied()
    }

    pub(crate) fn sale(&self, index: u32, body: Body<'_>) -> Comparison {
        let read = |sale: &Sale| (sale.id, petstore::digest(sale));
        // What a due time and an offset may be is another question.
        let is_storable = |sale| stores::Record::new(sale, 0, 0).is_ok();
        self.compare(index, body, "sale", |content| &content.sales, read, is_storable)
    }

    pub(crate) fn receipt(&self, index: u32, body: Body<'_>) -> Comparison {
        let read = |receipt: &Receipt| (receipt.id, petstore::receipt_digest(receipt));
        self.compare(index, body, "receipt", |content| &content.receipts, read, |_| true)
    }

    /// Compares a body that holds a `T`, called `what`. `read`: its sale and its digest.
    fn compare<T: DeserializeOwned>(
        &self,
        index: u32,
        body: Body<'_>,
        what: &str,
        prints: impl FnOnce(&Content) -> &Prints,
        read: impl FnOnce(&T) -> (SaleId, u64),
        is_storable: impl FnOnce(T) -> bool,
    ) -> Comparison {
        let at = index as usize;
        let expected = self.content.as_ref().map(prints).and_then(|all| Some((*all.bodies.get(at)?, all.digests[at])));
        let Some((hash, digest)) = expected else { return Comparison::Skipped };
        if body.hash == hash {
            return Comparison::Same;
        }
        let found = match serde_json::from_slice::<T>(body.bytes) {
            Ok(found) => found,
            Err(err) => return Comparison::Malformed(format!("the body is not a valid {what}: {err}")),
        };
        match read(&found) {
            (id, _) if id != self.id.sale(index) => Comparison::Malformed(format!("the body is that of sale {id}")),
            (_, found) if found == digest => Comparison::Same,
            _ => Comparison::Altered { storable: is_storable(found) },
        }
    }

    /// Compares a row of Postgres: the digest that was stored with it, and its own columns, which may have been changed
    /// since without the digest.
    pub(crate) fn row(&self, row: &Row) -> Comparison {
        let at = row.index as usize;
        let Some((content, digest)) = self.content.as_ref().and_then(|all| Some((all, *all.sales.digests.get(at)?)))
        else {
            return Comparison::Skipped;
        };
        let columns = row.receipt.as_ref().map(petstore::receipt_digest);
        if row.digest == digest && columns == Ok(content.receipts.digests[at]) {
            Comparison::Same
        } else {
            Comparison::Altered { storable: true }
        }
    }
}

impl Content {
    fn new(sales: &[Sale]) -> Self {
        Self {
            sales: Prints::of(sales.iter(), petstore::digest),
            receipts: Prints::of(sales.iter().map(Sale::receipt), petstore::receipt_digest),
        }
    }
}

impl Prints {
    fn of<T: Serialize>(all: impl Iterator<Item: Borrow<T>>, digest: fn(&T) -> u64) -> Self {
        let mut json = Vec::with_capacity(1_024);
        let prints = all.map(|one| (hash(&mut json, one.borrow()), digest(one.borrow())));
        let (bodies, digests): (Vec<u64>, Vec<u64>) = prints.unzip();
        Self { bodies: bodies.into(), digests: digests.into() }
    }
}

/// The hash of the body as its sender writes it.
fn hash(json: &mut Vec<u8>, value: &impl Serialize) -> u64 {
    json.clear();
    // A Vec takes everything; and a body that could not be written equals none that came.
    let _ = serde_json::to_writer(&mut *json, value);
    xxh3_64(json)
}
