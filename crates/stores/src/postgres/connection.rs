//! The connection to Postgres. Every wait has a limit, because the client library sets none.

use std::fmt;
use std::pin::pin;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde::{Deserialize, Deserializer};
use service::{Host, Port, Secret};
use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls};
use tracing::{debug, info, warn};

use super::prepared::Statements;
use crate::{Error, shell};

/// Where Postgres is: the variables `POSTGRES_*`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the names of most fields are enough")]
pub struct Config {
    #[serde(deserialize_with = "host")]
    pub host: Host,
    #[serde(default = "port")]
    pub port: Port,
    #[serde(default)]
    pub database: Name,
    /// The owner of the schema.
    #[serde(default)]
    pub user: Name,
    pub password: Secret,
    /// Schema of all tables; created if it does not exist.
    #[serde(default)]
    pub schema: Schema,
}

fn host<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Host, D::Error> {
    Host::deserialize(deserializer, "POSTGRES_PORT")
}

fn port() -> Port {
    Port::try_from(5432).expect("it is a port")
}

/// Postgres truncates longer names.
const LONGEST_NAME: usize = 63;

/// The name of a database or of a user.
#[derive(Clone, Deserialize, PartialEq, Eq)]
#[serde(try_from = "String")]
pub struct Name(String);

impl Name {
    /// The name, not quoted.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Name {
    fn default() -> Self {
        Self("kapture".to_owned())
    }
}

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        if (1..=LONGEST_NAME).contains(&name.chars().count()) {
            return Ok(Self(name));
        }
        Err(format!("{name:?} is not a name for Postgres: use 1 to {LONGEST_NAME} characters"))
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The name of a schema: lower-case letters, digits, `_`, `-` and `.`, 63 characters at most. It may be the name of a
/// namespace and of a release, so it is quoted wherever it is used.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(try_from = "String")]
pub struct Schema(String);

impl Default for Schema {
    fn default() -> Self {
        Self("kapture".to_owned())
    }
}

impl TryFrom<String> for Schema {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-' | '.');
        if (1..=LONGEST_NAME).contains(&name.len()) && name.chars().all(known) {
            Ok(Self(name))
        } else {
            Err(format!(
                "{name:?} is not a schema: use 1 to {LONGEST_NAME} lower-case letters, digits, '_', '-' and '.'"
            ))
        }
    }
}

impl fmt::Display for Schema {
    /// Quoted, as SQL needs it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// A peer that vanished is noticed within this time, whether or not data is being sent to it.
const TCP_LIMIT: Duration = Duration::from_secs(20);
/// The longest that a request may take, by our clock. The server's own limits are shorter.
const LIMIT: Duration = Duration::from_secs(40);
/// The longest that a statement may take, by the server's clock, unless the user's own `statement_timeout` is shorter.
const STATEMENT_LIMIT: &str = "\
    RESET statement_timeout; \
    SELECT set_config('statement_timeout', least(nullif(setting::bigint, 0), 30000)::text, false) \
    FROM pg_settings WHERE name = 'statement_timeout'";
/// How long to wait for a lock, and how long a transaction may stay idle: the locks of a writer that froze are released for the
/// next one.
const SERVER_LIMITS: &str = "SET lock_timeout = '10s'; SET idle_in_transaction_session_timeout = '15s'";
/// Indexing a table that has grown for weeks takes minutes, and an attempt that is interrupted starts again from nothing. So
/// the server's limits don't apply to migrations, nor to those who wait for their turn.
const NO_LIMITS: &str = "SET statement_timeout = 0; SET lock_timeout = 0";
/// The longest that migrations may take, by our clock. A peer that vanished is noticed long before.
const MIGRATION_LIMIT: Duration = Duration::from_hours(1);
/// How often a long migration is logged.
const LOG_EVERY: Duration = Duration::from_secs(30);

/// Ends writers that froze while sending: none of the server's limits applies to a COPY that waits for its client, and other
/// writers would wait for its locks. A writer that is still alive has given up by then, and one that is ended by mistake
/// reconnects.
const END_FROZEN: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
    WHERE datname = current_database() AND usename = current_user AND application_name = $1 \
    AND wait_event = 'ClientRead' AND xact_start < now() - make_interval(secs => $2)";
const APPLICATION: &str = "kapture";

mod embedded {
    refinery::embed_migrations!("migrations");
}

/// A connection that is opened at its first use and dropped at the first error, together with whatever the error left behind:
/// half an answer, an open transaction.
pub(super) struct Connection {
    config: Config,
    migrates: bool,
    open: Option<Open>,
}

pub(super) struct Open {
    pub(super) client: Client,
    pub(super) statements: Statements,
    io: JoinHandle<()>,
}

impl Drop for Open {
    fn drop(&mut self) {
        // If the peer has vanished, it would otherwise run on for a while.
        self.io.abort();
    }
}

impl Connection {
    /// `migrates`: whether the schema is migrated at each connection.
    pub(super) fn new(config: Config, migrates: bool) -> Self {
        Self { config, migrates, open: None }
    }

