//! A sale's header, so that no stage has to parse the body to route, count or time it.

use petstore::{Invalid, MAX_INDEX, SaleId, State};
use rdkafka::Message;
use rdkafka::message::{BorrowedHeaders, Header, Headers, OwnedHeaders};

use crate::raw_headers;

/// A sale's header, in text that `kcat` shows as it is: `sale: 9f3a1c22/3/17/203 1700000000000000 ca`. These are its id,
/// when it was due (unix time, microseconds) and its state.
///
/// One header for all three: librdkafka gives each header of a record memory of its own, wherever the record is read, and
/// takes it back when it was sent on; with three, the fan-out took a sixth more CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SaleHeader {
    /// Which sale it is.
    pub id: SaleId,
    /// When the schedule wanted it sent: unix time in microseconds.
    pub due_us: i64,
    /// Where it belongs.
    pub state: State,
}

/// Why a record is not a sale: the text of the header `reason` on `sales.rejected`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// One sentence that names the part and its value.
    pub reason: String,
}

impl From<Invalid> for Malformed {
    fn from(invalid: Invalid) -> Self {
        malformed(invalid.to_string())
    }
}

impl SaleHeader {
    /// The header's name.
    pub const NAME: &str = "sale";

    /// The header as Kafka takes it.
    pub fn to_owned_headers(&self) -> OwnedHeaders {
        let text = format!("{} {} {}", self.id, self.due_us, self.state.code());
        OwnedHeaders::new_with_capacity(1).insert(Header { key: Self::NAME, value: Some(&text) })
    }

    /// Reads the header of a record. An error if it is missing or wrong.
    pub fn from_message<M>(message: &M) -> Result<Self, Malformed>
    where
        M: Message<Headers = BorrowedHeaders>,
    {
        Self::read(headers_of(message)?).map(|(header, _)| header)
    }

    /// The same, and whether the record can go on with the headers it has: this one alone, as
    /// [`SaleHeader::to_owned_headers`] writes it.
    pub(crate) fn and_form<M>(message: &M) -> Result<(Self, bool), Malformed>
    where
        M: Message<Headers = BorrowedHeaders>,
    {
        Self::read(headers_of(message)?)
    }

    /// The sale that a record's header names, whatever else is wrong with it.
    pub(crate) fn id_in<M>(message: &M) -> Option<SaleId>
    where
        M: Message<Headers = BorrowedHeaders>,
    {
        let (_, last) = raw_headers(message.headers()?).filter(|(name, _)| *name == Self::NAME.as_bytes()).last()?;
        str::from_utf8(last?).ok()?.split(' ').next()?.parse().ok()
    }

    /// The last header of the name, and whether it is the only one and its text ours. One that is wrong is not passed over.
    fn read(headers: &BorrowedHeaders) -> Result<(Self, bool), Malformed> {
        let mut found = None;
        for (_, value) in raw_headers(headers).filter(|(name, _)| *name == Self::NAME.as_bytes()) {
            let value = value.unwrap_or_default();
            found = Some(Self::parse(value).ok_or_else(|| {
                let shown = String::from_utf8_lossy(&value[..value.len().min(80)]).into_owned();
                malformed(format!("header `sale` must be `<id> <due time> <state>`, not {shown:?}"))
            })?);
        }
        let (header, own) = found.ok_or_else(|| malformed("no header `sale`".to_owned()))?;
        // In the same words as for a body with such an index.
        if header.id.index > MAX_INDEX {
            return Err(malformed(format!("index of the sale can't be stored: {}", header.id.index)));
        }
        Ok((header, own && headers.count() == 1))
    }

    /// The header, and whether its text is as ours.
    fn parse(value: &[u8]) -> Option<(Self, bool)> {
        let text = str::from_utf8(value).ok()?;
        let (id, rest) = text.split_once(' ')?;
        let (due, state) = rest.split_once(' ')?;
        let header = Self { id: id.parse().ok()?, due_us: due.parse().ok()?, state: state.parse().ok()? };
        let own = matches!(due.as_bytes(), [b'1'..=b'9', ..] | b"0") && state == header.state.code();
        Some((header, own))
    }
}

fn headers_of<M: Message<Headers = BorrowedHeaders>>(message: &M) -> Result<&BorrowedHeaders, Malformed> {
    message.headers().ok_or_else(|| malformed("no headers".to_owned()))
}

fn malformed(reason: String) -> Malformed {
    Malformed { reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::headers::tests::add;

    const SALE: SaleHeader = SaleHeader {
        id: SaleId { run: 0x2a, loader: 0, block: 7, index: 3 },
        due_us: 1_700_000_000_000_000,
        state: State::Ca,
    };

    fn read(headers: &OwnedHeaders) -> Result<(SaleHeader, bool), Malformed> {
        SaleHeader::read(headers.as_borrowed())
    }

    fn sale(text: &str) -> OwnedHeaders {
        OwnedHeaders::new().insert(Header { key: SaleHeader::NAME, value: Some(text) })
    }

    #[test]
    fn a_header_goes_on_as_it_came_if_it_is_just_ours() {
        assert_eq!(read(&SALE.to_owned_headers()), Ok((SALE, true)));
        assert_eq!(read(&sale("0000002a/0/7/3 1700000000000000 ca")), Ok((SALE, true)));
        for other in ["+1700000000000000 ca", "01700000000000000 ca", "1700000000000000 CA"] {
            assert_eq!(read(&sale(&format!("0000002a/0/7/3 {other}"))), Ok((SALE, false)));
        }
        let more = SALE.to_owned_headers().insert(Header { key: "trace", value: Some("1") });
        assert_eq!(read(&more), Ok((SALE, false)));
    }

    #[test]
    fn a_name_that_is_not_text_is_another_header() {
        let more = SALE.to_owned_headers();
        add(&more, b"\xfftrace");
        assert_eq!(read(&more), Ok((SALE, false)));
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let reason = |headers: &OwnedHeaders| read(headers).unwrap_err().reason;
        assert_eq!(reason(&OwnedHeaders::new()), "no header `sale`");
        for index in [MAX_INDEX + 1, u32::MAX] {
            let expected = format!("index of the sale can't be stored: {index}");
            assert_eq!(reason(&sale(&format!("0000002a/0/7/{index} 1 ca"))), expected);
        }
        for wrong in ["", "0000002a/0/7 1 ca", "0000002a/0/7/3 soon ca", "0000002a/0/7/3 1 xx", "0000002a/0/7/3 1"] {
            let expected = format!("header `sale` must be `<id> <due time> <state>`, not {wrong:?}");
            assert_eq!(reason(&sale(wrong)), expected);
        }
        let expected = "header `sale` must be `<id> <due time> <state>`, not \"?\"";
        let bad = || Header { key: SaleHeader::NAME, value: Some("?") };
        assert_eq!(reason(&SALE.to_owned_headers().insert(bad())), expected);
        let good = SALE.to_owned_headers();
        let good = good.as_borrowed().get(0);
        assert_eq!(reason(&OwnedHeaders::new().insert(bad()).insert(good)), expected, "before a good one, too");
    }
}
