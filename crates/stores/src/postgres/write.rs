//! The guarded write: rows and positions in one SQL transaction.

use std::time::SystemTime;

use anyhow::{Context, anyhow};
use petstore::Item;
use tokio::sync::OnceCell;
use tokio_postgres::types::{Json, ToSql};
use tokio_postgres::{Client, Statement};

use super::Config;
use super::connection::{Connection, Open};
use crate::batch::signed;
use crate::{Error, Outcome, Part, Partition, Store};

/// Writes sales. Several may write at once, to the same partitions even: the stored positions decide.
pub struct Writer {
    connection: Connection,
    installation: String,
}

impl Writer {
    /// `installation` names the Kafka that positions count in. Connects when it is used.
    pub fn new(config: Config, installation: impl Into<String>) -> Self {
        Self { connection: Connection::new(config, true), installation: installation.into() }
    }
}

impl Store for Writer {
    fn reset(&self) -> String {
        self.connection.reset()
    }

    async fn positions(&mut self, partitions: &[Partition]) -> Result<Vec<i64>, Error> {
        let installation = self.installation.clone();
        let read = self.connection.run("reading positions", async |open| {
            make_positions(&open.client, partitions, &installation).await.map_err(anyhow::Error::new)?;
            let other =
                open.client.query_opt(OTHER_INSTALLATION, &[&installation]).await.map_err(anyhow::Error::new)?;
            if let Some(row) = other {
                return Ok(Err(row.get::<_, String>(0)));
            }
            let (topics, numbers) = columns(partitions);
            let rows = open.client.query(POSITIONS, &[&topics, &numbers]).await.map_err(anyhow::Error::new)?;
            Ok(Ok(rows.iter().map(|row| row.get(0)).collect()))
        });
        read.await?.map_err(|stored| self.connection.other_kafka(stored, &self.installation))
    }

    async fn write(&mut self, parts: &[Part]) -> Result<Vec<Outcome>, Error> {
        let installation = self.installation.clone();
        let written = self.connection.run("writing sales", async |open| Ok(write(open, &installation, parts).await?));
        written.await?.map_err(|stored| self.connection.other_kafka(stored, &self.installation))
    }
}

/// Made outside of the guarded transaction: a row that two transactions make in different order is a deadlock.
/// Nothing is made for another Kafka's positions, so that they stay recognisable.
async fn make_positions(
    client: &Client,
    partitions: &[Partition],
    installation: &str,
) -> Result<u64, tokio_postgres::Error> {
    let mut sorted = partitions.to_vec();
    sorted.sort();
    let (topics, numbers) = columns(&sorted);
    client.execute(MAKE_POSITIONS, &[&topics, &numbers, &installation]).await
}

fn columns(partitions: &[Partition]) -> (Vec<&str>, Vec<i32>) {
    partitions.iter().map(|(topic, number)| (topic.as_str(), *number)).unzip()
}

const MAKE_POSITIONS: &str = "\
    INSERT INTO positions (topic, partition, next_offset, installation) \
    SELECT topic, partition, 0, $3 FROM unnest($1::text[], $2::integer[]) AS wanted (topic, partition) \
    WHERE NOT EXISTS (SELECT FROM positions WHERE installation <> $3) \
    ON CONFLICT DO NOTHING";
const OTHER_INSTALLATION: &str = "SELECT installation FROM positions WHERE installation <> $1 LIMIT 1";
const POSITIONS: &str = "\
    SELECT coalesce(next_offset, 0) FROM unnest($1::text[], $2::integer[]) WITH ORDINALITY AS wanted (topic, partition, n) \
    LEFT JOIN positions USING (topic, partition) ORDER BY n";
/// Locks in the order of the names, whatever order they are asked in: no deadlock between writers.
const LOCK: &str = "\
    SELECT topic, partition, next_offset, installation FROM positions \
    WHERE (topic, partition) IN (SELECT * FROM unnest($1::text[], $2::integer[])) \
    ORDER BY topic, partition FOR UPDATE";
const ADVANCE: &str = "\
    UPDATE positions SET next_offset = new.next \
    FROM unnest($1::text[], $2::integer[], $3::bigint[]) AS new (topic, partition, next) \
    WHERE (positions.topic, positions.partition) = (new.topic, new.partition)";

