//! The real servers that `ci/servers up` runs, and sales to write to them.
#![allow(dead_code, reason = "each test file uses its part")]

use petstore::{BlockId, Parameters, Petstore, Sale, SaleId};
use stores::{Part, Record, postgres, redis};
use test_servers::Servers;

pub(crate) const KAFKA: &str = "cluster/mark";
/// A due time, in microseconds since 1970.
pub(crate) const DUE_US: i64 = 1_700_000_000_000_001;

/// A schema of its own, named as one is after a release whose name has a full stop.
pub(crate) fn postgres_config() -> postgres::Config {
    Servers::running().postgres(&format!("test-ns_kapture-1.{:08x}", rand::random::<u32>()))
}

/// A prefix of its own.
pub(crate) fn redis_config() -> redis::Config {
    Servers::running().redis(&format!("test-{:08x}-", rand::random::<u32>()))
}

pub(crate) fn block_id() -> BlockId {
    BlockId { run: 0x9f3a_1c22, loader: 3, block: 17 }
}

/// A block of generated sales.
pub(crate) fn sales() -> Vec<Sale> {
    Petstore::new(Parameters { customers: 200, ..Parameters::default() }).unwrap().block(block_id()).to_sales()
}

/// The same sales as those of another run, which a loader takes when Kafka was emptied.
pub(crate) fn of_another_run(sales: &[Sale]) -> Vec<Sale> {
    let of_another_run = |sale: &Sale| Sale { id: SaleId { run: sale.id.run + 1, ..sale.id }, ..sale.clone() };
    sales.iter().map(of_another_run).collect()
}

/// A part of partition 0 of `topic`: one offset a sale, and one more for the marker of their transaction.
pub(crate) fn part(topic: &str, expected: i64, sales: &[Sale]) -> Part {
    let record = |(offset, sale): (i64, &Sale)| Record::new(sale.clone(), DUE_US, offset).unwrap();
    let next = expected + i64::try_from(sales.len()).unwrap() + 1;
    Part { partition: (topic.to_owned(), 0), expected, next, records: (expected..).zip(sales).map(record).collect() }
}
