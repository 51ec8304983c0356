//! The parser that reads in place and the one that keeps what it reads agree on what a sale is.

mod strange;

use petstore::{Sale, SaleRef};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn a_body_is_valid_if_its_sale_can_be_kept(body in strange::body()) {
        let read = SaleRef::parse(&body);
        let kept = petstore::from_json::<Sale>(&body).ok().filter(|sale| sale.check().is_ok());
        prop_assert_eq!(read.is_ok(), kept.is_some(), "{:?}: {:?}", String::from_utf8_lossy(&body), read);
        if let (Ok(read), Some(kept)) = (read, kept) {
            prop_assert_eq!((read.id, read.time, read.cents), (kept.id, kept.time, kept.cents));
            prop_assert_eq!((read.store.id, read.store.state), (kept.store.id, kept.store.state));
            prop_assert_eq!(&read.store.name.0, &kept.store.name);
            prop_assert_eq!((read.customer.id, &read.customer.last.0), (kept.customer.id, &kept.customer.last));
            prop_assert_eq!(read.items.count, kept.items.len());
        }
    }
}

#[test]
fn a_body_that_is_not_utf_8_in_a_field_that_nobody_reads_is_none() {
    let body = String::from_utf8(include_bytes!("first_sale.json").to_vec()).unwrap();
    let mut body = body.replacen('{', "{\"unknown\":\"?\",", 1).into_bytes();
    assert!(SaleRef::parse(&body).is_ok() && petstore::from_json::<Sale>(&body).is_ok());
    let at = body.iter().position(|byte| *byte == b'?').unwrap();
    body[at] = 0xff;
    let error = SaleRef::parse(&body).unwrap_err().to_string();
    assert!(error.starts_with("the body is not a sale: invalid utf-8"), "{error}");
    assert!(petstore::from_json::<Sale>(&body).is_err());
}
