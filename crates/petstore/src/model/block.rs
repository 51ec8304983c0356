//! A block of sales, kept as the model knows it: each customer, store and product once, and of a sale only which they are.

use std::sync::Arc;

use super::customers::Person;
use super::products::{PRODUCTS, Product};
use super::random::{Purpose, Random};
use super::stores::Chain;
use super::year::{self, Purchase};
use crate::sale::{digest_of, receipt_digest_of};
use crate::{BlockId, COHORT, Item, Parameters, Receipt, Sale, SaleId, State, Store};

/// The sales of one block, in order of simulated time.
#[derive(Debug)]
pub struct Block {
    id: BlockId,
    chain: Arc<Chain>,
    buyers: Vec<Buyer>,
    sales: Vec<Entry>,
    /// The numbers of the products of all sales.
    products: Vec<u8>,
    /// What the text of all its sales' ids begins with.
    id_text: String,
}

/// A customer of the cohort.
#[derive(Debug)]
struct Buyer {
    person: Person,
    /// The part of a sale's JSON from its store to its items, of a sale in the home store.
    json: Vec<u8>,
    /// Where the customer begins in it.
    customer_at: usize,
}

/// What is kept of a sale: 32 bytes.
#[derive(Debug)]
struct Entry {
    time: u64,
    store: u32,
    cents: u32,
    buyer: u32,
    /// Where its products begin: in the order in which sales were generated, customer by customer.
    first: u32,
    items: u32,
}

/// Days that are simulated from empty larders and thrown away, so that a block does not begin with everybody shopping.
const WARM_UP_DAYS: f64 = 60.0;
const SECONDS_PER_DAY: u32 = 86_400;
/// Sales and items a customer makes a day, about: for the size of what is kept.
const SALES_A_DAY: f64 = 0.05;
const ITEMS_A_SALE: usize = 3;

impl Block {
    pub(super) fn generate(parameters: &Parameters, chain: &Arc<Chain>, id: BlockId) -> Self {
        let Parameters { seed, customers, days, hot_store, .. } = *parameters;
        let (cohort, year) = (id.block % (customers / COHORT), u64::from(id.block / (customers / COHORT)));
        let first = u64::from(id.loader) * u64::from(customers) + u64::from(cohort * COHORT);
        let start = year * u64::from(days) * u64::from(SECONDS_PER_DAY);

        let mut block = Self::empty(id, chain, days);
        for (number, buyer) in (first..).zip(0..COHORT) {
            let person = Person::new(seed, number, chain);
            let random = &mut Random::new(seed, Purpose::Year, number, year);
            let until = WARM_UP_DAYS + f64::from(days);
            year::simulate(&person, chain, f64::from(hot_store) / 100.0, until, random, |purchase| {
                if purchase.day >= WARM_UP_DAYS {
                    let time = start + second(purchase.day - WARM_UP_DAYS, days);
                    block.push(time, buyer, purchase);
                }
            });
            block.buyers.push(Buyer::new(person, chain));
        }
        // What one customer bought at one second stays in its order, behind what customers before them did.
        block.sales.sort_unstable_by_key(|sale| (sale.time, sale.first));
        block
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is a guess of some thousand")]
    fn empty(id: BlockId, chain: &Arc<Chain>, days: u32) -> Self {
        let sales = (f64::from(COHORT) * f64::from(days) * SALES_A_DAY) as usize;
        Self {
            id,
            chain: Arc::clone(chain),
            buyers: Vec::with_capacity(COHORT as usize),
            sales: Vec::with_capacity(sales),
            products: Vec::with_capacity(sales * ITEMS_A_SALE),
            id_text: format!("{id}/"),
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "ten years of a cohort have less than a million items")]
    fn push(&mut self, time: u64, buyer: u32, purchase: &Purchase<'_>) {
        let (first, items) = (self.products.len() as u32, purchase.products.len() as u32);
        self.products.extend_from_slice(purchase.products);
        let cents = purchase.products.iter().map(|product| PRODUCTS[usize::from(*product)].item.cents).sum();
        self.sales.push(Entry { time, store: purchase.store, cents, buyer, first, items });
    }

    /// Which block it is.
    #[must_use]
    pub fn id(&self) -> BlockId {
        self.id
    }

    /// How many sales it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sales.len()
    }

