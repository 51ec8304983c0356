//! The auditor's queries.

use std::time::Duration;

use anyhow::Context;
use petstore::{BlockId, Receipt, SaleId};
use tokio_postgres::Row as SqlRow;

use super::Config;
use super::connection::{Connection, Open};
use super::receipt::{receipt, receipt_columns};
use crate::{Counts, Error, Listed, Positions};

/// Reads sales, conflicts and positions. Creates and changes nothing, except in [`Reader::prune`].
///
/// Until a writer has created the tables, every answer is [`Error::Unavailable`].
pub struct Reader {
    connection: Connection,
}

/// A sale as it is in the table now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its place in the block.
    pub index: u32,
    /// The digest that was stored with it.
    pub digest: u64,
    /// The receipt in its columns; or the column whose value no receipt can have.
    pub receipt: Result<Receipt, String>,
}

/// A sale that came again from another offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The sale.
    pub id: SaleId,
    /// Where it came from, as topic, partition and offset.
    pub came: (String, i32, i64),
    /// Where the one that was kept came from.
    pub kept: (String, i32, i64),
    /// Whether both are the same in all their fields.
    pub equal: bool,
}

impl Reader {
    /// Connects at its first use.
    pub fn new(config: Config) -> Self {
        Self { connection: Connection::new(config, false) }
    }

    /// The positions of all partitions.
    pub async fn positions(&mut self) -> Result<Positions, Error> {
        let rows = self.query("reading positions", POSITIONS, &[]).await?;
        Ok(Positions {
            installation: rows.first().map(|row| row.get(3)),
            adopted: rows.iter().map(|row| u64::try_from(row.get::<_, i32>(4)).unwrap_or(0)).max().unwrap_or(0),
            next: rows.iter().map(|row| ((row.get(0), row.get(1)), row.get(2))).collect(),
        })
    }

    /// How many sales and conflicts of each block there are, in the order of `blocks`.
    pub async fn counts(&mut self, blocks: &[BlockId]) -> Result<Vec<Counts>, Error> {
        let Keys { run, loader, block } = Keys::new(blocks);
        let rows = self.query("counting sales", COUNTS, &[&run, &loader, &block]).await?;
        Ok(rows.iter().map(|row| Counts { found: count(row, 0), conflicts: count(row, 1) }).collect())
    }

    /// The indices of a block that are there, in their order, each with the digest of its sale.
    pub async fn present(&mut self, block: BlockId) -> Result<Vec<(u32, u64)>, Error> {
        let rows = self
            .query(
                "reading a block",
                "SELECT index, digest FROM sale_events WHERE run = $1 AND loader = $2 AND block = $3 ORDER BY index",
                &[&i64::from(block.run), &block.loader.cast_signed(), &block.block.cast_signed()],
            )
            .await?;
        Ok(rows
            .iter()
            .map(|row| (row.get::<_, i32>(0).cast_unsigned(), row.get::<_, i64>(1).cast_unsigned()))
            .collect())
    }

    /// The sales of a block as they are now, in the order of their indices.
    pub async fn rows(&mut self, block: BlockId) -> Result<Vec<Row>, Error> {
        let rows = self
            .query(
                "reading a block",
                ROWS,
                &[&i64::from(block.run), &block.loader.cast_signed(), &block.block.cast_signed()],
            )
            .await?;
        Ok(rows.iter().map(|row| Row::read(block, row)).collect())
    }

    /// The blocks that any row belongs to, at most `limit` of them, starting behind `after`.
    pub async fn blocks(&mut self, after: Option<BlockId>, limit: u32) -> Result<Vec<Listed>, Error> {
        let (run, loader, block) =
            after.map_or((-1, 0, 0), |id| (i64::from(id.run), id.loader.cast_signed(), id.block.cast_signed()));
        let rows = self.query("listing blocks", BLOCKS, &[&run, &loader, &block, &i64::from(limit)]).await?;
        let listed = |row: &SqlRow| {
            let run = u32::try_from(row.get::<_, i64>(0)).unwrap_or(u32::MAX);
            let (loader, block) = (row.get::<_, i32>(1).cast_unsigned(), row.get::<_, i32>(2).cast_unsigned());
            Listed { id: BlockId { run, loader, block }, is_earlier: row.get(3) }
        };
        Ok(rows.iter().map(listed).collect())
    }

    /// The conflicts of a block that are kept, at most `limit` of them.
    pub async fn conflicts(&mut self, block: BlockId, limit: u32) -> Result<Vec<Conflict>, Error> {
        let rows = self
            .query(
                "reading conflicts",
                CONFLICTS,
                &[&i64::from(block.run), &block.loader.cast_signed(), &block.block.cast_signed(), &i64::from(limit)],
            )
            .await?;
        let conflict = |row: &SqlRow| Conflict {
            id: block.sale(row.get::<_, i32>(0).cast_unsigned()),
            came: (row.get(1), row.get(2), row.get(3)),
            kept: (row.get(4), row.get(5), row.get(6)),
            equal: row.get(7),
        };
        Ok(rows.iter().map(conflict).collect())
    }

