//! What a valid sale is: the rules that a record must keep to, so that every store can hold it unaltered.
//!
//! For the stage that accepts or rejects records, [`SaleRef::parse`] applies the rules of the body, without copying it;
//! [`check_due`] and [`check_sizes`] apply those of the rest. [`Sale::check`] is the same for a sale in memory.

use std::borrow::Cow;
use std::fmt::Display;
use std::str::Utf8Error;

use serde::de::{DeserializeOwned, Error as _};

use crate::sale_ref::{SaleRef, can_be_stored};
use crate::{Customer, Item, Sale, SaleId, Store, compact};

/// The longest body of a sale, a hundred times as long as a generated one, which has some 600 bytes.
pub const MAX_SALE_BYTES: usize = 64 << 10;

/// The longest key of a sale's record. A loader's is the store's number.
pub const MAX_KEY_BYTES: usize = 4 << 10;

/// The most that the headers of a sale's record may take, names and values. A loader writes one of some 50 bytes.
pub const MAX_HEADERS_BYTES: usize = 16 << 10;

/// The highest index in a block. A block has a few thousand sales; without a bound, one wrong id would make Redis
/// allocate half a gigabyte for its bitmap.
pub const MAX_INDEX: u32 = (1 << 20) - 1;

/// The latest due time, in microseconds since 1970: the end of the year 9999.
pub const MAX_DUE_US: i64 = 253_402_300_799_999_999;