/// The columns of an incoming sale, in the order of [`Columns`].
macro_rules! incoming {
    () => {
        "unnest($1::bigint[], $2::integer[], $3::integer[], $4::integer[], $5::text[], $6::integer[], $7::bigint[], \
         $8::timestamptz[], $9::text[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::jsonb[], \
         $15::bigint[]) AS new (run, loader, block, index, topic, partition, kafka_offset, due, state, store, customer, \
         time, cents, items, digest)"
    };
}
const INSERT: &str = concat!(
    "INSERT INTO sale_events (run, loader, block, index, topic, partition, kafka_offset, due, state, store, customer, \
     time, cents, items, digest) SELECT * FROM ",
    incoming!(),
    " ON CONFLICT DO NOTHING"
);
/// What the insert left out, with what stands there instead. A row from the very same offset is no conflict: it is
/// there because somebody put positions back.
const CONFLICTS: &str = concat!(
    "INSERT INTO conflicts (run, loader, block, index, topic, partition, kafka_offset, due, state, store, customer, \
     time, cents, items, digest, kept_topic, kept_partition, kept_offset, kept_digest) \
     SELECT new.*, kept.topic, kept.partition, kept.kafka_offset, kept.digest FROM ",
    incoming!(),
    " JOIN sale_events AS kept USING (run, loader, block, index) \
     WHERE (kept.topic, kept.partition, kept.kafka_offset) <> (new.topic, new.partition, new.kafka_offset) \
     ON CONFLICT DO NOTHING RETURNING topic, partition"
);

/// Prepared once a connection, when first needed.
#[derive(Default)]
pub(super) struct Statements {
    lock: OnceCell<Statement>,
    insert: OnceCell<Statement>,
    advance: OnceCell<Statement>,
}

async fn prepared<'a>(
    client: &Client,
    cell: &'a OnceCell<Statement>,
    sql: &str,
) -> Result<&'a Statement, tokio_postgres::Error> {
    cell.get_or_try_init(|| client.prepare(sql)).await
}

/// The outcome of each part, or the installation that the store knows instead.
async fn write(
    Open { client, statements, .. }: &Open,
    installation: &str,
    parts: &[Part],
) -> anyhow::Result<Result<Vec<Outcome>, String>> {
    let lock = prepared(client, &statements.lock, LOCK).await?;
    let insert = prepared(client, &statements.insert, INSERT).await?;
    let advance = prepared(client, &statements.advance, ADVANCE).await?;

    let (topics, numbers): (Vec<&str>, Vec<i32>) =
        parts.iter().map(|part| (part.partition.0.as_str(), part.partition.1)).unzip();
    let parameters: [&(dyn ToSql + Sync); 2] = [&topics, &numbers];
    // Sent together: one round trip.
    let (begun, locked) = tokio::join!(client.batch_execute("BEGIN"), client.query(lock, &parameters));
    begun.context("beginning")?;
    let locked = locked.context("locking positions")?;
    if let Some(row) = locked.iter().find(|row| row.get::<_, &str>(3) != installation) {
        let stored = row.get(3);
        client.batch_execute("ROLLBACK").await?;
        return Ok(Err(stored));
    }

    let actual = |part: &Part| {
        let row =
            locked.iter().find(|row| (row.get::<_, &str>(0), row.get(1)) == (&part.partition.0, part.partition.1));
        // Without a row nothing may be written, not even from 0: reading the position makes one.
        row.map_or(-1, |row| row.get::<_, i64>(2))
    };
    let current: Vec<&Part> = parts.iter().filter(|part| actual(part) == part.expected).collect();
    if current.is_empty() {
        client.batch_execute("ROLLBACK").await?;
    } else {
        let columns = Columns::new(&current);
        let (topics, numbers): (Vec<&str>, Vec<i32>) =
            current.iter().map(|part| (part.partition.0.as_str(), part.partition.1)).unzip();
        let next: Vec<i64> = current.iter().map(|part| part.next).collect();
        let parameters: [&(dyn ToSql + Sync); 3] = [&topics, &numbers, &next];
        let columns_parameters = columns.parameters();
        let (inserted, advanced) =
            tokio::join!(client.execute(insert, &columns_parameters), client.execute(advance, &parameters));
        let (inserted, advanced) = (inserted.context("inserting")?, advanced.context("advancing positions")?);
        if advanced != current.len() as u64 {
            return Err(anyhow!("{advanced} of {} positions were advanced", current.len()));
        }
        let conflicts = if inserted == columns.run.len() as u64 {
            Vec::new()
        } else {
            client.query(CONFLICTS, &columns_parameters).await.context("recording conflicts")?
        };
        client.batch_execute("COMMIT").await.context("committing")?;
        let outcomes = parts.iter().map(|part| {
            let actual = actual(part);
            if actual != part.expected {
                return Outcome::Moved { actual: actual.max(0) };
            }
            let ours = |row: &&tokio_postgres::Row| {
                (row.get::<_, &str>(0), row.get(1)) == (&part.partition.0, part.partition.1)
            };
            Outcome::Written { conflicts: conflicts.iter().filter(ours).count() as u64 }
        });
        return Ok(Ok(outcomes.collect()));
    }
    Ok(Ok(parts.iter().map(|part| Outcome::Moved { actual: actual(part).max(0) }).collect()))
}

/// All records, column by column: Postgres takes arrays, so a batch is one statement whatever its size.
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
}

impl<'a> Columns<'a> {
    fn new(parts: &[&'a Part]) -> Self {
        let mut columns = Self::default();
        for part in parts {
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
            }
        }
        columns
    }

    fn parameters(&self) -> [&(dyn ToSql + Sync); 15] {
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
        ]
    }
}
