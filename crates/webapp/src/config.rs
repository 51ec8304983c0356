//! `WEBAPP_*`: where the shop listens, and whether it has a Redis.

use std::net::{Ipv6Addr, SocketAddr};

use serde::Deserialize;
use service::Environment;
use stores::redis;

/// The configuration of the shop.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where customers come: IPv6 and IPv4 unless an address is given.
    pub http_addr: SocketAddr,
    /// What was sold; without it the shop takes sales, and tells nothing.
    pub redis: Option<redis::Config>,
    /// A bad habit: Redis is asked again for each line of an answer.
    pub n_plus_one: bool,
}

/// The variables `WEBAPP_*`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Own {
    #[serde(default = "http_addr")]
    http_addr: SocketAddr,
    /// Whether there are variables `REDIS_*`.
    #[serde(default)]
    redis: bool,
    /// See [`Config::n_plus_one`].
    #[serde(default)]
    n_plus_one: bool,
}

fn http_addr() -> SocketAddr {
    SocketAddr::from((Ipv6Addr::UNSPECIFIED, 8081))
}

impl Config {
    /// Reads `WEBAPP_*`, and `REDIS_*` if it has one.
    pub fn read(environment: &Environment) -> anyhow::Result<Self> {
        let Own { http_addr, redis, n_plus_one } = environment.read("WEBAPP_")?;
        let redis = redis.then(|| environment.read("REDIS_")).transpose()?;
        Ok(Self { http_addr, redis, n_plus_one })
    }
}

#[cfg(test)]
mod tests {
    use test_servers::bounds;

    use super::*;

    #[test]
    fn accepts_and_refuses_what_the_chart_does() {
        bounds::check("KAFKA_", |variables| variables.collect::<Environment>().read::<kafka::Config>("KAFKA_"));
        let own = [("WEBAPP_REDIS".to_owned(), "true".to_owned())];
        bounds::check("REDIS_", |variables| Config::read(&variables.chain(own.clone()).collect()));
    }

    #[test]
    fn a_redis_is_read_only_if_there_is_one() {
        let read = |variables: &[(&str, &str)]| Config::read(&variables.iter().copied().collect::<Environment>());
        assert!(read(&[]).unwrap().redis.is_none());
        assert!(read(&[("WEBAPP_REDIS", "true")]).unwrap_err().to_string().contains("REDIS_HOST is not set"));
        assert!(read(&[("WEBAPP_REDIS", "true"), ("REDIS_HOST", "redis")]).unwrap().redis.is_some());
        assert!(read(&[("WEBAPP_REDDIS", "true")]).unwrap_err().to_string().contains("WEBAPP_REDDIS is not known"));
    }
}
