//! Sales of which some are stored already: those that can't be inserted are recorded as conflicts.

use std::time::SystemTime;

use anyhow::Context;
use petstore::Item;
use tokio_postgres::types::{Json, ToSql};
use tokio_postgres::{Client, Row};

use super::events::{COLUMNS, Events, event_columns};
use crate::batch::signed;

/// The columns of an incoming sale, in the order of [`Columns`].
macro_rules! incoming {
    () => {
        concat!(
            "unnest($1::bigint[], $2::integer[], $3::integer[], $4::integer[], $5::text[], $6::integer[], $7::bigint[], \
             $8::timestamptz[], $9::text[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::jsonb[], \
             $15::bigint[], $16::integer[]) AS new (",
            event_columns!(),
            ")"
        )
    };
}
const INSERT: &str =
    concat!("INSERT INTO sale_events (", event_columns!(), ") SELECT * FROM ", incoming!(), " ON CONFLICT DO NOTHING");
/// The sales that the insert left out, with the rows that are there instead: the first hundred of a block are kept, the others
/// counted. A row from the very same offset is not a conflict: it is there because somebody set positions back.
const CONFLICTS: &str = concat!(
    "WITH came AS ( \
        SELECT new.*, kept.topic AS kept_topic, kept.partition AS kept_partition, kept.kafka_offset AS kept_offset, \
               kept.digest AS kept_digest FROM ",
    incoming!(),
    "   JOIN sale_events AS kept USING (run, loader, block, index) \
        WHERE (kept.topic, kept.partition, kept.kafka_offset) <> (new.topic, new.partition, new.kafka_offset) \
          AND NOT EXISTS (SELECT FROM conflicts AS c \
            WHERE (c.run, c.loader, c.block, c.index) = (new.run, new.loader, new.block, new.index) \
              AND (c.topic, c.partition, c.kafka_offset) = (new.topic, new.partition, new.kafka_offset)) \
    ), numbered AS ( \
        SELECT came.*, (SELECT count(*) FROM conflicts AS c \
                WHERE (c.run, c.loader, c.block) = (came.run, came.loader, came.block)) \
            + row_number() OVER (PARTITION BY run, loader, block ORDER BY topic, partition, kafka_offset) AS nth FROM came \
    ), written AS ( \
        INSERT INTO conflicts (run, loader, block, index, topic, partition, kafka_offset, due, state, store, customer, time, \
            cents, items, digest, kept_topic, kept_partition, kept_offset, kept_digest) \
        SELECT run, loader, block, index, topic, partition, kafka_offset, due, state, store, customer, time, cents, items, \
            digest, kept_topic, kept_partition, kept_offset, kept_digest FROM numbered WHERE nth <= 100 \
        ON CONFLICT DO NOTHING \
    ), counted AS ( \
        INSERT INTO conflicts_left_out AS c (run, loader, block, conflicts) \
        SELECT run, loader, block, count(*) FROM numbered WHERE nth > 100 \
        GROUP BY run, loader, block ORDER BY run, loader, block \
        ON CONFLICT (run, loader, block) DO UPDATE SET conflicts = c.conflicts + excluded.conflicts \
    ) SELECT topic, partition FROM came"
);

/// Inserts the sales that are not there yet. Returns topic and partition of each sale that is a conflict.
pub(super) async fn insert(client: &Client, parts: &[Events<'_>]) -> anyhow::Result<Vec<Row>> {
    let columns = Columns::new(parts);
    let parameters = columns.parameters();
    let inserted = client.execute(INSERT, &parameters).await.context("inserting")?;
    if inserted == columns.run.len() as u64 {
        return Ok(Vec::new());
    }
    client.query(CONFLICTS, &parameters).await.context("recording conflicts")
}

/// All records, column by column: each parameter is an array, so a batch of any size is one statement.
#[derive(Default)]
struct Columns<'a> {
    run: Vec<i64>,
    loader: Vec<i32>,
    block: Vec<i32>,
    index: Vec<i32>,
    topic: Vec<&'a str>,
    partition: Vec<i32>,
    offset: Vec<i64>,
    due: Vec<SystemTime>,
    state: Vec<&'static str>,
    store: Vec<i64>,
    customer: Vec<i64>,
    time: Vec<i64>,
    cents: Vec<i64>,
    items: Vec<Json<&'a [Item]>>,
    digest: Vec<i64>,
    epoch: Vec<i32>,
}

impl<'a> Columns<'a> {
    fn new(parts: &[Events<'a>]) -> Self {
        let mut columns = Self::default();
        for Events { part, epoch } in parts {
            for record in &part.records {
                let sale = record.sale();
                columns.run.push(sale.id.run.into());
                columns.loader.push(sale.id.loader.cast_signed());
                columns.block.push(sale.id.block.cast_signed());
                columns.index.push(sale.id.index.cast_signed());
                columns.topic.push(&part.partition.0);
                columns.partition.push(part.partition.1);
                columns.offset.push(record.offset());
                columns.due.push(record.due());
                columns.state.push(sale.state().code());
                columns.store.push(sale.store.id.into());
                columns.customer.push(signed(sale.customer.id));
                columns.time.push(signed(sale.time));
                columns.cents.push(sale.cents.into());
                columns.items.push(Json(&sale.items));
                columns.digest.push(petstore::digest(sale).cast_signed());
                columns.epoch.push(*epoch);
            }
        }
        columns
    }

    fn parameters(&self) -> [&(dyn ToSql + Sync); COLUMNS as usize] {
        [
            &self.run,
            &self.loader,
            &self.block,
            &self.index,
            &self.topic,
            &self.partition,
            &self.offset,
            &self.due,
            &self.state,
            &self.store,
            &self.customer,
            &self.time,
            &self.cents,
            &self.items,
            &self.digest,
            &self.epoch,
        ]
    }
}
