//! The spout's queries: the sales of a partition, in the order of their offsets.

use std::pin::{Pin, pin};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, anyhow};
use futures_util::TryStreamExt;
use petstore::{Receipt, SaleId};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, RowStream};

use super::Config;
use super::connection::Connection;
use super::receipt::{items, number, receipt, receipt_columns};
use crate::{Error, Partition};

/// Follows the stored positions. Rows below a position are final, and are read in the order in which they came.
pub struct Follower {
    connection: Connection,
    installation: String,
    waits: bool,
}

/// Offsets of one partition: from the first, below the second.
pub type Span = (Partition, (i64, i64));

/// A sale as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// What is known of it.
    pub receipt: Receipt,
    /// When the schedule wanted it sent: microseconds since 1970.
    pub due_us: i64,
}

impl Follower {
    /// `installation` names the Kafka that offsets count in. Connects at its first use.
    pub fn new(config: Config, installation: impl Into<String>) -> Self {
        Self { connection: Connection::new(config, false), installation: installation.into(), waits: false }
    }

    /// With `waits`, positions of another Kafka are [`Error::Unavailable`], because a writer is about to adopt the Kafka of
    /// this follower (see [`crate::Adopt`]).
    #[must_use]
    pub fn waiting_for_adoption(self, waits: bool) -> Self {
        Self { waits, ..self }
    }

    /// How far the store is in each of `partitions`, 0 where it never was.
    pub async fn positions(&mut self, partitions: &[Partition]) -> Result<Vec<i64>, Error> {
        let (topics, numbers) = columns(partitions);
        let rows = self
            .connection
            .run("reading positions", async |open| {
                Ok(open.client.query(POSITIONS, &[&topics, &numbers]).await.map_err(anyhow::Error::new)?)
            })
            .await?;
        let other = rows.iter().filter_map(|row| row.get::<_, Option<String>>(1)).find(|at| *at != self.installation);
        match other {
            Some(stored) if self.waits => Err(Error::Unavailable(anyhow!(
                "the positions in postgres still belong to another kafka, {stored}: waiting for the role postgres to adopt {}",
                self.installation
            ))),
            Some(stored) => Err(self.connection.other_kafka(stored, &self.installation)),
            None => Ok(rows.iter().map(|row| row.get(0)).collect()),
        }
    }

    /// The sales of each span, in the order of `spans`, each with its offset. One that can't be read, since somebody
    /// changed it, has the reason instead. [`Error::TooMuch`] if they have more than [`BYTES`], or take too long.
    pub async fn read(&mut self, spans: &[Span]) -> Result<Vec<Rows>, Error> {
        let partitions: Vec<Partition> = spans.iter().map(|(partition, _)| partition.clone()).collect();
        let (topics, numbers) = columns(&partitions);
        let (from, below): (Vec<i64>, Vec<i64>) = spans.iter().map(|(_, ends)| *ends).unzip();
        let parameters: [&(dyn ToSql + Sync); 5] = [&topics, &numbers, &from, &below, &self.installation];
        self.connection
            .run("reading sales", async |open| {
                let reading = async {
                    let rows = open.client.query_raw(ROWS, parameters).await.map_err(anyhow::Error::new)?;
                    collect(pin!(rows), spans.len()).await
                };
                let late = || Error::TooMuch(anyhow!("not within {} s", READ_LIMIT.as_secs()));
                tokio::time::timeout(READ_LIMIT, reading).await.unwrap_or_else(|_| Err(late()))
            })
            .await
    }
}

/// Sales of one span, each with its offset; instead of one that can't be read, the reason.
pub type Rows = Vec<(i64, Result<Stored, String>)>;

/// What the items of one read may have, as text: some 40,000 sales as they are generated. Only a flood of outsized ones
/// gets here.
pub const BYTES: usize = 16 << 20;

/// The longest that one read may take. Shorter than a statement may: who asks for too much learns it soon.
const READ_LIMIT: Duration = Duration::from_secs(10);

async fn collect(mut rows: Pin<&mut RowStream>, spans: usize) -> Result<Vec<Rows>, Error> {
    let mut read: Vec<Rows> = vec![Vec::new(); spans];
    let mut bytes = 0;
    while let Some(row) = rows.try_next().await.map_err(anyhow::Error::new)? {
        bytes += items(&row, RECEIPT).len();
        if bytes > BYTES {
            return Err(Error::TooMuch(anyhow!("more than {} MiB", BYTES >> 20)));
        }
        let span = usize::try_from(row.get::<_, i64>(0) - 1).ok().and_then(|n| read.get_mut(n));
        span.context("a row of no span").map_err(Error::Unavailable)?.push((row.get(1), stored(&row)));
    }
    // As they come each span is in order already, but SQL promises it for the whole answer or not at all.
    for rows in &mut read {
        rows.sort_by_key(|(offset, _)| *offset);
    }
    Ok(read)
}

const POSITIONS: &str = "\
    SELECT coalesce(next_offset, 0), installation \
    FROM unnest($1::text[], $2::integer[]) WITH ORDINALITY AS wanted (topic, partition, n) \
    LEFT JOIN positions USING (topic, partition) ORDER BY n";
/// Each span by the index of offsets, without the rows that an earlier Kafka had at the same offsets. Not ordered as a whole:
/// for that Postgres would write all of it to a file and read it again.
const ROWS: &str = concat!(
    "SELECT n, sale.* \
     FROM unnest($1::text[], $2::integer[], $3::bigint[], $4::bigint[]) WITH ORDINALITY AS span (topic, partition, low, high, n) \
     JOIN positions AS at ON (at.topic, at.partition, at.installation) = (span.topic, span.partition, $5), \
     LATERAL (SELECT kafka_offset, run, loader, block, index, due, ",
    receipt_columns!(),
    " FROM sale_events AS s \
     WHERE (s.topic, s.partition) = (span.topic, span.partition) AND kafka_offset >= low AND kafka_offset < high \
       AND s.epoch = at.epoch \
     ORDER BY s.topic, s.partition, kafka_offset) AS sale"
);

/// The first column of [`ROWS`] that a receipt is made of. Before it are the span (0), the offset (1), the sale's id (2 to 5) and
/// its due time (6).
const RECEIPT: usize = 7;

fn columns(partitions: &[Partition]) -> (Vec<&str>, Vec<i32>) {
    partitions.iter().map(|(topic, number)| (topic.as_str(), *number)).unzip()
}

/// Of a row of [`ROWS`].
fn stored(row: &Row) -> Result<Stored, String> {
    let id = SaleId {
        run: number(row, 2, "run")?,
        loader: row.get::<_, i32>(3).cast_unsigned(),
        block: row.get::<_, i32>(4).cast_unsigned(),
        index: row.get::<_, i32>(5).cast_unsigned(),
    };
    let due = row.get::<_, SystemTime>(6).duration_since(UNIX_EPOCH).map_err(|_| "due is before 1970".to_owned())?;
    let due_us = i64::try_from(due.as_micros()).map_err(|_| "due is too late".to_owned())?;
    Ok(Stored { receipt: receipt(id, row, RECEIPT)?, due_us })
}
