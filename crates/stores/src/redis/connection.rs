//! The connection to Redis. Every wait has a limit.

use std::time::Duration;

use anyhow::Context;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo};
use serde::{Deserialize, Deserializer};
use service::{BoundedDuration, Host, Port, Secret};

use super::{Keys, glob};
use crate::{Error, shell};

/// Where Redis is: the variables `REDIS_*`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the names of most fields are enough")]
pub struct Config {
    #[serde(deserialize_with = "host")]
    pub host: Host,
    #[serde(default = "port")]
    pub port: Port,
    #[serde(default)]
    pub password: Option<Secret>,
    /// Prefix of every key. Empty if Redis is used for nothing else.
    #[serde(default)]
    pub prefix: String,
    /// How long blocks, and the lists of customers, are kept after the last sale that was written to them.
    #[serde(default = "block_ttl")]
    pub block_ttl: BlockTtl,
}

/// Redis counts times to live in seconds; ten years stand for "for ever".
pub type BlockTtl = BoundedDuration<1_000, { 3_650 * DAY_MS }>;

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

fn host<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Host, D::Error> {
    Host::deserialize(deserializer, "REDIS_PORT")
}

fn port() -> Port {
    Port::try_from(6379).expect("it is a port")
}

fn block_ttl() -> BlockTtl {
    BlockTtl::from_ms::<DAY_MS>()
}

const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// The library's default is half a second, and a request with thousands of sales can take longer than that.
const LIMIT: Duration = Duration::from_secs(20);

/// A connection that is opened at its first use and dropped at the first error.
///
/// The library's connection manager reconnects too, but not after every kind of error. It also fails the command that was
/// interrupted, so the caller would have to retry in any case.
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
        let address = ConnectionAddr::Tcp(self.config.host.as_str().to_owned(), self.config.port.get());
        Ok(address.into_connection_info()?.set_redis_settings(login))
    }

    pub(super) fn address(&self) -> String {
        self.config.host.with_port(self.config.port)
    }

    pub(super) fn other_kafka(&self, stored: String, kafka: &str) -> Error {
        let store = format!("redis at {}", self.address());
        Error::OtherKafka { store, stored, kafka: kafka.to_owned(), reset: self.reset() }
    }

    /// With an empty prefix, everything in Redis is ours.
    pub(super) fn reset(&self) -> String {
        let Config { host, port, prefix, .. } = &self.config;
        if prefix.is_empty() {
            return format!("redis-cli -h {host} -p {port} flushdb");
        }
        // Kind by kind, because another release's prefix may begin with this one.
        let patterns: Vec<String> =
            Keys::KINDS.iter().map(|kind| shell::word(&(glob::exactly(prefix) + kind))).collect();
        format!("redis-cli -h {host} -p {port} eval \"{DELETE}\" 0 {}", patterns.join(" "))
    }
}

/// A script that deletes the keys that match its arguments. It is shown between the double quotes of a shell.
const DELETE: &str = "for _, pattern in ipairs(ARGV) do for _, key in ipairs(redis.call('keys', pattern)) do \
    redis.call('unlink', key) end end";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::tests::words;

    fn connection(json: serde_json::Value) -> Connection {
        Connection::new(serde_json::from_value(json).unwrap())
    }

    #[test]
    fn the_library_gets_a_password_and_an_ipv6_host_unaltered() {
        let password = " it's a \"pass\\word\" with $x %41 ";
        let config = serde_json::json!({ "host": "fd00::1", "port": "6380", "password": password });
        let library = connection(config).library_config().unwrap();
        assert_eq!(library.redis_settings().password(), Some(password));
        assert_eq!(*library.addr(), ConnectionAddr::Tcp("fd00::1".to_owned(), 6380));
    }

    #[test]
    fn an_ipv6_host_is_shown_in_brackets() {
        assert_eq!(connection(serde_json::json!({ "host": "fd00::1" })).address(), "[fd00::1]:6379");
    }

    #[test]
    fn the_command_that_resets_is_one_of_the_shell_and_names_each_kind_of_key() {
        let connection = connection(serde_json::json!({ "host": "fd00::1", "prefix": "it's a*b $x " }));
        let words = words(&connection.reset());
        assert_eq!(words[..7], ["redis-cli", "-h", "fd00::1", "-p", "6379", "eval", DELETE]);
        let kinds = ["positions", "installation", "earlier", "block:*", "total:*", "recent:*"];
        assert_eq!(words[8..], kinds.map(|kind| format!("it's a\\*b $x {kind}")));
    }
}