    /// Runs `ask` on the connection, within a limit.
    pub(super) async fn run<T>(
        &mut self,
        what: &str,
        ask: impl AsyncFnOnce(&Open) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let open = match self.open.take() {
            Some(open) if !open.client.is_closed() => open,
            _ => self.connect().await?,
        };
        match tokio::time::timeout(LIMIT, ask(&open)).await {
            Ok(Ok(answer)) => {
                self.open = Some(open);
                Ok(answer)
            }
            Ok(Err(err)) => Err(err.context(what)),
            Err(_) => Err(Error::TooMuch(anyhow::anyhow!("{what}: no answer within {} s", LIMIT.as_secs()))),
        }
    }

    async fn connect(&self) -> anyhow::Result<Open> {
        let (mut client, io) = within(LIMIT, self.log_in()).await.with_context(|| self.connecting())?;
        if self.migrates {
            let migrating = logged_while("migrating postgres", migrate(&mut client, &self.config.schema));
            within(MIGRATION_LIMIT, migrating).await.with_context(|| self.connecting())?;
        }
        within(LIMIT, async { Ok(client.batch_execute(&format!("{SERVER_LIMITS}; {STATEMENT_LIMIT}")).await?) })
            .await
            .with_context(|| self.connecting())?;
        Ok(Open { client, statements: Statements::default(), io })
    }

    /// The server's limits are not set yet.
    async fn log_in(&self) -> anyhow::Result<(Client, JoinHandle<()>)> {
        let (client, connection) = self.library_config().connect(NoTls).await?;
        let io = tokio::spawn(async move {
            if let Err(err) = connection.await {
                debug!("connection to postgres ended: {err}");
            }
        });
        client.batch_execute(&format!("{NO_LIMITS}; SET search_path TO {}", self.config.schema)).await?;
        if self.migrates {
            let ended = client.query(END_FROZEN, &[&APPLICATION, &LIMIT.as_secs_f64()]).await?;
            if !ended.is_empty() {
                warn!(writers = ended.len(), "ended writers that were frozen");
            }
        }
        Ok((client, io))
    }

    fn connecting(&self) -> String {
        format!("connecting to postgres at {}", self.address())
    }

    fn library_config(&self) -> tokio_postgres::Config {
        let Config { host, port, database, user, password, .. } = &self.config;
        let mut config = tokio_postgres::Config::new();
        config
            .host(host.as_str())
            .port(port.get())
            .dbname(database.as_str())
            .user(user.as_str())
            .password(password.expose())
            .application_name(APPLICATION)
            .connect_timeout(CONNECT_LIMIT)
            .tcp_user_timeout(TCP_LIMIT)
            .keepalives_idle(Duration::from_secs(10))
            .keepalives_interval(Duration::from_secs(3))
            .keepalives_retries(3);
        config
    }

    pub(super) fn address(&self) -> String {
        self.config.host.with_port(self.config.port)
    }

    pub(super) fn other_kafka(&self, stored: String, kafka: &str) -> Error {
        let store = format!("postgres at {}", self.address());
        Error::OtherKafka { store, stored, kafka: kafka.to_owned(), reset: self.reset() }
    }

