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
        let headers = message.headers().ok_or_else(|| malformed("no headers"))?;
        let (mut id, mut due_us, mut state) = (None, None, None);
        for header in headers.iter() {
            match header.key {
                SALE_ID => id = Some(parse(SALE_ID, header.value)?),
                DUE => due_us = Some(parse(DUE, header.value)?),
                STATE => state = Some(parse(STATE, header.value)?),
                _ => {}
            }
        }
        Ok(Self {
            id: id.ok_or_else(|| malformed("no header sale-id"))?,
            due_us: due_us.ok_or_else(|| malformed("no header due"))?,
            state: state.ok_or_else(|| malformed("no header state"))?,
        })
    }
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