    /// How many sales were stored in the last `span`, by the server's clock.
    pub async fn stored_within(&mut self, span: Duration) -> Result<u64, Error> {
        let rows = self
            .query(
                "counting recent sales",
                "SELECT count(*) FROM sale_events WHERE stored_at > now() - make_interval(secs => $1)",
                &[&span.as_secs_f64()],
            )
            .await?;
        Ok(rows.first().map_or(0, |row| count(row, 0)))
    }

    /// Deletes the sales and conflicts of blocks that need not be kept; returns how many sales there were.
    ///
    /// Each block takes a separate statement, so that an error does not undo those before it.
    pub async fn prune(&mut self, blocks: &[BlockId]) -> Result<u64, Error> {
        let mut sales = 0;
        for block in blocks {
            let (run, loader, block) = key(*block);
            let deleted = self.query("pruning sales", PRUNE, &[&run, &loader, &block]).await?;
            sales += deleted.first().map_or(0, |row| count(row, 0));
        }
        Ok(sales)
    }

    async fn query(
        &mut self,
        what: &str,
        sql: &str,
        parameters: &[&(dyn tokio_postgres::types::ToSql + Sync)],
    ) -> Result<Vec<SqlRow>, Error> {
        let address = self.connection.address();
        self.connection
            .run(what, async |Open { client, .. }| {
                Ok(client.query(sql, parameters).await.with_context(|| format!("postgres at {address}"))?)
            })
            .await
    }
}

const POSITIONS: &str = "SELECT topic, partition, next_offset, installation, epoch FROM positions";
const ROWS: &str = concat!(
    "SELECT index, digest, ",
    receipt_columns!(),
    " FROM sale_events WHERE run = $1 AND loader = $2 AND block = $3 ORDER BY index"
);
/// From each block to the next by the primary key: as many look-ups as there are blocks, however many rows. All rows of a block
/// came from one Kafka, so one of them tells which.
const BLOCKS: &str = "\
    WITH RECURSIVE found (run, loader, block) AS ( \
        (SELECT run, loader, block FROM sale_events WHERE (run, loader, block) > ($1, $2, $3) \
         ORDER BY run, loader, block LIMIT 1) \
        UNION ALL \
        SELECT next.* FROM found, LATERAL ( \
            SELECT run, loader, block FROM sale_events AS s \
            WHERE (s.run, s.loader, s.block) > (found.run, found.loader, found.block) \
            ORDER BY run, loader, block LIMIT 1) AS next \
    ) SELECT run, loader, block, one.epoch < coalesce( \
        (SELECT epoch FROM positions AS at WHERE (at.topic, at.partition) = (one.topic, one.partition)), 0) \
    FROM found, LATERAL ( \
        SELECT topic, partition, epoch FROM sale_events AS s \
        WHERE (s.run, s.loader, s.block) = (found.run, found.loader, found.block) LIMIT 1) AS one LIMIT $4";
const COUNTS: &str = "\
    SELECT (SELECT count(*) FROM sale_events AS s WHERE (s.run, s.loader, s.block) = (b.run, b.loader, b.block)), \
           (SELECT count(*) FROM conflicts AS c WHERE (c.run, c.loader, c.block) = (b.run, b.loader, b.block)) \
           + coalesce((SELECT c.conflicts FROM conflicts_left_out AS c \
                WHERE (c.run, c.loader, c.block) = (b.run, b.loader, b.block)), 0) \
    FROM unnest($1::bigint[], $2::integer[], $3::integer[]) WITH ORDINALITY AS b (run, loader, block, n) ORDER BY n";
const CONFLICTS: &str = "\
    SELECT index, topic, partition, kafka_offset, kept_topic, kept_partition, kept_offset, digest = kept_digest \
    FROM conflicts WHERE run = $1 AND loader = $2 AND block = $3 ORDER BY index, topic, partition, kafka_offset LIMIT $4";
const PRUNE: &str = "\
    WITH sales AS (DELETE FROM sale_events WHERE (run, loader, block) = ($1, $2, $3) RETURNING 1), \
         kept AS (DELETE FROM conflicts WHERE (run, loader, block) = ($1, $2, $3)), \
         left_out AS (DELETE FROM conflicts_left_out WHERE (run, loader, block) = ($1, $2, $3)) \
    SELECT count(*) FROM sales";

impl Row {
    fn read(block: BlockId, row: &SqlRow) -> Self {
        let index = row.get::<_, i32>(0).cast_unsigned();
        Self { index, digest: row.get::<_, i64>(1).cast_unsigned(), receipt: receipt(block.sale(index), row, 2) }
    }
}

struct Keys {
    run: Vec<i64>,
    loader: Vec<i32>,
    block: Vec<i32>,
}

impl Keys {
    fn new(blocks: &[BlockId]) -> Self {
        let mut keys = Self { run: Vec::new(), loader: Vec::new(), block: Vec::new() };
        for (run, loader, block) in blocks.iter().copied().map(key) {
            keys.run.push(run);
            keys.loader.push(loader);
            keys.block.push(block);
        }
        keys
    }
}

/// The columns that identify a block. A number above all that are ever stored becomes negative, and is never found.
fn key(block: BlockId) -> (i64, i32, i32) {
    (block.run.into(), block.loader.cast_signed(), block.block.cast_signed())
}

fn count(row: &SqlRow, column: usize) -> u64 {
    row.get::<_, i64>(column).cast_unsigned()
}
