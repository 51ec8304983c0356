//! Where Kafka is, and what a release's names in it begin with, as the chart allows them.

use std::fmt;

use serde::Deserialize;
use service::HostPort;

/// One or more `host:port`, with commas between them.
#[derive(Clone, Deserialize, PartialEq, Eq)]
#[serde(try_from = "String")]
pub struct BootstrapServers(String);

/// What all topics, groups and transactional ids begin with.
#[derive(Clone, Default, Deserialize, PartialEq, Eq)]
#[serde(try_from = "String")]
pub struct Prefix(String);

/// Kafka allows a topic 249 characters. The longest name behind the prefix has 17.
const LONGEST_PREFIX: usize = 200;

impl BootstrapServers {
    /// The text as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for BootstrapServers {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        for server in text.split(',') {
            HostPort::try_from(server.to_owned())?;
        }
        Ok(Self(text))
    }
}

impl fmt::Debug for BootstrapServers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Prefix {
    /// The text as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Prefix {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if text.len() > LONGEST_PREFIX || !text.chars().all(known) {
            return Err(format!(
                "{text:?} can't begin the name of a topic: use at most {LONGEST_PREFIX} letters, digits, '.', '_' and '-'"
            ));
        }
        Ok(Self(text))
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Names;

    #[test]
    fn each_bootstrap_server_has_a_host_and_a_port() {
        for text in ["kafka:9092", "a:1,b:65535", "[fd00::1]:9092,10.0.0.7:9092"] {
            assert_eq!(BootstrapServers::try_from(text.to_owned()).unwrap().as_str(), text);
        }
        for text in ["", "kafka", "a:1,", ",a:1", "a:1,,b:1", "a:1, b:1", "a:1;b:1", "fd00::1:9092", "SASL://a:1"] {
            assert!(BootstrapServers::try_from(text.to_owned()).unwrap_err().contains("host:port"), "{text}");
        }
    }

    #[test]
    fn a_prefix_leaves_every_topic_a_name_that_kafka_takes() {
        let longest = "p".repeat(LONGEST_PREFIX);
        let names = Names::new(Prefix::try_from(longest.clone()).unwrap().as_str());
        let all =
            [names.states(), vec![names.rejected(), names.positions(), names.blocks(), names.receipts()]].concat();
        assert!(all.iter().all(|name| name.len() <= 249));
        for text in ["", "perf-test_kapture_", "A.b-9_"] {
            assert!(Prefix::try_from(text.to_owned()).is_ok(), "{text}");
        }
        for text in ["a b", "a/b", "a:b", "é", &format!("{longest}p")] {
            assert!(Prefix::try_from(text.to_owned()).unwrap_err().contains("at most 200"), "{text}");
        }
    }
}
