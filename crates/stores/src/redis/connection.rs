//! Reaching Redis, with a limit to every wait.

use std::time::Duration;

use anyhow::Context;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo};
use serde::Deserialize;
use service::Secret;

use super::Keys;
use crate::Error;

/// Where Redis is: the variables `REDIS_*`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Name or address.
    pub host: String,
    /// Port.
    #[serde(default = "port")]
    pub port: u16,
    /// Password, if it asks for one.
    #[serde(default)]
    pub password: Option<Secret>,
    /// Stands before every key. Empty for a Redis of one's own.
    #[serde(default)]
    pub prefix: String,
    /// How long blocks, and the lists of customers, are kept after the last sale that was written to them.
    #[serde(default = "block_ttl", with = "humantime_serde")]
    pub block_ttl: Duration,
}

fn port() -> u16 {
    6379
}

fn block_ttl() -> Duration {
    Duration::from_hours(24)
}

const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// The library's own limit is half a second, which a pipeline of many thousand sales may well take.
const LIMIT: Duration = Duration::from_secs(20);

/// A connection that is made when it is used, and given up at the first error.
///
/// The library's connection manager would reconnect too, but not after every kind of error, and it fails the command
/// that met the break anyway: the one who asked has to ask again in any case.
pub(super) struct Connection {
    pub(super) config: Config,
    pub(super) keys: Keys,
    open: Option<MultiplexedConnection>,
}

impl Connection {
    pub(super) fn new(config: Config) -> Self {
        let keys = Keys { prefix: config.prefix.clone() };
        Self { config, keys, open: None }
    }

    /// Runs `ask` on the connection.
    pub(super) async fn run<T>(
        &mut self,
        what: &str,
        ask: impl AsyncFnOnce(&mut MultiplexedConnection) -> anyhow::Result<T>,
    ) -> Result<T, Error> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.connect().await.with_context(|| format!("connecting to redis at {}", self.address()))?,
        };
        let answer = ask(&mut open).await.with_context(|| format!("{what}, redis at {}", self.address()))?;
        self.open = Some(open);
        Ok(answer)
    }

    async fn connect(&self) -> anyhow::Result<MultiplexedConnection> {
        let limits =
            AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT_LIMIT)).set_response_timeout(Some(LIMIT));
        let client = Client::open(self.library_config()?)?;
        Ok(client.get_multiplexed_async_connection_with_config(&limits).await?)
    }

    fn library_config(&self) -> anyhow::Result<ConnectionInfo> {
        let mut login = RedisConnectionInfo::default();
        if let Some(password) = &self.config.password {
            login = login.set_password(password.expose());
        }
        let address = ConnectionAddr::Tcp(self.config.host.clone(), self.config.port);
        Ok(address.into_connection_info()?.set_redis_settings(login))
    }

    pub(super) fn address(&self) -> String {
        format!("{}:{}", self.config.host, self.config.port)
    }

    pub(super) fn other_kafka(&self, stored: String, kafka: &str) -> Error {
        let store = format!("redis at {}", self.address());
        Error::OtherKafka { store, stored, kafka: kafka.to_owned(), reset: self.reset() }
    }

    pub(super) fn reset(&self) -> String {
        let Config { host, port, prefix, .. } = &self.config;
        if prefix.is_empty() {
            return format!("redis-cli -h {host} -p {port} flushdb");
        }
        let each = "for _, key in ipairs(redis.call('keys', ARGV[1])) do redis.call('unlink', key) end";
        format!("redis-cli -h {host} -p {port} eval \"{each}\" 0 '{prefix}*'")
    }
}