/// Why something isn't a valid sale. Generated ones always are.
#[derive(Debug, thiserror::Error)]
pub enum Invalid {
    /// A part of the record is longer than that of any sale.
    #[error("{part} of {bytes} bytes is too large for a sale, {most} are the most")]
    Size {
        /// Which part.
        part: &'static str,
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        most: usize,
    },
    /// The body isn't text.
    #[error("the body is not a sale: {0}")]
    Text(#[from] Utf8Error),
    /// The body isn't the JSON of a sale.
    #[error("the body is not a sale: {0}")]
    Json(#[from] serde_json::Error),
    /// A field has a value that not every store can hold.
    #[error("{field} of the sale can't be stored: {value}")]
    Field {
        /// The field's name.
        field: &'static str,
        /// What is in it, as far as it can be shown.
        value: String,
    },
}

impl<'a> SaleRef<'a> {
    /// Reads a sale from its JSON. The error is the reason why it is not a valid one.
    pub fn parse(body: &'a [u8]) -> Result<Self, Invalid> {
        within("a body", body.len(), MAX_SALE_BYTES)?;
        // UTF-8 is checked once for the whole body, instead of string by string.
        let text = str::from_utf8(body)?;
        let sale = compact::read(text).map_or_else(|| serde_json::from_str(text), Ok)?;
        check_numbers(sale.id, sale.time, sale.customer.id)?;
        Ok(sale)
    }
}

/// Reads a sale or a receipt from its JSON, and keeps it. Whether every store can hold it is another question.
///
/// JSON is UTF-8 (RFC 8259, section 8.1) in fields that nobody reads as well, where [`serde_json::from_slice`] would not look.
pub fn from_json<T: DeserializeOwned>(body: &[u8]) -> serde_json::Result<T> {
    serde_json::from_str(str::from_utf8(body).map_err(serde_json::Error::custom)?)
}

impl Sale {
    /// Checks that every store can hold this sale unaltered.
    pub fn check(&self) -> Result<(), Invalid> {
        let Self { id, time, store, customer, items, cents: _ } = self;
        check_numbers(*id, *time, customer.id)?;
        let Store { id: _, name, state: _, city, zip } = store;
        check_texts("store", [name, city, zip])?;
        let Customer { id: _, first, last, street, state: _, city, zip, pets: _ } = customer;
        check_texts("customer", [first, last, street, city, zip])?;
        items.iter().try_for_each(|Item { category, brand, flavor, size, cents: _ }| {
            check_texts("items", [category, brand, flavor, size])
        })
    }
}

/// Checks that every store can hold a due time, in microseconds since 1970.
pub fn check_due(due_us: i64) -> Result<(), Invalid> {
    if (0..=MAX_DUE_US).contains(&due_us) { Ok(()) } else { refuse("due time", &due_us) }
}

/// Checks that a record's key, and its headers (names and values together), are no larger than those of a sale.
pub fn check_sizes(key: usize, headers: usize) -> Result<(), Invalid> {
    within("a key", key, MAX_KEY_BYTES)?;
    within("a set of headers", headers, MAX_HEADERS_BYTES)
}

fn within(part: &'static str, bytes: usize, most: usize) -> Result<(), Invalid> {
    if bytes <= most { Ok(()) } else { Err(Invalid::Size { part, bytes, most }) }
}

/// Columns are signed, so larger numbers don't fit.
fn check_numbers(id: SaleId, time: u64, customer: u64) -> Result<(), Invalid> {
    for (field, number) in [("loader", id.loader), ("block", id.block)] {
        if i32::try_from(number).is_err() {
            return refuse(field, &number);
        }
    }
    if id.index > MAX_INDEX {
        return refuse("index", &id.index);
    }
    for (field, number) in [("time", time), ("customer", customer)] {
        if i64::try_from(number).is_err() {
            return refuse(field, &number);
        }
    }
    Ok(())
}

fn check_texts<const N: usize>(field: &'static str, texts: [&Cow<'static, str>; N]) -> Result<(), Invalid> {
    match texts.into_iter().find(|text| !can_be_stored(text)) {
        None => Ok(()),
        Some(text) => refuse(field, &text.escape_default()),
    }
}

fn refuse(field: &'static str, value: &dyn Display) -> Result<(), Invalid> {
    Err(Invalid::Field { field, value: value.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BlockId, Parameters, Petstore};

    fn sale() -> Sale {
        let petstore = Petstore::new(Parameters { days: 10, ..Parameters::default() }).unwrap();
        petstore.block(BlockId { run: 1, loader: 0, block: 0 }).to_sales().swap_remove(0)
    }

    /// The results of both checks of a changed sale: in memory, and as JSON.
    fn refusals(change: impl Fn(&mut Sale)) -> [String; 2] {
        let mut sale = sale();
        change(&mut sale);
        let json = serde_json::to_vec(&sale).unwrap();
        [sale.check().unwrap_err().to_string(), SaleRef::parse(&json).unwrap_err().to_string()]
    }

    #[test]
    fn a_generated_sale_is_valid_and_borrowed() {
        let sale = sale();
        let json = serde_json::to_vec(&sale).unwrap();
        let read = SaleRef::parse(&json).unwrap();
        assert_eq!((read.id, read.time, read.cents), (sale.id, sale.time, sale.cents));
        assert_eq!((read.store.id, read.store.state), (sale.store.id, sale.state()));
        assert_eq!((read.customer.id, read.items.count), (sale.customer.id, sale.items.len()));
        assert!(matches!(read.store.name.0, Cow::Borrowed(name) if name == sale.store.name));
        assert!(sale.check().is_ok() && check_due(0).is_ok() && check_due(MAX_DUE_US).is_ok());
    }

    #[test]
    fn a_sale_of_model_1_is_valid_on_its_way_through_an_upgrade() {
        let mut old = serde_json::to_value(sale()).unwrap();
        let customer = old["customer"].as_object_mut().unwrap();
        assert!(customer.remove("street").is_some() && customer.remove("zip").is_some());
        let old = old.to_string();
        assert_eq!(SaleRef::parse(old.as_bytes()).unwrap().customer.street.0, "");
        assert!(serde_json::from_str::<Sale>(&old).unwrap().check().is_ok());
    }

    #[test]
    fn what_no_store_can_hold_is_refused_by_name() {
        for refusal in refusals(|sale| sale.id.index = MAX_INDEX + 1) {
            assert_eq!(refusal, "index of the sale can't be stored: 1048576");
        }
        for refusal in refusals(|sale| sale.id.block = u32::MAX) {
            assert_eq!(refusal, "block of the sale can't be stored: 4294967295");
        }
        assert!(refusals(|sale| sale.id.loader = 1 << 31)[1].starts_with("loader of the sale"));
        assert!(refusals(|sale| sale.time = u64::MAX)[1].ends_with(": 18446744073709551615"));
        assert!(refusals(|sale| sale.customer.id = u64::MAX)[1].starts_with("customer of the sale"));
        for due_us in [-1, MAX_DUE_US + 1] {
            let refusal = check_due(due_us).unwrap_err().to_string();
            assert_eq!(refusal, format!("due time of the sale can't be stored: {due_us}"));
        }
    }

    #[test]
    fn no_text_has_a_zero_byte() {
        let changes: [fn(&mut Sale); 3] = [
            |sale| sale.items[0].brand = "a\0b".into(),
            |sale| sale.store.name = "a\0b".into(),
            |sale| sale.customer.city = "a\0b".into(),
        ];
        for (change, field) in changes.into_iter().zip(["items", "store", "customer"]) {
            let [memory, json] = refusals(change);
            assert_eq!(memory, format!("{field} of the sale can't be stored: a\\u{{0}}b"));
            assert!(json.contains("a text with a zero byte can't be stored at line 1 column"), "{json}");
        }
    }

    #[test]
    fn a_body_that_is_not_a_sale_is_refused_with_the_reason() {
        let refusal = |body: &[u8]| SaleRef::parse(body).unwrap_err().to_string();
        assert!(refusal(b"{\xff}").contains("invalid utf-8"));
        assert!(refusal(b"{").contains("EOF"));
        let large = refusal(&vec![b' '; MAX_SALE_BYTES + 1]);
        assert_eq!(large, "a body of 65537 bytes is too large for a sale, 65536 are the most");
        assert!(check_sizes(MAX_KEY_BYTES, MAX_HEADERS_BYTES).is_ok());
        assert!(check_sizes(MAX_KEY_BYTES + 1, 0).unwrap_err().to_string().starts_with("a key of 4097 bytes"));
        assert!(
            check_sizes(0, MAX_HEADERS_BYTES + 1).unwrap_err().to_string().starts_with("a set of headers of 16385")
        );
        let json = serde_json::to_string(&sale()).unwrap();
        assert!(refusal(format!("{json} x").as_bytes()).contains("trailing characters"));
        for (from, to, reason) in [
            ("\"time\":", "\"when\":", "missing field `time`"),
            ("\"time\":", "\"cents\":1,\"time\":", "duplicate field `cents`"),
            ("\"pets\":{", "\"pets\":{\"cats\":256,\"x\":{", "invalid value: integer `256`, expected u8"),
            ("\"zip\":\"", "\"zip\":\"\\ud800", "hex escape"),
            ("\"first\":\"", "\"first\":7,\"x\":\"", "invalid type: integer `7`, expected a text"),
            ("\"items\":[", "\"items\":[7,", "invalid type: integer `7`"),
        ] {
            let changed = json.replacen(from, to, 1);
            assert!(refusal(changed.as_bytes()).contains(reason), "{changed}: {}", refusal(changed.as_bytes()));
        }
    }
}
