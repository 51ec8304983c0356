//! A sale, and the one digest of it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::{SaleId, State};

/// One purchase by one customer in one store. Its JSON is what travels through the pipeline.
///
/// All numbers are integers, so that no stage can alter one by printing it in its own way. Text
/// that the model knows is borrowed; text that was read is owned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sale {
    /// Which sale this is.
    pub id: SaleId,
    /// Simulated seconds since the simulation's start.
    pub time: u64,
    /// Where it took place.
    pub store: Store,
    /// Who bought.
    pub customer: Customer,
    /// What was bought, in the order it was put into the basket; never empty when generated.
    pub items: Vec<Item>,
    /// The sum of the items' prices, in cents.
    pub cents: u32,
}

/// A store of the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Store {
    /// Counted from 0; the same store for all loaders of one seed and skew.
    pub id: u32,
    /// The name above the door.
    pub name: Cow<'static, str>,
    /// The state it is in, by which sales are routed.
    pub state: State,
    /// The city it is in.
    pub city: Cow<'static, str>,
    /// Five digits.
    pub zip: Cow<'static, str>,
}

/// Somebody with pets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Customer {
    /// Loader × customers per loader + index: no two loaders share a customer.
    pub id: u64,
    /// The first name.
    pub first: Cow<'static, str>,
    /// The last name.
    pub last: Cow<'static, str>,
    /// The house number and street of their home; empty in sales of model 1, which may still be on their way.
    #[serde(default)]
    pub street: Cow<'static, str>,
    /// The state of their home, which is not always the store's.
    pub state: State,
    /// The city of their home.
    pub city: Cow<'static, str>,
    /// Five digits; empty in sales of model 1.
    #[serde(default)]
    pub zip: Cow<'static, str>,
    /// Whom they buy for.
    pub pets: Pets,
}

/// How many pets a customer keeps, one at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pets {
    /// The number of dogs.
    pub dogs: u8,
    /// The number of cats.
    pub cats: u8,
}

/// One product in a basket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// What kind of thing it is, such as "dry dog food".
    pub category: Cow<'static, str>,
    /// Who makes it.
    pub brand: Cow<'static, str>,
    /// The flavour, or the colour of what has none.
    pub flavor: Cow<'static, str>,
    /// How much is in it, with the unit, such as "15 lb".
    pub size: Cow<'static, str>,
    /// The price in cents.
    pub cents: u32,
}

/// What the last store keeps of a sale: everything except the details of its store and customer. Its JSON is what comes back
/// on `receipts`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Which sale this is of.
    pub id: SaleId,
    /// As in the sale.
    pub time: u64,
    /// The store's state.
    pub state: State,
    /// The store's id.
    pub store: u32,
    /// The customer's id.
    pub customer: u64,
    /// As in the sale.
    pub items: Vec<Item>,
    /// As in the sale.
    pub cents: u32,
}

impl Sale {
    /// Returns the state that this sale is routed by: the store's.
    #[must_use]
    pub const fn state(&self) -> State {
        self.store.state
    }

    /// Returns what the last store keeps of this sale.
    #[must_use]
    pub fn receipt(&self) -> Receipt {
        Receipt {
            id: self.id,
            time: self.time,
            state: self.store.state,
            store: self.store.id,
            customer: self.customer.id,
            items: self.items.clone(),
            cents: self.cents,
        }
    }
}

/// Returns the canonical digest of a sale: XXH3 (64 bits) of all its fields in one binary encoding.
///
/// Two sales have the same digest if and only if (up to 64-bit chance) all their fields are equal,
/// however their JSON was laid out. The encoding is a version, then the fields in their order:
/// integers little-endian in their own width, text and lists behind their length as `u32`.
#[must_use]
pub fn digest(sale: &Sale) -> u64 {
    // Without `..`, here and below, so that a new field doesn't compile until it is part of the digest.
    let Sale { id, time, store, customer, items, cents } = sale;
    digest_of(*id, *time, store, customer, items.iter(), *cents)
}

/// [`digest`] of the parts of a sale.
pub(crate) fn digest_of<'a>(
    id: SaleId,
    time: u64,
    store: &Store,
    customer: &Customer,
    items: impl ExactSizeIterator<Item = &'a Item>,
    cents: u32,
) -> u64 {
    let mut bytes = Encoding::new();
    bytes.id(id);
    bytes.u64(time);

    let Store { id, name, state, city, zip } = store;
    bytes.u32(*id);
    bytes.text(name);
    bytes.state(*state);
    bytes.text(city);
    bytes.text(zip);

    let Customer { id, first, last, street, state, city, zip, pets: Pets { dogs, cats } } = customer;
    bytes.u64(*id);
    bytes.text(first);
    bytes.text(last);
    bytes.text(street);
    bytes.state(*state);
    bytes.text(city);
    bytes.text(zip);
    bytes.0.extend([*dogs, *cats]);

    bytes.items(items);
    bytes.u32(cents);
    bytes.digest()
}

/// Returns the canonical digest of a receipt: like [`digest`], of the fields that a receipt has.
#[must_use]
pub fn receipt_digest(receipt: &Receipt) -> u64 {
    let Receipt { id, time, state, store, customer, items, cents } = receipt;
    receipt_digest_of(*id, *time, (*state, *store, *customer), items.iter(), *cents)
}

/// [`receipt_digest`] of the parts of a receipt: `whose` are the state, the store and the customer.
pub(crate) fn receipt_digest_of<'a>(
    id: SaleId,
    time: u64,
    whose: (State, u32, u64),
    items: impl ExactSizeIterator<Item = &'a Item>,
    cents: u32,
) -> u64 {
    let (state, store, customer) = whose;
    let mut bytes = Encoding::new();
    bytes.id(id);
    bytes.u64(time);
    bytes.state(state);
    bytes.u32(store);
    bytes.u64(customer);
    bytes.items(items);
    bytes.u32(cents);
    bytes.digest()
}

/// The version of the encoding below a digest.
const ENCODING: u8 = 2;

struct Encoding(Vec<u8>);

impl Encoding {
    fn new() -> Self {
        let mut bytes = Vec::with_capacity(512);
        bytes.push(ENCODING);
        Self(bytes)
    }

    fn id(&mut self, SaleId { run, loader, block, index }: SaleId) {
        for number in [run, loader, block, index] {
            self.u32(number);
        }
    }

    fn items<'a>(&mut self, items: impl ExactSizeIterator<Item = &'a Item>) {
        self.length(items.len());
        for Item { category, brand, flavor, size, cents } in items {
            for text in [category, brand, flavor, size] {
                self.text(text);
            }
            self.u32(*cents);
        }
    }

    fn digest(&self) -> u64 {
        xxhash_rust::xxh3::xxh3_64(&self.0)
    }

    fn u32(&mut self, number: u32) {
        self.0.extend(number.to_le_bytes());
    }

    fn u64(&mut self, number: u64) {
        self.0.extend(number.to_le_bytes());
    }

    fn state(&mut self, state: State) {
        self.0.extend(state.code().as_bytes());
    }

    fn text(&mut self, text: &str) {
        self.length(text.len());
        self.0.extend(text.as_bytes());
    }

    /// Nothing that fits a message is longer than a `u32` counts.
    fn length(&mut self, length: usize) {
        self.u32(u32::try_from(length).unwrap_or(u32::MAX));
    }
}
