//! Bodies that are sales, or nearly so.

use std::sync::LazyLock;

use petstore::{BlockId, MAX_INDEX, Parameters, Petstore, Sale};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

static SALES: LazyLock<Vec<Sale>> = LazyLock::new(|| {
    let petstore = Petstore::new(Parameters { days: 10, ..Parameters::default() }).unwrap();
    petstore.block(BlockId { run: 7, loader: 1, block: 2 }).to_sales()
});

/// Paths of everything in a sale.
fn paths(value: &Value, path: &str) -> Vec<String> {
    let below = match value {
        Value::Object(fields) => {
            fields.iter().flat_map(|(name, value)| paths(value, &format!("{path}/{name}"))).collect()
        }
        Value::Array(items) => {
            items.iter().enumerate().flat_map(|(index, value)| paths(value, &format!("{path}/{index}"))).collect()
        }
        _ => Vec::new(),
    };
    std::iter::once(path.to_owned()).chain(below).collect()
}

/// What stands in the place of something.
fn stranger() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        select(vec![0, 255, 256, (1 << 31) - 1, 1 << 31, u64::from(u32::MAX), 1 << 32, 1 << 63]).prop_map(Value::from),
        select(vec!["a\0b", "", "CA", "ca", "\u{1}\u{7f}\u{2028}\"\\", "🐕", "00000007/1/2/0"]).prop_map(Value::from),
        select(vec![MAX_INDEX, MAX_INDEX + 1]).prop_map(|index| json!(format!("00000007/1/2/{index}"))),
        select(vec![1_u32 << 31, (1 << 31) - 1]).prop_map(|number| json!(format!("00000007/{number}/{number}/1"))),
        select(vec![json!(null), json!([]), json!({}), json!({"ca": null}), json!(true), json!([1, "a"])]),
    ]
}

/// A sale's JSON in which something was replaced, and of whose bytes some were written over.
pub(crate) fn body() -> impl Strategy<Value = Vec<u8>> {
    let bytes = prop_oneof![3 => Just(vec![]), 1 => prop::collection::vec((any::<Index>(), any::<u8>()), 1..3)];
    let texts = select(vec![
        ("", ""),
        ("\"time\"", "\"t\\u0069me\""),
        ("\"cents\"", "\"cents\":1,\"cents\""),
        ("\"street\"", "\"road\""),
        ("\":\"", "\":\"\\u0000"),
        ("\":\"", "\":\"\\ud800"),
        ("\":\"", "\":\"\\ud83d\\udc15"),
        ("{", "{\"unknown\":[1.5,null,\"\\ud800\"],"),
        (":1", ":1e0"),
        (":", ":-0"),
    ]);
    (any::<Index>(), prop::option::of((any::<Index>(), stranger())), texts, bytes).prop_map(
        |(sale, change, (from, to), bytes)| {
            let mut value = serde_json::to_value(sale.get(&SALES)).unwrap();
            if let Some((place, stranger)) = change {
                let paths = paths(&value, "");
                let path: &String = place.get(&paths);
                *value.pointer_mut(path).unwrap() = stranger;
            }
            let mut body = value.to_string().replacen(from, to, 1).into_bytes();
            for (at, byte) in bytes {
                let at = at.index(body.len());
                body[at] = byte;
            }
            body
        },
    )
}