    /// Whether it has none, as may be if a block is a single day.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sales.is_empty()
    }

    /// The sale at `index`, if the block has so many.
    #[must_use]
    pub fn get(&self, index: u32) -> Option<Generated<'_>> {
        let entry = self.sales.get(index as usize)?;
        Some(Generated { block: self, entry, index })
    }

    /// All its sales from the one at `first` on.
    pub fn from(&self, first: u32) -> impl Iterator<Item = Generated<'_>> {
        (first..).map_while(|index| self.get(index))
    }

    /// All its sales.
    pub fn iter(&self) -> impl Iterator<Item = Generated<'_>> {
        self.from(0)
    }

    /// All its sales, each by itself: ten times as large.
    #[must_use]
    pub fn to_sales(&self) -> Vec<Sale> {
        self.iter().map(|sale| sale.to_sale()).collect()
    }
}

/// Returns the second in which `day` falls, which is within `days` even where multiplying rounds up to their end.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 3,660 days' seconds")]
fn second(day: f64, days: u32) -> u64 {
    let second = (day * f64::from(SECONDS_PER_DAY)) as u64;
    second.min(u64::from(days) * u64::from(SECONDS_PER_DAY) - 1)
}

impl Buyer {
    fn new(person: Person, chain: &Chain) -> Self {
        let mut json = Vec::with_capacity(320);
        json.extend_from_slice(b",\"store\":");
        encode(&mut json, chain.store(person.home_store));
        let customer_at = json.len();
        json.extend_from_slice(b",\"customer\":");
        encode(&mut json, &person.customer);
        json.extend_from_slice(b",\"items\":[");
        Self { person, json, customer_at }
    }
}

fn encode(json: &mut Vec<u8>, value: &impl serde::Serialize) {
    serde_json::to_writer(json, value).expect("text and numbers have a JSON, and memory takes it");
}

/// A sale of a block: what a [`Sale`] says, without a copy.
#[derive(Clone, Copy, Debug)]
pub struct Generated<'a> {
    block: &'a Block,
    entry: &'a Entry,
    index: u32,
}

impl<'a> Generated<'a> {
    /// Which sale it is.
    #[must_use]
    pub fn id(&self) -> SaleId {
        self.block.id.sale(self.index)
    }

