//! From a record of Kafka to a record of a store. The fan-out lets only valid sales pass: anything else was put there by
//! somebody else.

use kafka::{Malformed, SaleHeader};
use petstore::Sale;
use stores::Record;

/// The sale, or why it is not one that can be stored.
pub(crate) fn decode(record: &kafka::Record<'_>) -> Result<Record, Malformed> {
    let header = record.sale()?;
    let sale = body(&header, record.payload().unwrap_or_default())?;
    Ok(Record::new(sale, header.due_us, record.offset())?)
}

/// The auditor looks for the header's id; a body with another would be stored under the wrong name.
fn body(header: &SaleHeader, payload: &[u8]) -> Result<Sale, Malformed> {
    let sale: Sale = petstore::from_json(payload)
        .map_err(|err| Malformed { reason: format!("the body of {} is not a sale: {err}", header.id) })?;
    if sale.id != header.id {
        return Err(Malformed { reason: format!("the body is sale {}, the header names {}", sale.id, header.id) });
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
        let sales = Petstore::new(Parameters::default()).unwrap().block(block).to_sales();
        let header = SaleHeader { id: sales[0].id, due_us: 1, state: sales[0].state() };
        assert_eq!(body(&header, &serde_json::to_vec(&sales[0]).unwrap()).as_ref(), Ok(&sales[0]));
        let other = body(&header, &serde_json::to_vec(&sales[1]).unwrap()).unwrap_err().reason;
        assert!(other.ends_with("the header names 00000001/0/0/0"), "{other}");
        assert!(body(&header, b"{}").unwrap_err().reason.contains("is not a sale: missing field"));
    }
}
