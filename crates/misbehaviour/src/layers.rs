//! Frameworks inside frameworks: each puts a sale into its own envelope, and hands it on as text.

use std::hint::black_box;

use serde_json::{Value, json};

/// Wraps, copies and parses a body again, so many times. What is not JSON goes through none.
pub(crate) fn pass(body: &[u8], layers: u32) {
    if layers > 0 {
        black_box(through(body, layers));
    }
}

/// The body as it comes out of the last layer.
fn through(body: &[u8], layers: u32) -> Option<Value> {
    let mut payload: Value = serde_json::from_slice(body).ok()?;
    for layer in 0..layers {
        let envelope = json!({ "layer": layer, "headers": { "content-type": "application/json" }, "payload": payload });
        let text = envelope.to_string();
        payload = serde_json::from_str::<Value>(&text).ok()?.get_mut("payload")?.take();
    }
    Some(payload)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_sale_comes_out_as_it_went_in(name: String, cents: i64, layers in 0..20_u32) {
            let sale = json!({ "name": name, "cents": cents, "items": [{ "cents": cents }, null] });
            prop_assert_eq!(through(sale.to_string().as_bytes(), layers), Some(sale));
        }

        #[test]
        fn what_is_not_json_does_no_harm(body: Vec<u8>) {
            pass(&body, 3);
        }
    }
}
