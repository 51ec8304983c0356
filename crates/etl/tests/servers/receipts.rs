//! What the spout reads and writes: a Postgres that is filled as the sink does, and the receipts.

use std::collections::BTreeMap;

use etl::Role;
use kafka::read_committed;
use petstore::{Receipt, Sale, SaleId, State};
use stores::postgres::Writer;
use stores::{Adopt, Outcome, Record, Store};
use tokio_util::sync::CancellationToken;

use super::{LIMIT, Part};

/// A part with one partition of receipts, and what fills its Postgres as the sink does.
pub(crate) async fn part() -> (Part, Filler) {
    let mut part = Part::new(Role::Spout).await;
    part.kafka.sales_partitions = 1.try_into().unwrap();
    let filler = Filler::new(&part).await;
    (part, filler)
}

pub(crate) struct Filler {
    writer: Writer,
    part: Part,
    next: BTreeMap<State, i64>,
}

impl Filler {
    /// Begins at the start of all topics of the Kafka that is there.
    pub(crate) async fn new(part: &Part) -> Self {
        let installation = part.kafka.installation(&CancellationToken::new()).await.unwrap().to_string();
        Self { writer: Writer::new(part.postgres(), installation), part: part.clone(), next: BTreeMap::new() }
    }

    /// Drops the positions of the Kafka that Postgres knows.
    pub(crate) async fn adopt(&mut self) {
        let stored = self.part.positions().await.installation.unwrap();
        assert!(self.writer.adopt(&stored).await.unwrap());
    }

    /// Writes sales, with the gaps between offsets that transactions leave.
    pub(crate) async fn fill(&mut self, sales: &[Sale]) {
        let mut by_state: BTreeMap<State, Vec<Sale>> = BTreeMap::new();
        for sale in sales {
            by_state.entry(sale.state()).or_default().push(sale.clone());
        }
        for (state, sales) in by_state {
            let partition = (self.part.kafka.names().state(state), 0);
            let expected = *self.next.entry(state).or_insert(0);
            let records: Vec<Record> =
                (expected..).zip(sales).map(|(n, sale)| Record::new(sale, 5_000_000, n).unwrap()).collect();
            let next = expected + i64::try_from(records.len()).unwrap() + 1;
            self.writer.positions(std::slice::from_ref(&partition)).await.unwrap();
            let outcomes = self.writer.write(&[stores::Part { partition, expected, next, records }]).await.unwrap();
            assert_eq!(outcomes, [Outcome::Written { conflicts: 0 }]);
            self.next.insert(state, next);
        }
    }
}

/// Multiplies what `filler` wrote of one block: so many blocks of the same sales come after it.
pub(crate) async fn multiply(part: &Part, sales: &[Sale], blocks: u32) -> Vec<Sale> {
    let columns = "due, state, store, customer, time, cents, items, digest";
    part.sql(&format!(
        "INSERT INTO sale_events (run, loader, block, index, topic, partition, kafka_offset, {columns}) \
         SELECT run, loader, block + n, index, topic, partition, kafka_offset + n * next_offset, {columns} \
         FROM generate_series(1, {blocks}) AS n, sale_events JOIN positions USING (topic, partition) ORDER BY n; \
         UPDATE positions SET next_offset = next_offset * ({blocks} + 1); ANALYZE sale_events"
    ))
    .await;
    let block =
        |n| sales.iter().map(move |sale| Sale { id: SaleId { block: sale.id.block + n, ..sale.id }, ..sale.clone() });
    (0..=blocks).flat_map(block).collect()
}

/// Receipts in their order, as a reader of committed records sees them.
pub(crate) fn receipts(part: &Part) -> Vec<Receipt> {
    let mut receipts = Vec::new();
    let read = read_committed(&part.kafka, &part.kafka.names().receipts(), LIMIT, |record| {
        let receipt: Receipt = serde_json::from_slice(record.payload().unwrap_or_default()).unwrap();
        let header = record.sale().unwrap();
        assert_eq!((header.id, header.state, header.due_us), (receipt.id, receipt.state, 5_000_000));
        assert_eq!(record.key(), Some(receipt.store.to_string().as_bytes()), "the key is the store");
        receipts.push(receipt);
    });
    // Before the first spout has made it there is no topic.
    if read.is_err() { Vec::new() } else { receipts }
}

/// Each of the sales once, unaltered, and those of a store in their order.
pub(crate) fn assert_exact(receipts: &[Receipt], sales: &[Sale]) {
    let mut sorted: Vec<&Receipt> = receipts.iter().collect();
    sorted.sort_by_key(|receipt| receipt.id);
    let expected: Vec<Receipt> = sales.iter().map(Sale::receipt).collect();
    assert_eq!(sorted, expected.iter().collect::<Vec<_>>());
    let mut last = BTreeMap::new();
    for receipt in receipts {
        let before = last.insert(receipt.store, receipt.id);
        assert!(before.is_none_or(|before| before < receipt.id), "{} came after {before:?}", receipt.id);
    }
}
