//! The guarded write: rows and positions in one SQL transaction.

use anyhow::{Context, anyhow};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};

use super::Config;
use super::connection::{Connection, Open};
use super::copy::{COPY, copied};
use super::events::Events;
use super::insert::insert;
use super::prepared::prepared;
use crate::{Adopt, Error, Outcome, Part, Partition, Store};

/// Writes sales. Several writers may write at once, even to the same partitions: the stored positions decide.
pub struct Writer {
    connection: Connection,
    installation: String,
}

impl Writer {
    /// `installation` names the Kafka that positions count in. Connects at its first use.
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

impl Adopt for Writer {
    async fn adopt(&mut self, stored: &str) -> Result<bool, Error> {
        let installation = self.installation.clone();
        let adopted = self.connection.run("adopting another kafka", async |open| {
            Ok(open.client.execute(ADOPT, &[&stored, &installation]).await.map_err(anyhow::Error::new)?)
        });
        Ok(adopted.await? > 0)
    }
}

/// Outside of the guarded transaction, because two transactions that insert the same rows in different orders deadlock. Nothing
/// is inserted beside positions of another Kafka, so that they stay recognisable.
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
/// Locks in the order of the names, whatever the order of the arguments, so that writers never deadlock.
const LOCK: &str = "\
    SELECT topic, partition, next_offset, installation, epoch FROM positions \
    WHERE (topic, partition) IN (SELECT * FROM unnest($1::text[], $2::integer[])) \
    ORDER BY topic, partition FOR UPDATE";
const ADVANCE: &str = "\
    UPDATE positions SET next_offset = new.next \
    FROM unnest($1::text[], $2::integer[], $3::bigint[]) AS new (topic, partition, next) \
    WHERE (positions.topic, positions.partition) = (new.topic, new.partition)";
/// Rows stay, so the epoch tells them from those that will have the same offsets. Locks in the same order as above.
const ADOPT: &str = "\
    WITH old AS ( \
        SELECT topic, partition FROM positions WHERE installation = $1 ORDER BY topic, partition FOR UPDATE \
    ) UPDATE positions SET next_offset = 0, installation = $2, epoch = epoch + 1 \
    FROM old WHERE (positions.topic, positions.partition) = (old.topic, old.partition)";

/// The outcome of each part, or the other installation that the store belongs to.
async fn write(
    Open { client, statements, .. }: &Open,
    installation: &str,
    parts: &[Part],
) -> anyhow::Result<Result<Vec<Outcome>, String>> {
    let lock = prepared(client, &statements.lock, LOCK).await?;
    let advance = prepared(client, &statements.advance, ADVANCE).await?;
    let copy = prepared(client, &statements.copy, COPY).await?;

    let (topics, numbers): (Vec<&str>, Vec<i32>) =
        parts.iter().map(|part| (part.partition.0.as_str(), part.partition.1)).unzip();
    let parameters: [&(dyn ToSql + Sync); 2] = [&topics, &numbers];
    // Sent together, in one round trip.
    let (begun, locked) = tokio::join!(client.batch_execute("BEGIN"), client.query(lock, &parameters));
    begun.context("beginning")?;
    let locked = locked.context("locking positions")?;
    if let Some(row) = locked.iter().find(|row| row.get::<_, &str>(3) != installation) {
        let stored = row.get(3);
        client.batch_execute("ROLLBACK").await?;
        return Ok(Err(stored));
    }

    let position = |part: &Part| locked.iter().find(|row| of(row, part));
    // Without a row nothing may be written, not even from 0: reading the position inserts one.
    let actual = |part: &Part| position(part).map_or(-1, |row| row.get::<_, i64>(2));
    let current: Vec<Events<'_>> = parts
        .iter()
        .filter(|part| actual(part) == part.expected)
        .filter_map(|part| Some(Events { part, epoch: position(part)?.get(4) }))
        .collect();
    if current.is_empty() {
        client.batch_execute("ROLLBACK").await?;
        return Ok(Ok(parts.iter().map(|part| Outcome::Moved { actual: actual(part).max(0) }).collect()));
    }

    let (topics, numbers): (Vec<&str>, Vec<i32>) =
        current.iter().map(|Events { part, .. }| (part.partition.0.as_str(), part.partition.1)).unzip();
    let next: Vec<i64> = current.iter().map(|Events { part, .. }| part.next).collect();
    let parameters: [&(dyn ToSql + Sync); 3] = [&topics, &numbers, &next];
    let (advanced, saved) =
        tokio::join!(client.execute(advance, &parameters), client.batch_execute("SAVEPOINT before_sales"));
    saved.context("setting a savepoint")?;
    let advanced = advanced.context("advancing positions")?;
    if advanced != current.len() as u64 {
        return Err(anyhow!("{advanced} of {} positions were advanced", current.len()));
    }
    let conflicts = if copied(client, copy, &current).await? {
        Vec::new()
    } else {
        client.batch_execute("ROLLBACK TO before_sales").await.context("rolling back to the savepoint")?;
        insert(client, &current).await?
    };
    client.batch_execute("COMMIT").await.context("committing")?;
    let outcomes = parts.iter().map(|part| {
        let actual = actual(part);
        if actual != part.expected {
            return Outcome::Moved { actual: actual.max(0) };
        }
        Outcome::Written { conflicts: conflicts.iter().filter(|row| of(row, part)).count() as u64 }
    });
    Ok(Ok(outcomes.collect()))
}

/// Whether a row that begins with topic and partition belongs to this part.
fn of(row: &Row, part: &Part) -> bool {
    (row.get::<_, &str>(0), row.get(1)) == (&part.partition.0, part.partition.1)
}
