//! Hosts, and hosts with a port: names, IPv4 and IPv6.

use std::fmt;
use std::net::Ipv6Addr;

use serde::de::{Deserialize, Deserializer, Error};

use crate::Port;

/// A DNS name, an IPv4 address, or an IPv6 address without brackets: `redis`, `10.0.0.7`, `fd00::1`.
#[derive(Clone, PartialEq, Eq)]
pub struct Host(String);

/// A host with its port, an IPv6 address in brackets: `kafka:9092`, `10.0.0.7:9092`, `[fd00::1]:9092`.
#[derive(Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct HostPort(String);

impl Host {
    /// The host as it was given, as a connection takes it beside a port.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host and a port in one text.
    pub fn with_port(&self, port: Port) -> String {
        if self.0.contains(':') { format!("[{self}]:{port}") } else { format!("{self}:{port}") }
    }

    /// Reads a host whose port is in the variable `port`, such as `REDIS_PORT`, so that the error can name it.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D, port: &str) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if is_host(&text) {
            return Ok(Self(text));
        }
        Err(D::Error::custom(match split(&text) {
            Some((host, number)) => {
                format!("{text:?} is a host with a port: write {host:?} alone, the port goes into {port}={number}")
            }
            None => format!(
                "{text:?} is not a host: write a name or an address, such as db.example or fd00::1; a port goes into {port}"
            ),
        }))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl HostPort {
    /// Both in one text, as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for HostPort {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if split(&text).is_none() {
            return Err(format!(
                "{text:?} is not of the form host:port: write it like kafka:9092, 10.0.0.7:9092 or [fd00::1]:9092, with a \
                 port from 1 to 65535"
            ));
        }
        Ok(Self(text))
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Host and port of a text that has both.
fn split(text: &str) -> Option<(&str, Port)> {
    let (host, port) = text.rsplit_once(':')?;
    let port = Port::try_from(port).ok()?;
    match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok().then_some((address, port)),
        None => is_name(host).then_some((host, port)),
    }
}

fn is_host(text: &str) -> bool {
    is_name(text) || text.parse::<Ipv6Addr>().is_ok()
}

/// A DNS name, with a full stop at its end or without. An IPv4 address has the form of one.
fn is_name(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    let known = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let is_label = |label: &str| {
        (1..=63).contains(&label.len()) && label.chars().all(known) && !label.starts_with('-') && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    struct Config {
        #[serde(deserialize_with = "host")]
        host: Host,
    }

    fn host<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Host, D::Error> {
        Host::deserialize(deserializer, "REDIS_PORT")
    }

    fn read(host: &str) -> Result<Host, String> {
        let config = serde_json::from_value(serde_json::json!({ "host": host }));
        config.map(|config: Config| config.host).map_err(|err| err.to_string())
    }

    #[test]
    fn a_host_is_a_name_or_an_address() {
        for (text, with_port) in [
            ("redis", "redis:6379"),
            ("redis-0.my_redis.ns.svc.cluster.local.", "redis-0.my_redis.ns.svc.cluster.local.:6379"),
            ("10.0.0.7", "10.0.0.7:6379"),
            ("fd00::1", "[fd00::1]:6379"),
            ("::ffff:10.0.0.7", "[::ffff:10.0.0.7]:6379"),
        ] {
            let host = read(text).unwrap();
            assert_eq!((host.as_str(), host.with_port(6379.try_into().unwrap()).as_str()), (text, with_port));
        }
    }

    #[test]
    fn a_host_with_a_port_is_told_where_the_port_goes() {
        let why = "\"redis:6380\" is a host with a port: write \"redis\" alone, the port goes into REDIS_PORT=6380";
        assert_eq!(read("redis:6380"), Err(why.to_owned()));
        assert!(read("[fd00::1]:6380").unwrap_err().contains("write \"fd00::1\" alone"));
        for text in
            ["", "a b", "redis:", "redis://redis", "[fd00::1]", "a..b", ".", "-a", "é", "/run/redis.sock", "a,b"]
        {
            let why = read(text).unwrap_err();
            assert!(why.contains("is not a host") && why.contains("REDIS_PORT"), "{why}");
        }
    }

    #[test]
    fn a_host_and_its_port_may_be_ipv6() {
        for text in ["kafka:9092", "10.0.0.7:1", "[fd00::1]:65535", "[::1]:8080", "kafka.example.:9092"] {
            assert_eq!(HostPort::try_from(text.to_owned()).unwrap().as_str(), text);
        }
    }

    #[test]
    fn what_is_no_host_and_port_is_named_with_the_form() {
        for text in [
            "",
            "kafka",
            "kafka:",
            ":9092",
            "kafka:0",
            "kafka:65536",
            "kafka:+1",
            "fd00::1",
            "fd00::1:9092",
            "[fd00::1]",
            "[fd00::zz]:9092",
            "[10.0.0.7]:9092",
            "[kafka]:9092",
            "http://kafka:9092",
            "ka fka:9092",
            "kafka:9092 ",
        ] {
            let why = HostPort::try_from(text.to_owned()).unwrap_err();
            assert!(
                why.starts_with(&format!("{text:?} is not of the form host:port")) && why.contains("[fd00::1]"),
                "{why}"
            );
        }
    }
}