    /// Where it took place.
    #[must_use]
    pub fn store(&self) -> &'a Store {
        self.block.chain.store(self.entry.store)
    }

    /// The state that it is routed by: the store's.
    #[must_use]
    pub fn state(&self) -> State {
        self.store().state
    }

    /// The sale by itself.
    #[must_use]
    pub fn to_sale(&self) -> Sale {
        Sale {
            id: self.id(),
            time: self.entry.time,
            store: self.store().clone(),
            customer: self.buyer().person.customer.clone(),
            items: self.items().cloned().collect(),
            cents: self.entry.cents,
        }
    }

    /// What the last store keeps of it.
    #[must_use]
    pub fn receipt(&self) -> Receipt {
        Receipt {
            id: self.id(),
            time: self.entry.time,
            state: self.state(),
            store: self.entry.store,
            customer: self.buyer().person.customer.id,
            items: self.items().cloned().collect(),
            cents: self.entry.cents,
        }
    }

    /// Appends its JSON, which is that of [`Self::to_sale`].
    pub fn write_json(&self, json: &mut Vec<u8>) {
        let (buyer, mut number) = (self.buyer(), itoa::Buffer::new());
        json.extend_from_slice(b"{\"id\":\"");
        json.extend_from_slice(self.block.id_text.as_bytes());
        json.extend_from_slice(number.format(self.index).as_bytes());
        json.extend_from_slice(b"\",\"time\":");
        json.extend_from_slice(number.format(self.entry.time).as_bytes());
        if self.entry.store == buyer.person.home_store {
            json.extend_from_slice(&buyer.json);
        } else {
            json.extend_from_slice(b",\"store\":");
            encode(json, self.store());
            json.extend_from_slice(&buyer.json[buyer.customer_at..]);
        }
        self.write_items(json, number);
    }

    /// Appends the JSON of its receipt, which is that of [`Self::receipt`].
    pub fn write_receipt_json(&self, json: &mut Vec<u8>) {
        let mut number = itoa::Buffer::new();
        json.extend_from_slice(b"{\"id\":\"");
        json.extend_from_slice(self.block.id_text.as_bytes());
        json.extend_from_slice(number.format(self.index).as_bytes());
        json.extend_from_slice(b"\",\"time\":");
        json.extend_from_slice(number.format(self.entry.time).as_bytes());
        json.extend_from_slice(b",\"state\":\"");
        json.extend_from_slice(self.state().code().as_bytes());
        json.extend_from_slice(b"\",\"store\":");
        json.extend_from_slice(number.format(self.entry.store).as_bytes());
        json.extend_from_slice(b",\"customer\":");
        json.extend_from_slice(number.format(self.buyer().person.customer.id).as_bytes());
        json.extend_from_slice(b",\"items\":[");
        self.write_items(json, number);
    }

    /// From the first item to the end, which are the same in both.
    fn write_items(&self, json: &mut Vec<u8>, mut number: itoa::Buffer) {
        for (at, product) in self.products().enumerate() {
            if at > 0 {
                json.push(b',');
            }
            json.extend_from_slice(&product.json);
        }
        json.extend_from_slice(b"],\"cents\":");
        json.extend_from_slice(number.format(self.entry.cents).as_bytes());
        json.push(b'}');
    }

    /// The canonical digest of the sale: see [`crate::digest`].
    #[must_use]
    pub fn digest(&self) -> u64 {
        let Entry { time, cents, .. } = *self.entry;
        digest_of(self.id(), time, self.store(), &self.buyer().person.customer, self.items(), cents)
    }

    /// The canonical digest of its receipt: see [`crate::receipt_digest`].
    #[must_use]
    pub fn receipt_digest(&self) -> u64 {
        let Entry { time, cents, store, .. } = *self.entry;
        let customer = self.buyer().person.customer.id;
        receipt_digest_of(self.id(), time, (self.state(), store, customer), self.items(), cents)
    }

    fn buyer(&self) -> &'a Buyer {
        &self.block.buyers[self.entry.buyer as usize]
    }

    fn products(&self) -> impl ExactSizeIterator<Item = &'static Product> + use<'a> {
        let Entry { first, items, .. } = *self.entry;
        let numbers = &self.block.products[first as usize..][..items as usize];
        numbers.iter().map(|number| &PRODUCTS[usize::from(*number)])
    }

    fn items(&self) -> impl ExactSizeIterator<Item = &'static Item> + use<'a> {
        self.products().map(|product| &product.item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Petstore, digest, receipt_digest};

    #[test]
    fn a_sale_in_its_block_says_the_same_as_by_itself() {
        let parameters = Parameters { days: 200, customers: 400, hot_store: 10, ..Parameters::default() };
        let petstore = Petstore::new(parameters).unwrap();
        for number in [0, 1, 7] {
            let block = petstore.block(BlockId { run: 0x0000_002a, loader: 12, block: number });
            let sales = block.to_sales();
            assert!(sales.len() > 1_000 && sales.len() == block.len());
            for (sale, generated) in sales.iter().zip(block.iter()) {
                let (mut json, receipt) = (Vec::new(), sale.receipt());
                generated.write_json(&mut json);
                assert_eq!(String::from_utf8_lossy(&json), serde_json::to_string(sale).unwrap());
                json.clear();
                generated.write_receipt_json(&mut json);
                assert_eq!(String::from_utf8_lossy(&json), serde_json::to_string(&receipt).unwrap());
                assert_eq!((generated.receipt(), generated.id(), generated.state()), (receipt, sale.id, sale.state()));
                assert_eq!(
                    (generated.digest(), generated.receipt_digest()),
                    (digest(sale), receipt_digest(&sale.receipt()))
                );
            }
        }
    }

    #[test]
    fn sales_are_found_by_their_index() {
        let petstore = Petstore::new(Parameters { days: 10, ..Parameters::default() }).unwrap();
        let block = petstore.block(BlockId { run: 1, loader: 0, block: 0 });
        let count = u32::try_from(block.len()).unwrap();
        assert_eq!(block.get(3).map(|sale| sale.id().index), Some(3));
        assert!(block.get(count).is_none() && !block.is_empty());
        assert_eq!(block.from(count - 2).map(|sale| sale.id().index).collect::<Vec<_>>(), [count - 2, count - 1]);
    }
}
