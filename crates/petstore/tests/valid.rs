//! The parser that reads in place and the one that keeps what it reads agree on what a sale is.

mod strange;

use petstore::{Sale, SaleRef};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_body_is_valid_if_its_sale_can_be_kept(body in strange::body()) {
        let read = SaleRef::parse(&body);
        let kept = serde_json::from_slice::<Sale>(&body).ok().filter(|sale| sale.check().is_ok());
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
