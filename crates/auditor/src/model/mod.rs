//! What a block holds by the model, and whether a record has the same content.
//!
//! A body is compared by the hash of its bytes first: a body that is byte by byte what the model would write needs no
//! parsing. Only if it differs is it parsed and compared by its canonical digest, which no layout of the JSON fools.

mod cache;
mod chains;
mod difference;
#[cfg(test)]
pub(crate) mod tests;

use petstore::{BlockId, Generated, Receipt, Sale, SaleId, State};
use serde::de::DeserializeOwned;
use stores::postgres::Row;
use xxhash_rust::xxh3::xxh3_64;

pub(crate) use cache::{Model, Truths};
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

/// In the order of the sales.
#[derive(Debug)]
struct Content {
    sales: Box<[Print]>,
    receipts: Box<[Print]>,
}

/// The hash of a body as the model writes it, and the canonical digest.
type Print = (u64, u64);

/// What is kept of a sale that the model generated.
pub(crate) trait Sold {
    fn state(&self) -> State;
    fn store(&self) -> u32;
    /// Appends its body as it is sent.
    fn write_json(&self, json: &mut Vec<u8>);
    fn digest(&self) -> u64;
    /// Appends the body of its receipt.
    fn write_receipt_json(&self, json: &mut Vec<u8>);
    fn receipt_digest(&self) -> u64;
}

impl Sold for Generated<'_> {
    fn state(&self) -> State {
        self.state()
    }

    fn store(&self) -> u32 {
        self.store().id
    }

    fn write_json(&self, json: &mut Vec<u8>) {
        self.write_json(json);
    }

    fn digest(&self) -> u64 {
        self.digest()
    }

    fn write_receipt_json(&self, json: &mut Vec<u8>) {
        self.write_receipt_json(json);
    }

    fn receipt_digest(&self) -> u64 {
        self.receipt_digest()
    }
}

impl Truth {
    /// Takes a block's sales in their order; `content`: whether bodies are to be compared.
    pub(crate) fn new<S: Sold>(id: BlockId, sales: impl Iterator<Item = S>, content: bool) -> Self {
        let (mut states, mut stores) = (Vec::new(), Vec::new());
        let (mut of_sales, mut of_receipts) = (Vec::new(), Vec::new());
        let mut json = Vec::with_capacity(1_024);
        for sale in sales {
            states.push(sale.state());
            stores.push(sale.store());
            if content {
                of_sales.push((hash(&mut json, |json| sale.write_json(json)), sale.digest()));
                of_receipts.push((hash(&mut json, |json| sale.write_receipt_json(json)), sale.receipt_digest()));
            }
        }
        let content = content.then(|| Content { sales: of_sales.into(), receipts: of_receipts.into() });
        Self { id, states: states.into(), stores: stores.into(), content }
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
        prints: impl FnOnce(&Content) -> &[Print],
        read: impl FnOnce(&T) -> (SaleId, u64),
        is_storable: impl FnOnce(T) -> bool,
    ) -> Comparison {
        let expected = self.content.as_ref().map(prints).and_then(|all| all.get(index as usize));
        let Some(&(hash, digest)) = expected else { return Comparison::Skipped };
        if body.hash == hash {
            return Comparison::Same;
        }
        let found = match petstore::from_json::<T>(body.bytes) {
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
        let expected = self.content.as_ref().and_then(|all| Some((all.sales.get(at)?.1, all.receipts.get(at)?.1)));
        let Some((sale, receipt)) = expected else { return Comparison::Skipped };
        let columns = row.receipt.as_ref().map(petstore::receipt_digest);
        if row.digest == sale && columns == Ok(receipt) {
            Comparison::Same
        } else {
            Comparison::Altered { storable: true }
        }
    }
}

/// The hash of a body.
fn hash(json: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) -> u64 {
    json.clear();
    write(json);
    xxh3_64(json)
}
