//! What stands in a sale's headers, so that no stage has to parse the body to route, count or time it.

use petstore::{SaleId, State};
use rdkafka::Message;
use rdkafka::message::{BorrowedHeaders, Header, Headers, OwnedHeaders};

const SALE_ID: &str = "sale-id";
const DUE: &str = "due";
const STATE: &str = "state";

/// The three headers of a sale, in text that `kcat` shows as it is: `sale-id: 9f3a1c22/3/17/203`,
/// `due: 1700000000000000` (unix time, microseconds), `state: ca`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SaleHeaders {
    /// Which sale it is.
    pub id: SaleId,
    /// When the schedule wanted it sent: unix time in microseconds.
    pub due_us: i64,
    /// Where it belongs.
    pub state: State,
}

/// Why a record is no sale. The text stands in the header `reason` on `sales.rejected`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// One sentence that names the part and its value.
    pub reason: String,
}

impl SaleHeaders {
    /// The headers as Kafka takes them.
    pub fn to_owned_headers(&self) -> OwnedHeaders {
        OwnedHeaders::new_with_capacity(3)
            .insert(Header { key: SALE_ID, value: Some(&self.id.to_string()) })
            .insert(Header { key: DUE, value: Some(&self.due_us.to_string()) })
            .insert(Header { key: STATE, value: Some(self.state.code()) })
    }

    /// Reads the headers of a record, or says which is missing or wrong.
    pub fn from_message<M>(message: &M) -> Result<Self, Malformed>
    where
        M: Message<Headers = BorrowedHeaders>,
    {
        Self::read(headers_of(message)?).map(|(headers, _)| headers)
    }

    /// The same, and whether the record can go on with the headers it has: these three alone, as
    /// [`SaleHeaders::to_owned_headers`] writes them.
    pub fn and_form<M>(message: &M) -> Result<(Self, bool), Malformed>
    where
        M: Message<Headers = BorrowedHeaders>,
    {
        Self::read(headers_of(message)?)
    }

    /// The headers, and whether they are these three alone in the text that is ours.
    fn read(headers: &BorrowedHeaders) -> Result<(Self, bool), Malformed> {
        let (mut id, mut due_us, mut state) = (None, None, None);
        let mut own = headers.count() == 3;
        for Header { key, value } in headers.iter() {
            match key {
                SALE_ID => id = Some(parse(SALE_ID, value)?),
                DUE => {
                    due_us = Some(parse(DUE, value)?);
                    own &= value.is_some_and(|text| matches!(text, [b'1'..=b'9', ..] | b"0"));
                }
                STATE => {
                    let parsed = parse::<State>(STATE, value)?;
                    own &= value == Some(parsed.code().as_bytes());
                    state = Some(parsed);
                }
                _ => own = false,
            }
        }
        let headers = Self {
            id: id.ok_or_else(|| malformed("no header sale-id"))?,
            due_us: due_us.ok_or_else(|| malformed("no header due"))?,
            state: state.ok_or_else(|| malformed("no header state"))?,
        };
        Ok((headers, own))
    }
}

fn headers_of<M: Message<Headers = BorrowedHeaders>>(message: &M) -> Result<&BorrowedHeaders, Malformed> {
    message.headers().ok_or_else(|| malformed("no headers"))
}

fn parse<T: std::str::FromStr>(key: &str, value: Option<&[u8]>) -> Result<T, Malformed> {
    let value = value.unwrap_or_default();
    str::from_utf8(value).ok().and_then(|text| text.parse().ok()).ok_or_else(|| {
        let shown = String::from_utf8_lossy(&value[..value.len().min(40)]).into_owned();
        malformed(&format!("header {key} is {shown:?}"))
    })
}

fn malformed(reason: &str) -> Malformed {
    Malformed { reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALE: SaleHeaders = SaleHeaders {
        id: SaleId { run: 0x2a, loader: 0, block: 7, index: 3 },
        due_us: 1_700_000_000_000_000,
        state: State::Ca,
    };

    fn read(headers: &OwnedHeaders) -> Result<(SaleHeaders, bool), Malformed> {
        SaleHeaders::read(headers.as_borrowed())
    }

    fn three(id: &str, due: &str, state: &str) -> OwnedHeaders {
        let headers = OwnedHeaders::new().insert(Header { key: STATE, value: Some(state) });
        headers.insert(Header { key: SALE_ID, value: Some(id) }).insert(Header { key: DUE, value: Some(due) })
    }

    #[test]
    fn headers_go_on_as_they_came_if_they_are_just_ours() {
        assert_eq!(read(&SALE.to_owned_headers()), Ok((SALE, true)));
        assert_eq!(read(&three("0000002a/0/7/3", "1700000000000000", "ca")), Ok((SALE, true)), "in any order");
        for due in ["+1700000000000000", "01700000000000000"] {
            assert_eq!(read(&three("0000002a/0/7/3", due, "ca")), Ok((SALE, false)));
        }
        assert_eq!(read(&three("0000002a/0/7/3", "1700000000000000", "CA")), Ok((SALE, false)));
        let more = SALE.to_owned_headers().insert(Header { key: "trace", value: Some("1") });
        assert_eq!(read(&more), Ok((SALE, false)));
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let reason = |headers: &OwnedHeaders| read(headers).unwrap_err().reason;
        assert_eq!(reason(&OwnedHeaders::new()), "no header sale-id");
        assert_eq!(reason(&three("0000002a/0/7/3", "soon", "ca")), "header due is \"soon\"");
        assert_eq!(reason(&three("0000002a/0/7", "1", "ca")), "header sale-id is \"0000002a/0/7\"");
        let twice = SALE.to_owned_headers().insert(Header { key: STATE, value: Some("xx") });
        assert_eq!(reason(&twice), "header state is \"xx\"");
    }
}
