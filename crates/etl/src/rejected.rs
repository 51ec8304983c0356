//! A record of `sales.rejected`: the one that came, with the reason, cut to a size that always fits.
//!
//! A broker takes records of a megabyte, so there may be one whose key or headers leave no room for a word more. The whole
//! of a rejected record is below a tenth of that.

use std::borrow::Cow;

use kafka::{Headers, Record, SaleHeader};
use petstore::{MAX_HEADERS_BYTES, MAX_KEY_BYTES, MAX_SALE_BYTES};

/// What is kept of the reason, which may quote the record.
const REASON_BYTES: usize = 1 << 10;
/// What is kept of a header's name.
const NAME_BYTES: usize = 128;
/// What is kept of a header's value.
const VALUE_BYTES: usize = 1 << 10;

/// Our own headers. One of these names that came with the record is renamed: it is not ours.
const REASON: &str = "reason";
const SOURCE: &str = "source";
const BYTES: &str = "bytes";
const KEY_BYTES: &str = "key-bytes";
const HEADERS_BYTES: &str = "headers-bytes";
const OWN: [&str; 5] = [REASON, SOURCE, BYTES, KEY_BYTES, HEADERS_BYTES];

/// A record as it is put aside.
pub(crate) struct Rejected<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) body: &'a [u8],
    pub(crate) headers: Headers,
}

/// Names and values of a record's headers, in bytes.
pub(crate) fn headers_bytes(record: &Record<'_>) -> usize {
    record.headers().map(|(name, value)| size(name, value)).sum()
}

impl<'a> Rejected<'a> {
    /// What is kept of a record.
    pub(crate) fn new(record: &'a Record<'_>, reason: &str) -> Self {
        let (key, body) = (record.key().unwrap_or_default(), record.payload().unwrap_or_default());
        let source = format!("{}/{}/{}", record.topic(), record.partition(), record.offset());
        let mut headers = Headers::default()
            .with(REASON, Some(cut_text(reason, REASON_BYTES).as_bytes()))
            .with(SOURCE, Some(source.as_bytes()))
            .with(BYTES, Some(body.len().to_string().as_bytes()));
        let sizes = [(KEY_BYTES, key.len(), MAX_KEY_BYTES), (HEADERS_BYTES, headers_bytes(record), MAX_HEADERS_BYTES)];
        for (name, size, most) in sizes {
            if size > most {
                headers = headers.with(name, Some(size.to_string().as_bytes()));
            }
        }
        for (name, value) in kept(record.headers()) {
            headers = headers.with(&name, value);
        }
        Self { key: cut(key, MAX_KEY_BYTES), body: cut(body, MAX_SALE_BYTES), headers }
    }
}

/// The headers that are kept of those that came: in their order until there are too many, and always the last that names
/// the sale, by which it is found.
fn kept<'a>(came: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>) -> Vec<(Cow<'a, str>, Option<&'a [u8]>)> {
    let (mut kept, mut left, mut sale) = (Vec::new(), MAX_HEADERS_BYTES, None);
    for header in came {
        let is_sale = header.0 == SaleHeader::NAME.as_bytes();
        let Some((name, value)) = (if is_sale { sale.replace(header) } else { Some(header) }) else { continue };
        // Each takes some bytes beside its name and value, and memory: there are no more than a few hundred.
        let size = 32 + size(name, value).min(NAME_BYTES + VALUE_BYTES);
        if let Some(rest) = left.checked_sub(size) {
            left = rest;
            kept.push((name, value));
        }
    }
    kept.extend(sale);
    kept.into_iter().map(|(name, value)| (renamed(name), value.map(|value| cut(value, VALUE_BYTES)))).collect()
}

fn renamed(name: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(cut(name, NAME_BYTES));
    if OWN.contains(&text.as_ref()) { Cow::Owned(format!("original-{text}")) } else { text }
}

fn size(name: &[u8], value: Option<&[u8]>) -> usize {
    name.len() + value.map_or(0, <[u8]>::len)
}

fn cut(bytes: &[u8], most: usize) -> &[u8] {
    &bytes[..bytes.len().min(most)]
}

fn cut_text(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(kept: &[(Cow<'_, str>, Option<&[u8]>)]) -> usize {
        kept.iter().map(|(name, value)| size(name.as_bytes(), *value)).sum()
    }

    #[test]
    fn headers_that_fit_are_kept_in_their_order_and_ours_are_renamed() {
        let came: [(&[u8], Option<&[u8]>); 4] =
            [(b"reason", Some(b"mine")), (b"\xff", None), (b"bytes", Some(b"7")), (b"trace", Some(b"1"))];
        let expected: [(&str, Option<&[u8]>); 4] = [
            ("original-reason", Some(b"mine")),
            ("\u{fffd}", None),
            ("original-bytes", Some(b"7")),
            ("trace", Some(b"1")),
        ];
        let kept = kept(came.into_iter());
        assert_eq!(kept.iter().map(|(name, value)| (name.as_ref(), *value)).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn whatever_came_little_is_kept_and_the_sale_s_name_with_it() {
        let (long, sale) = (vec![b'x'; 2_000], b"0000002a/0/7/3 1 ca".as_slice());
        let name = SaleHeader::NAME.as_bytes();
        let floods: [(&[u8], Option<&[u8]>); 4] =
            [(b"", None), (b"n", Some(&long)), (&long, Some(&long)), (name, Some(&long))];
        for flood in floods {
            let came = std::iter::repeat_n(flood, 500).chain([(name, Some(sale))]).chain([flood; 1]);
            let last = if flood.0 == name { &long[..VALUE_BYTES] } else { sale };
            let kept = kept(came);
            assert!(kept.len() <= 600 && bytes(&kept) <= MAX_HEADERS_BYTES + NAME_BYTES + VALUE_BYTES);
            assert_eq!(kept.last().unwrap().1, Some(last), "the last that names the sale, as it is found again");
        }
    }

    #[test]
    fn a_reason_is_cut_between_characters() {
        assert_eq!(cut_text("äöü", 3), "ä");
        assert_eq!(cut_text("short", REASON_BYTES), "short");
    }
}
