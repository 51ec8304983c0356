//! A record as it was read from Kafka.

use petstore::SaleId;
use rdkafka::Message;
use rdkafka::message::BorrowedMessage;

use crate::{Malformed, SaleHeader, raw_headers};

/// One record. Its bytes stay in the client's memory: nothing is copied, and a record that is kept keeps the whole buffer
/// that it was fetched in.
pub struct Record<'a>(BorrowedMessage<'a>);

impl<'a> Record<'a> {
    pub(crate) fn new(message: BorrowedMessage<'a>) -> Self {
        Self(message)
    }

    /// The client's message, for sending it on as it is.
    pub(crate) fn into_message(self) -> BorrowedMessage<'a> {
        self.0
    }

    /// Bytes of key and value.
    pub fn bytes(&self) -> usize {
        self.0.key_len() + self.0.payload_len()
    }

    /// The topic it was read from.
    pub fn topic(&self) -> &str {
        self.0.topic()
    }

    /// The partition of the topic.
    pub fn partition(&self) -> i32 {
        self.0.partition()
    }

    /// Its place in the partition's log.
    pub fn offset(&self) -> i64 {
        self.0.offset()
    }

    /// The key, if it has one.
    pub fn key(&self) -> Option<&[u8]> {
        self.0.key()
    }

    /// The value; none in the record that deletes a key of a compacted topic.
    pub fn payload(&self) -> Option<&[u8]> {
        self.0.payload()
    }

    /// When it was made, or when the broker got it, as the topic is set: unix time in milliseconds.
    pub fn timestamp_ms(&self) -> Option<i64> {
        self.0.timestamp().to_millis()
    }

    /// Name and value of each header, in their order. A name need not be text.
    pub fn headers(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.0.headers().into_iter().flat_map(raw_headers)
    }

    /// The header of the sale, or why this is not a sale.
    pub fn sale(&self) -> Result<SaleHeader, Malformed> {
        SaleHeader::from_message(&self.0)
    }

    /// The same, and whether the record can go on with the headers it has: this one alone, as
    /// [`SaleHeader::to_owned_headers`] writes it.
    pub fn sale_and_form(&self) -> Result<(SaleHeader, bool), Malformed> {
        SaleHeader::and_form(&self.0)
    }

    /// The sale that its header names, whatever else is wrong with it.
    pub fn sale_id(&self) -> Option<SaleId> {
        SaleHeader::id_in(&self.0)
    }
}
