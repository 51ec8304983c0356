//! Sales of which none is stored yet, which is the normal case: streamed into the table in Postgres's binary format.
//!
//! This takes Postgres little more than half of what an `INSERT ... ON CONFLICT` does: no array is taken apart, no key is
//! looked up before it is inserted, and rows are logged by the page. But a copy ends at the first sale that is there.

use std::pin::pin;

use anyhow::Context;
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::SinkExt;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, CopyInSink, Statement};

use super::events::{COLUMNS, Events, event_columns};
use crate::Record;
use crate::batch::signed;

pub(super) const COPY: &str = concat!("COPY sale_events (", event_columns!(), ") FROM STDIN (FORMAT binary)");

/// Bytes sent at once: Postgres works on one piece while the next is made.
const PIECE: usize = 64 << 10;
/// What a row takes at most beyond its text.
const ROW: usize = 1 << 10;

/// The beginning of the binary form: signature, no flags, no extension.
const HEAD: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// Postgres counts time from the year 2000.
const YEAR_2000_US: i64 = 946_684_800_000_000;

/// Copies all sales of `parts`. False if one of them is there already, or is there twice: then nothing is, and the
/// transaction must go back to its savepoint.
pub(super) async fn copied(client: &Client, copy: &Statement, parts: &[Events<'_>]) -> anyhow::Result<bool> {
    match send(client.copy_in(copy).await.context("beginning to copy")?, parts).await {
        Ok(_) => Ok(true),
        Err(Failed::Postgres(err)) if err.code() == Some(&SqlState::UNIQUE_VIOLATION) => Ok(false),
        Err(Failed::Postgres(err)) => Err(err).context("copying sales"),
        Err(Failed::Json(err)) => Err(err).context("writing items"),
    }
}

enum Failed {
    Postgres(tokio_postgres::Error),
    Json(serde_json::Error),
}

async fn send(sink: CopyInSink<Bytes>, parts: &[Events<'_>]) -> Result<u64, Failed> {
    let mut sink = pin!(sink);
    let mut piece = BytesMut::with_capacity(PIECE + ROW);
    piece.put_slice(HEAD);
    for events in parts {
        for record in &events.part.records {
            row(&mut piece, events, record).map_err(Failed::Json)?;
            if piece.len() >= PIECE {
                sink.feed(piece.split().freeze()).await.map_err(Failed::Postgres)?;
                piece.reserve(PIECE + ROW);
            }
        }
    }
    piece.put_i16(-1);
    sink.feed(piece.freeze()).await.map_err(Failed::Postgres)?;
    sink.finish().await.map_err(Failed::Postgres)
}

/// In the order of [`event_columns`].
fn row(bytes: &mut BytesMut, Events { part, epoch }: &Events<'_>, record: &Record) -> Result<(), serde_json::Error> {
    let sale = record.sale();
    bytes.put_i16(COLUMNS.into());
    bigint(bytes, sale.id.run.into());
    integer(bytes, sale.id.loader.cast_signed());
    integer(bytes, sale.id.block.cast_signed());
    integer(bytes, sale.id.index.cast_signed());
    text(bytes, &part.partition.0);
    integer(bytes, part.partition.1);
    bigint(bytes, record.offset());
    bigint(bytes, record.due_us() - YEAR_2000_US);
    text(bytes, sale.state().code());
    bigint(bytes, sale.store.id.into());
    bigint(bytes, signed(sale.customer.id));
    bigint(bytes, signed(sale.time));
    bigint(bytes, sale.cents.into());
    json(bytes, &sale.items)?;
    bigint(bytes, petstore::digest(sale).cast_signed());
    integer(bytes, *epoch);
    Ok(())
}

fn integer(bytes: &mut BytesMut, number: i32) {
    bytes.put_i32(4);
    bytes.put_i32(number);
}

fn bigint(bytes: &mut BytesMut, number: i64) {
    bytes.put_i32(8);
    bytes.put_i64(number);
}

fn text(bytes: &mut BytesMut, text: &str) {
    bytes.put_i32(length(text.len()));
    bytes.put_slice(text.as_bytes());
}

/// `jsonb`: a version, then the text.
fn json(bytes: &mut BytesMut, value: &impl serde::Serialize) -> Result<(), serde_json::Error> {
    let at = bytes.len();
    bytes.put_i32(0);
    bytes.put_u8(1);
    serde_json::to_writer(bytes.writer(), value)?;
    let length = length(bytes.len() - at - 4);
    bytes[at..at + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

/// The length of a text, which is never longer than the Kafka record that it came in.
fn length(bytes: usize) -> i32 {
    i32::try_from(bytes).expect("a record has far less than 2 GiB")
}

#[cfg(test)]
mod tests {
    use bytes::Buf;
    use petstore::{Sale, SaleRef};
    use proptest::prelude::*;

    use super::*;
    use crate::{Part, strange};

    /// The columns of a row.
    fn columns(mut row: &[u8]) -> Vec<&[u8]> {
        let count = row.get_i16();
        let columns = (0..count).map(|_| {
            let length = usize::try_from(row.get_i32()).unwrap();
            let (column, rest) = row.split_at(length);
            row = rest;
            column
        });
        let columns = columns.collect();
        assert!(row.is_empty());
        columns
    }

    proptest! {
        // Four strange bodies of five are not valid.
        #![proptest_config(ProptestConfig { max_global_rejects: 10_000, ..ProptestConfig::default() })]
        #[test]
        fn every_valid_body_makes_a_row_that_says_the_same(body in strange::body(), due_us in 0..=petstore::MAX_DUE_US) {
            prop_assume!(SaleRef::parse(&body).is_ok());
            let sale: Sale = serde_json::from_slice(&body).unwrap();
            let record = Record::new(sale.clone(), due_us, i64::MAX).unwrap();
            let part = Part { partition: ("sales.ca".into(), 0), expected: 0, next: 1, records: vec![record.clone()] };
            let mut bytes = BytesMut::new();
            row(&mut bytes, &Events { part: &part, epoch: 7 }, &record).unwrap();

            let columns = columns(&bytes);
            let number = |at: usize| columns[at].iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
            let id = sale.id;
            prop_assert_eq!(columns.len(), usize::from(COLUMNS));
            prop_assert_eq!(number(15), 7);
            prop_assert_eq!([number(0), number(1), number(2), number(3)], [id.run, id.loader, id.block, id.index].map(u64::from));
            prop_assert_eq!(due_us - YEAR_2000_US, number(7).cast_signed());
            prop_assert_eq!(columns[8], sale.state().code().as_bytes());
            prop_assert_eq!([number(9), number(10), number(11)], [sale.store.id.into(), sale.customer.id, sale.time]);
            let items = std::str::from_utf8(&columns[13][1..]).unwrap();
            prop_assert!(!items.contains("\\u0000"), "{}", items);
            prop_assert_eq!(serde_json::from_str::<Vec<petstore::Item>>(items).unwrap(), sale.items);
        }
    }
}
