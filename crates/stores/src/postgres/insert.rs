//! Sales of which some are stored already: those that can't be inserted are recorded as conflicts.

use std::time::SystemTime;

use anyhow::Context;
use petstore::Item;
use tokio_postgres::types::{Json, ToSql};
use tokio_postgres::{Client, Row};

use super::events::{COLUMNS, Events, event_columns, sale_columns};
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
        INSERT INTO conflicts (",
    sale_columns!(),
    ", kept_topic, kept_partition, kept_offset, kept_digest) SELECT ",
    sale_columns!(),
    ", kept_topic, kept_partition, kept_offset, kept_digest FROM numbered WHERE nth <= 100 \
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

/// Makes [`Columns`] of a list of its fields, each with its type and its value in a row, in the order of [`event_columns`].
macro_rules! columns {
    (|$part:ident, $epoch:ident, $record:ident, $sale:ident| $($column:ident: $type:ty = $value:expr;)+) => {
        /// All records, column by column: each parameter is an array, so a batch of any size is one statement.
        #[derive(Default)]
        struct Columns<'a> {
            $($column: Vec<$type>,)+
        }

        impl<'a> Columns<'a> {
            fn new(parts: &[Events<'a>]) -> Self {
                let mut columns = Self::default();
                for Events { part: $part, epoch: $epoch } in parts {
                    for $record in &$part.records {
                        let $sale = $record.sale();
                        $(columns.$column.push($value);)+
                    }
                }
                columns
            }

            fn parameters(&self) -> [&(dyn ToSql + Sync); COLUMNS as usize] {
                [$(&self.$column,)+]
            }
        }
    };
}
columns! { |part, epoch, record, sale|
    run: i64 = sale.id.run.into();
    loader: i32 = sale.id.loader.cast_signed();
    block: i32 = sale.id.block.cast_signed();
    index: i32 = sale.id.index.cast_signed();
    topic: &'a str = &part.partition.0;
    partition: i32 = part.partition.1;
    offset: i64 = record.offset();
    due: SystemTime = record.due();
    state: &'static str = sale.state().code();
    store: i64 = sale.store.id.into();
    customer: i64 = signed(sale.customer.id);
    time: i64 = signed(sale.time);
    cents: i64 = sale.cents.into();
    items: Json<&'a [Item]> = Json(&sale.items);
    digest: i64 = petstore::digest(sale).cast_signed();
    epoch: i32 = *epoch;
}