    pub(super) fn reset(&self) -> String {
        let Config { host, port, database, user, schema, .. } = &self.config;
        let (user, database) = (shell::word(user.as_str()), shell::word(database.as_str()));
        let command = shell::word(&format!("drop schema {schema} cascade"));
        format!("psql --host={host} --port={port} --username={user} --dbname={database} --command={command}")
    }
}

async fn within<T>(limit: Duration, asked: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::time::timeout(limit, asked)
        .await
        .unwrap_or_else(|_| Err(anyhow::anyhow!("no answer within {} s", limit.as_secs())))
}

/// Logs from time to time that `work` is still running.
async fn logged_while<T>(what: &str, work: impl Future<Output = T>) -> T {
    let (mut work, begun) = (pin!(work), Instant::now());
    loop {
        if let Ok(done) = tokio::time::timeout(LOG_EVERY, &mut work).await {
            return done;
        }
        info!("{what}: {} s so far", begun.elapsed().as_secs());
    }
}

/// Migrates the schema. Pods that start together take turns.
async fn migrate(client: &mut Client, schema: &Schema) -> anyhow::Result<()> {
    // A session lock: released if the holder dies.
    let lock = format!("kapture migrations of {schema}");
    client.execute("SELECT pg_advisory_lock(hashtextextended($1, 0))", &[&lock]).await.context("waiting to migrate")?;
    client.batch_execute(&format!("CREATE SCHEMA IF NOT EXISTS {schema}")).await.context("creating the schema")?;
    let migrated = embedded::migrations::runner().run_async(client).await.context("migrating the schema");
    client.execute("SELECT pg_advisory_unlock(hashtextextended($1, 0))", &[&lock]).await?;
    for migration in migrated?.applied_migrations() {
        info!(%migration, "migrated postgres");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio_postgres::config::Host as LibraryHost;

    use super::*;
    use crate::shell::tests::words;

    fn connection(json: serde_json::Value) -> Connection {
        Connection::new(serde_json::from_value(json).unwrap(), false)
    }

    #[test]
    fn a_schema_may_be_named_after_a_namespace_and_a_release() {
        for name in ["perf-test_2", "perf-test_kapture-1.2", "a.b", &"a".repeat(63)] {
            assert_eq!(Schema::try_from(name.to_owned()).unwrap().to_string(), format!("\"{name}\""));
        }
        for name in ["", "a b", "A", "a\"b", "é", "a'b", &"a".repeat(64)] {
            assert!(Schema::try_from(name.to_owned()).unwrap_err().contains("is not a schema"), "{name}");
        }
    }

    #[test]
    fn the_library_gets_everything_unaltered() {
        let odd = " it's a \"name\\ with $x %41 ";
        let config =
            serde_json::json!({ "host": "fd00::1", "port": "5433", "database": odd, "user": odd, "password": odd });
        let library = connection(config).library_config();
        assert_eq!(library.get_password(), Some(odd.as_bytes()));
        assert_eq!((library.get_user(), library.get_dbname()), (Some(odd), Some(odd)));
        assert_eq!(
            (library.get_hosts(), library.get_ports()),
            (&[LibraryHost::Tcp("fd00::1".to_owned())][..], &[5433][..])
        );
    }

    #[test]
    fn an_ipv6_host_is_shown_in_brackets() {
        assert_eq!(connection(serde_json::json!({ "host": "fd00::1", "password": "x" })).address(), "[fd00::1]:5432");
    }

    #[test]
    fn the_command_that_resets_is_one_of_the_shell() {
        let config = serde_json::json!({
            "host": "fd00::1", "database": "it's", "user": "a b", "password": "x", "schema": "perf.test_kapture"
        });
        assert_eq!(
            words(&connection(config).reset()),
            [
                "psql",
                "--host=fd00::1",
                "--port=5432",
                "--username=a b",
                "--dbname=it's",
                "--command=drop schema \"perf.test_kapture\" cascade"
            ]
        );
    }
}
