//! What the digest of a sale sees, and what a body may be made of.

use petstore::{BlockId, Parameters, Petstore, Sale, digest};
use proptest::prelude::*;
use serde_json::Value;
use std::sync::LazyLock;

static SALES: LazyLock<Vec<Sale>> = LazyLock::new(|| {
    let petstore = Petstore::new(Parameters { days: 10, ..Parameters::default() }).unwrap();
    petstore.block(BlockId { run: 7, loader: 1, block: 2 }).to_sales()
});

fn sale() -> impl Strategy<Value = &'static Sale> {
    any::<prop::sample::Index>().prop_map(|index| index.get(&SALES))
}

/// Returns the paths of all numbers and texts.
fn leaves(value: &Value, path: &str) -> Vec<String> {
    match value {
        Value::Object(fields) => {
            fields.iter().flat_map(|(name, value)| leaves(value, &format!("{path}/{name}"))).collect()
        }
        Value::Array(items) => {
            items.iter().enumerate().flat_map(|(index, value)| leaves(value, &format!("{path}/{index}"))).collect()
        }
        _ => vec![path.to_owned()],
    }
}

/// Changes a number or a text to another one that can stand in its place.
fn change(path: &str, value: &mut Value, by: u8) {
    *value = match value {
        Value::Number(number) => (number.as_u64().unwrap() ^ (1 << (by % 7))).into(),
        Value::String(text) if path == "/id" => text.replace("/1/2/", "/1/3/").into(),
        Value::String(text) if path.ends_with("/state") => if text == "wy" { "ca" } else { "wy" }.into(),
        Value::String(text) => {
            let at = usize::from(by) % (text.len() + 1);
            format!("{}{}{}", &text[..at], char::from(b'!' + by % 90), &text[at..]).into()
        }
        other => panic!("{other}"),
    };
}

proptest! {
    #[test]
    fn json_survives_a_round_trip(sale in sale()) {
        let json = serde_json::to_vec(sale).unwrap();
        let read: Sale = serde_json::from_slice(&json).unwrap();
        prop_assert_eq!(&read, sale);
        prop_assert_eq!(serde_json::to_vec(&read).unwrap(), json);
        prop_assert_eq!(digest(&read), digest(sale));
    }

    #[test]
    fn the_digest_ignores_formatting(sale in sale()) {
        let sorted = serde_json::to_value(sale).unwrap();
        let pretty = serde_json::to_string_pretty(&sorted).unwrap();
        let mut escaped = pretty.replace("\"ca\"", "\"\\u0063a\"").replace('\n', "\r\n\t");
        escaped = escaped.replacen('{', "{\"unknown\": [1.5, null], ", 1);
        for json in [sorted.to_string(), pretty, escaped] {
            prop_assert_eq!(digest(&serde_json::from_str(&json).unwrap()), digest(sale));
        }
    }

    #[test]
    fn the_digest_sees_every_field(sale in sale(), leaf: prop::sample::Index, by: u8) {
        let mut json = serde_json::to_value(sale).unwrap();
        let leaves = leaves(&json, "");
        let path = leaf.get(&leaves);
        change(path, json.pointer_mut(path).unwrap(), by);
        let altered: Sale = serde_json::from_value(json).unwrap();
        prop_assert_ne!(&altered, sale, "{}", path);
        prop_assert_ne!(digest(&altered), digest(sale), "{}", path);
    }

    #[test]
    fn the_digest_sees_items_come_go_and_change_places(sale in sale()) {
        let mut fewer = sale.clone();
        fewer.items.pop();
        let mut more = sale.clone();
        more.items.push(sale.items[0].clone());
        prop_assert_ne!(digest(&fewer), digest(sale));
        prop_assert_ne!(digest(&more), digest(sale));
        let mut turned = sale.clone();
        turned.items.reverse();
        prop_assert_eq!(digest(&turned) == digest(sale), turned == *sale);
    }

    #[test]
    fn the_digest_sees_where_a_text_ends(sale in sale()) {
        let mut moved = sale.clone();
        let mut first = moved.customer.first.into_owned();
        let last = format!("{}{}", first.pop().unwrap(), moved.customer.last);
        (moved.customer.first, moved.customer.last) = (first.into(), last.into());
        prop_assert_ne!(digest(&moved), digest(sale));
    }

    #[test]
    fn broken_bytes_are_an_error_or_another_sale(sale in sale(), at: prop::sample::Index, byte: u8, cut in any::<bool>()) {
        let mut json = serde_json::to_vec(sale).unwrap();
        let at = at.index(json.len());
        if cut {
            json.truncate(at);
            prop_assert!(petstore::from_json::<Sale>(&json).is_err());
        } else {
            json[at] = byte;
            if let Ok(read) = petstore::from_json::<Sale>(&json) {
                prop_assert_eq!(digest(&read) == digest(sale), read == *sale);
            }
        }
    }
}

#[test]
fn every_leaf_of_a_sale_is_digested() {
    let sale = &SALES[0];
    let json = serde_json::to_value(sale).unwrap();
    for path in leaves(&json, "") {
        let mut altered = json.clone();
        change(&path, altered.pointer_mut(&path).unwrap(), 3);
        assert_ne!(digest(&serde_json::from_value(altered).unwrap()), digest(sale), "{path}");
    }
}

#[test]
fn what_is_no_sale_is_refused_with_the_reason() {
    let json = serde_json::to_value(&SALES[0]).unwrap();
    for (path, value, reason) in [
        ("/store/state", Value::from("zz"), "unknown variant `zz`"),
        ("/customer/state", "CA".into(), "unknown variant `CA`"),
        ("/id", "7/1/2/3".into(), "is not a sale id"),
        ("/cents", (-1).into(), "expected u32"),
        ("/cents", 1.5.into(), "expected u32"),
        ("/time", "soon".into(), "expected u64"),
        ("/customer/pets/dogs", 256.into(), "expected u8"),
        ("/items/0/brand", Value::Null, "expected a string"),
        ("/store", Value::Null, "expected struct Store"),
    ] {
        let mut altered = json.clone();
        *altered.pointer_mut(path).unwrap() = value;
        let error = serde_json::from_str::<Sale>(&altered.to_string()).unwrap_err().to_string();
        assert!(error.contains(reason), "{path}: {error}");
    }
    for name in ["id", "time", "store", "customer", "items", "cents"] {
        let mut altered = json.clone();
        altered.as_object_mut().unwrap().remove(name);
        let error = serde_json::from_value::<Sale>(altered).unwrap_err().to_string();
        assert_eq!(error, format!("missing field `{name}`"));
    }
}
