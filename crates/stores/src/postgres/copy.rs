//! Sales of which none is there yet, as it should be: streamed into the table in Postgres's own binary form.
//!
//! This takes Postgres little more than half of what an `INSERT ... ON CONFLICT` does: no array is taken apart, no key is
//! looked up before it is inserted, and rows are logged by the page. But a copy ends at the first sale that is there.

use std::pin::pin;

use anyhow::Context;
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::SinkExt;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, CopyInSink, Statement};

use crate::batch::signed;
use crate::{Part, Record};

pub(super) const COPY: &str = "\
    COPY sale_events (run, loader, block, index, topic, partition, kafka_offset, due, state, store, customer, time, cents, \
    items, digest) FROM STDIN (FORMAT binary)";
const COLUMNS: i16 = 15;

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
pub(super) async fn copied(client: &Client, copy: &Statement, parts: &[&Part]) -> anyhow::Result<bool> {
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

async fn send(sink: CopyInSink<Bytes>, parts: &[&Part]) -> Result<u64, Failed> {
    let mut sink = pin!(sink);
    let mut piece = BytesMut::with_capacity(PIECE + ROW);
    piece.put_slice(HEAD);
    for part in parts {
        for record in &part.records {
            row(&mut piece, part, record).map_err(Failed::Json)?;
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

fn row(bytes: &mut BytesMut, part: &Part, record: &Record) -> Result<(), serde_json::Error> {
    let sale = record.sale();
    bytes.put_i16(COLUMNS);
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

/// Of a text that Kafka had as a part of one record.
fn length(bytes: usize) -> i32 {
    i32::try_from(bytes).expect("a record has far less than 2 GiB")
}
