//! What is equal is the same however it is laid out, and what differs is found.

use petstore::{Block, BlockId, Parameters, Petstore, Sale};
use stores::postgres::Row;

use super::*;

const BLOCK: BlockId = BlockId { run: 1, loader: 0, block: 0 };

/// Of a chain whose blocks are small, and made in no time.
pub(crate) fn parameters() -> Parameters {
    Parameters { customers: 200, days: 5, ..Parameters::default() }
}

pub(crate) fn block_of(id: BlockId) -> Block {
    Petstore::new(parameters()).unwrap().block(id)
}

pub(crate) fn sales_of(id: BlockId) -> Vec<Sale> {
    block_of(id).to_sales()
}

/// Sales that a test made up.
impl Sold for &Sale {
    fn state(&self) -> State {
        Sale::state(self)
    }

    fn store(&self) -> u32 {
        self.store.id
    }

    fn write_json(&self, json: &mut Vec<u8>) {
        serde_json::to_writer(json, self).unwrap();
    }

    fn digest(&self) -> u64 {
        petstore::digest(self)
    }

    fn write_receipt_json(&self, json: &mut Vec<u8>) {
        serde_json::to_writer(json, &self.receipt()).unwrap();
    }

    fn receipt_digest(&self) -> u64 {
        petstore::receipt_digest(&self.receipt())
    }
}

/// Blocks that a test made up, whatever the parameters.
pub(crate) struct MadeUp<F>(pub(crate) F);

impl<F: FnMut(BlockId) -> Vec<Sale> + Send> Model for MadeUp<F> {
    fn truth(&mut self, _: &Parameters, id: BlockId, content: bool) -> anyhow::Result<Truth> {
        Ok(Truth::new(id, (self.0)(id).iter(), content))
    }

    fn sale(&mut self, _: &Parameters, id: SaleId) -> anyhow::Result<Option<Sale>> {
        Ok((self.0)(id.block_id()).into_iter().nth(id.index as usize))
    }
}

fn sales() -> Vec<Sale> {
    sales_of(BLOCK)
}

fn compare(sale: &Sale, truth: &Truth) -> Comparison {
    truth.sale(0, Body::new(&serde_json::to_vec(sale).unwrap()))
}

#[test]
fn a_body_is_compared_by_what_it_says_not_by_how_it_is_written() {
    let sales = sales();
    let truth = Truth::new(BLOCK, sales.iter(), true);
    assert_eq!(compare(&sales[0], &truth), Comparison::Same);
    let pretty = serde_json::to_vec_pretty(&serde_json::to_value(&sales[0]).unwrap()).unwrap();
    assert_eq!(truth.sale(0, Body::new(&pretty)), Comparison::Same);
    let receipt = serde_json::to_vec_pretty(&sales[0].receipt()).unwrap();
    assert_eq!(truth.receipt(0, Body::new(&receipt)), Comparison::Same);
}

#[test]
fn what_was_altered_is_found_and_whether_a_sink_takes_it() {
    let sales = sales();
    let truth = Truth::new(BLOCK, sales.iter(), true);
    let altered = |change: fn(&mut Sale)| {
        let mut sale = sales[0].clone();
        change(&mut sale);
        compare(&sale, &truth)
    };
    assert_eq!(altered(|sale| sale.cents += 1), Comparison::Altered { storable: true });
    assert_eq!(altered(|sale| sale.items[0].brand = "a\0b".into()), Comparison::Altered { storable: false });
    assert!(matches!(altered(|sale| sale.id.index = 1), Comparison::Malformed(_)));
    assert!(matches!(truth.sale(0, Body::new(b"{}")), Comparison::Malformed(_)));
    let receipt = Receipt { cents: 1, ..sales[0].receipt() };
    assert_eq!(
        truth.receipt(0, Body::new(&serde_json::to_vec(&receipt).unwrap())),
        Comparison::Altered { storable: true }
    );
    assert_eq!(compare(&sales[0], &Truth::new(BLOCK, sales.iter(), false)), Comparison::Skipped);
}

#[test]
fn a_row_is_held_against_its_digest_and_its_own_columns() {
    let sales = sales();
    let truth = Truth::new(BLOCK, sales.iter(), true);
    let row = |digest: u64, receipt| truth.row(&Row { index: 0, digest, receipt });
    let (digest, receipt) = (petstore::digest(&sales[0]), sales[0].receipt());
    assert_eq!(row(digest, Ok(receipt.clone())), Comparison::Same);
    let altered = Comparison::Altered { storable: true };
    assert_eq!(row(digest ^ 1, Ok(receipt.clone())), altered);
    assert_eq!(row(digest, Ok(Receipt { cents: 1, ..receipt })), altered);
    assert_eq!(row(digest, Err("state is \"zz\"".to_owned())), altered);
}

#[test]
fn no_more_is_kept_than_there_is_room_for() {
    let one = sales().swap_remove(0);
    for (content, bytes_a_sale) in [(true, 37), (false, 5)] {
        let generated = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let (count, one) = (std::sync::Arc::clone(&generated), one.clone());
        let generate = move |_| {
            count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            vec![one.clone(); 1_000]
        };
        // Three have room, and a little is left.
        let mut truths = Truths::with_room(Box::new(MadeUp(generate)), 3_500 * bytes_a_sale);
        let mut of = |block: u32| {
            truths.of(BlockId { block, ..BLOCK }, &Parameters::default(), content).unwrap();
            generated.load(std::sync::atomic::Ordering::Relaxed)
        };
        // The one used least recently goes.
        assert_eq!([0, 1, 2, 0, 3, 0, 1].map(&mut of), [1, 2, 3, 3, 4, 4, 5]);
    }
}
