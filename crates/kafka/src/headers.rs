//! A record's headers: those to send, and those that came, as they are in the record.
//!
//! The binding's own way to the latter panics at a name that is not UTF-8, and one such record would end each program that
//! reads it, after every start.

use std::ffi::CStr;
use std::{ptr, slice};

use rdkafka::bindings::{rd_kafka_header_get_all, rd_kafka_headers_t};
use rdkafka::message::{BorrowedHeaders, Header, OwnedHeaders};
use rdkafka::types::RDKafkaRespErr;

use crate::SaleHeader;

/// Headers of a record that is to be sent.
#[derive(Debug, Default)]
pub struct Headers(OwnedHeaders);

impl Headers {
    /// Adds one behind the others.
    #[must_use]
    pub fn with(self, name: &str, value: Option<&[u8]>) -> Self {
        Self(self.0.insert(Header { key: name, value }))
    }

    /// As the client takes them.
    pub(crate) fn into_owned(self) -> OwnedHeaders {
        self.0
    }
}

impl From<&SaleHeader> for Headers {
    fn from(sale: &SaleHeader) -> Self {
        Self(sale.to_owned_headers())
    }
}

/// Name and value of each header, in their order.
pub(crate) fn raw_headers(headers: &BorrowedHeaders) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
    (0..).map_while(|index| raw_header(headers, index))
}

fn raw_header(headers: &BorrowedHeaders, index: usize) -> Option<(&[u8], Option<&[u8]>)> {
    let list = ptr::from_ref(headers).cast::<rd_kafka_headers_t>();
    let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
    // SAFETY: the binding's reference is librdkafka's pointer under another type; what is found lives as long as the list,
    // the name ends with a zero byte, and a value that is there has `size` bytes.
    #[expect(unsafe_code, reason = "the binding takes a name for text")]
    unsafe {
        match rd_kafka_header_get_all(list, index, &raw mut name, &raw mut value, &raw mut size) {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR => {}
            _ => return None,
        }
        let value = (!value.is_null()).then(|| slice::from_raw_parts(value.cast::<u8>(), size));
        Some((CStr::from_ptr(name).to_bytes(), value))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use rdkafka::bindings::rd_kafka_header_add;

    /// Adds a header of any name, without a value.
    pub(crate) fn add(headers: &OwnedHeaders, name: &[u8]) {
        let list = ptr::from_ref(headers.as_borrowed()).cast::<rd_kafka_headers_t>().cast_mut();
        // SAFETY: the list is the caller's, and the name is copied.
        #[expect(unsafe_code, reason = "the binding takes text alone for a name")]
        let answer =
            unsafe { rd_kafka_header_add(list, name.as_ptr().cast(), name.len().cast_signed(), ptr::null(), 0) };
        assert_eq!(answer, RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR);
    }

    #[test]
    fn names_and_values_are_as_they_were_put_in() {
        let headers = OwnedHeaders::new().insert(Header { key: "a", value: Some(b"\xfe".as_slice()) });
        add(&headers, b"\xff");
        let headers = headers.insert(Header { key: "a", value: Some(b"".as_slice()) });
        let found: Vec<_> = raw_headers(headers.as_borrowed()).collect();
        let expected: [(&[u8], Option<&[u8]>); 3] = [(b"a", Some(b"\xfe")), (b"\xff", None), (b"a", Some(b""))];
        assert_eq!(found, expected);
    }
}
