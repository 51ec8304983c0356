//! The real servers that `ci/servers up` runs, and sales to write to them.
#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::HashMap;

use petstore::{BlockId, Parameters, Petstore, Sale};
use stores::{Part, Record, postgres, redis};

pub(crate) const KAFKA: &str = "cluster/mark";
/// A due time, in microseconds since 1970.
pub(crate) const DUE_US: i64 = 1_700_000_000_000_001;

fn variables() -> HashMap<String, String> {
    let path = std::env::var("KAPTURE_SERVERS").expect("KAPTURE_SERVERS names the file that ci/servers up wrote");
    std::fs::read_to_string(path)
        .expect("the file of servers can be read")
        .lines()
        .filter_map(|line| line.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned())))
        .collect()
}

/// A schema of its own.
pub(crate) fn postgres_config() -> postgres::Config {
    let variables = variables();
    serde_json::from_value(serde_json::json!({
        "host": variables["POSTGRES_HOST"],
        "port": variables["POSTGRES_PORT"].parse::<u16>().unwrap(),
        "database": variables["POSTGRES_DATABASE"],
        "user": variables["POSTGRES_USER"],
        "password": variables["POSTGRES_PASSWORD"],
        "schema": format!("test-{:08x}", rand::random::<u32>()),
    }))
    .expect("the variables make a configuration")
}

/// A prefix of its own.
pub(crate) fn redis_config() -> redis::Config {
    let variables = variables();
    serde_json::from_value(serde_json::json!({
        "host": variables["REDIS_HOST"],
        "port": variables["REDIS_PORT"].parse::<u16>().unwrap(),
        "password": variables["REDIS_PASSWORD"],
        "prefix": format!("test-{:08x}-", rand::random::<u32>()),
    }))
    .expect("the variables make a configuration")
}

pub(crate) fn block_id() -> BlockId {
    BlockId { run: 0x9f3a_1c22, loader: 3, block: 17 }
}

/// A block of generated sales.
pub(crate) fn sales() -> Vec<Sale> {
    Petstore::new(Parameters { customers: 200, ..Parameters::default() }).unwrap().block(block_id())
}

/// A part of partition 0 of `topic`: one offset a sale, and one more for the marker of their transaction.
pub(crate) fn part(topic: &str, expected: i64, sales: &[Sale]) -> Part {
    let record = |(offset, sale): (i64, &Sale)| Record::new(sale.clone(), DUE_US, offset).unwrap();
    let next = expected + i64::try_from(sales.len()).unwrap() + 1;
    Part { partition: (topic.to_owned(), 0), expected, next, records: (expected..).zip(sales).map(record).collect() }
}
