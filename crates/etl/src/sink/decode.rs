//! From a record of Kafka to a record of a store. The fan-out lets only valid sales pass: what is none even so was put
//! there by somebody else.

use kafka::{Malformed, SaleHeader};
use petstore::Sale;
use rdkafka::Message;
use rdkafka::message::BorrowedMessage;
use stores::Record;

/// Reads the sale, or says why it is not one that can be stored.
pub(super) fn decode(message: &BorrowedMessage<'_>) -> Result<Record, Malformed> {
    let header = SaleHeader::from_message(message)?;
    let sale = body(&header, message.payload().unwrap_or_default())?;
    Ok(Record::new(sale, header.due_us, message.offset())?)
}

/// What the auditor looks for is the header's id; a body that says another would be stored under a wrong name.
fn body(header: &SaleHeader, payload: &[u8]) -> Result<Sale, Malformed> {
    let sale: Sale = serde_json::from_slice(payload)
        .map_err(|err| Malformed { reason: format!("the body of {} is not a sale: {err}", header.id) })?;
    if sale.id != header.id {
        return Err(Malformed { reason: format!("the body is sale {}, the header says {}", sale.id, header.id) });
    }
    Ok(sale)
}

#[cfg(test)]
mod tests {
    use super::*;
    use petstore::{BlockId, Parameters, Petstore};

    #[test]
    fn the_body_must_be_the_sale_that_the_header_names() {
        let block = BlockId { run: 1, loader: 0, block: 0 };
        let sales = Petstore::new(Parameters::default()).unwrap().block(block);
        let header = SaleHeader { id: sales[0].id, due_us: 1, state: sales[0].state() };
        assert_eq!(body(&header, &serde_json::to_vec(&sales[0]).unwrap()).as_ref(), Ok(&sales[0]));
        let other = body(&header, &serde_json::to_vec(&sales[1]).unwrap()).unwrap_err().reason;
        assert!(other.ends_with("the header says 00000001/0/0/0"), "{other}");
        assert!(body(&header, b"{}").unwrap_err().reason.contains("is not a sale: missing field"));
    }
}
