//! Reaching Postgres, with a limit to every wait: the client library has none of its own.

use std::fmt;
use std::time::Duration;

use anyhow::Context;
use serde::Deserialize;
use service::Secret;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls};
use tracing::debug;

use super::statements::Statements;
use crate::Error;

/// Where Postgres is: the variables `POSTGRES_*`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Name or address.
    pub host: String,
    /// Port.
    #[serde(default = "port")]
    pub port: u16,
    /// Database.
    #[serde(default = "kapture")]
    pub database: String,
    /// User; owns the schema.
    #[serde(default = "kapture")]
    pub user: String,
    /// Password.
    pub password: Secret,
    /// Schema of all tables; made if it isn't there.
    #[serde(default)]
    pub schema: Schema,
}

fn port() -> u16 {
    5432
}

fn kapture() -> String {
    "kapture".to_owned()
}

/// The name of a schema: lower-case letters, digits, `_` and `-`, 63 characters at most.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(try_from = "String")]
pub struct Schema(String);

impl Default for Schema {
    fn default() -> Self {
        Self(kapture())
    }
}

impl TryFrom<String> for Schema {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
        if (1..=63).contains(&name.len()) && name.chars().all(known) {
            Ok(Self(name))
        } else {
            Err(format!("{name:?} is no schema: use 1 to 63 lower-case letters, digits, '_' and '-'"))
        }
    }
}

impl fmt::Display for Schema {
    /// Quoted, as it stands in SQL.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// A peer that vanished is noticed within this time, whether or not something is on its way to it.
const TCP_LIMIT: Duration = Duration::from_secs(20);
/// The longest that anything asked of Postgres may take, by our clock; the server's own limits are shorter.
const LIMIT: Duration = Duration::from_secs(40);
/// A statement; a row lock that somebody holds; a transaction whose client fell silent, so that a frozen writer's
/// locks are given to the next one.
const SERVER_LIMITS: &str =
    "SET statement_timeout = '30s'; SET lock_timeout = '10s'; SET idle_in_transaction_session_timeout = '15s'";

/// Ends writers that stand still in the middle of what they send: none of the server's limits reaches a COPY that waits for
/// its client, and others would wait for its locks as long as it is frozen. One that lives has given up by then, and one
/// that is ended by mistake begins again.
const END_FROZEN: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
    WHERE datname = current_database() AND usename = current_user AND application_name = $1 \
    AND wait_event = 'ClientRead' AND xact_start < now() - make_interval(secs => $2)";
const APPLICATION: &str = "kapture";

mod embedded {
    refinery::embed_migrations!("migrations");
}

/// A connection that is made when it is used, and given up at the first error: what an error left behind (half an
/// answer, an open transaction) goes with it.
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
        // Not left to itself: towards a peer that vanished it would linger.
        self.io.abort();
    }
}

impl Connection {
    /// `migrates`: brings the schema up to date at each connection.
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
            Ok(Err(Error::Unavailable(err))) => Err(err.context(what.to_owned()).into()),
            Ok(Err(err)) => Err(err),
            Err(_) => Err(anyhow::anyhow!("{what}: no answer within {} s", LIMIT.as_secs()).into()),
        }
    }

    async fn connect(&self) -> anyhow::Result<Open> {
        let address = self.address();
        let connecting = async {
            let (mut client, connection) = self.library_config().connect(NoTls).await?;
            let io = tokio::spawn(async move {
                if let Err(err) = connection.await {
                    debug!("connection to postgres ended: {err}");
                }
            });
            let schema = &self.config.schema;
            client.batch_execute(&format!("{SERVER_LIMITS}; SET search_path TO {schema}")).await?;
            if self.migrates {
                let ended = client.query(END_FROZEN, &[&APPLICATION, &LIMIT.as_secs_f64()]).await?;
                if !ended.is_empty() {
                    tracing::warn!(writers = ended.len(), "ended writers that stood still");
                }
                migrate(&mut client, schema).await?;
            }
            let statements = Statements::default();
            anyhow::Ok(Open { client, statements, io })
        };
        tokio::time::timeout(LIMIT, connecting)
            .await
            .unwrap_or_else(|_| Err(anyhow::anyhow!("no answer within {} s", LIMIT.as_secs())))
            .with_context(|| format!("connecting to postgres at {address}"))
    }

    fn library_config(&self) -> tokio_postgres::Config {
        let Config { host, port, database, user, password, .. } = &self.config;
        let mut config = tokio_postgres::Config::new();
        config
            .host(host)
            .port(*port)
            .dbname(database)
            .user(user)
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
        format!("{}:{}", self.config.host, self.config.port)
    }

    pub(super) fn other_kafka(&self, stored: String, kafka: &str) -> Error {
        let store = format!("postgres at {}", self.address());
        Error::OtherKafka { store, stored, kafka: kafka.to_owned(), reset: self.reset() }
    }

    pub(super) fn reset(&self) -> String {
        let Config { host, port, database, user, schema, .. } = &self.config;
        format!(
            "psql --host={host} --port={port} --username={user} --dbname={database} \
             --command='drop schema {schema} cascade'"
        )
    }
}

/// Brings the schema up to date. Pods that start together take turns.
async fn migrate(client: &mut Client, schema: &Schema) -> anyhow::Result<()> {
    // Held by the session: whoever dies lets go of it.
    let lock = format!("kapture migrations of {schema}");
    client.execute("SELECT pg_advisory_lock(hashtextextended($1, 0))", &[&lock]).await.context("waiting to migrate")?;
    client.batch_execute(&format!("CREATE SCHEMA IF NOT EXISTS {schema}")).await.context("making the schema")?;
    let migrated = embedded::migrations::runner().run_async(client).await.context("migrating the schema");
    client.execute("SELECT pg_advisory_unlock(hashtextextended($1, 0))", &[&lock]).await?;
    for migration in migrated?.applied_migrations() {
        tracing::info!(%migration, "migrated postgres");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_is_a_plain_name() {
        assert_eq!(Schema::try_from("perf-test_2".to_owned()).unwrap().to_string(), "\"perf-test_2\"");
        for name in ["", "a b", "A", "a\"b", "é", &"a".repeat(64)] {
            assert!(Schema::try_from(name.to_owned()).unwrap_err().contains("is no schema"), "{name}");
        }
    }
}
