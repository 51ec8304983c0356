//! A client that only asks: where logs begin and end, what a role has committed, who is there.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use rdkafka::ClientConfig;
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::KafkaResult;
use tracing::debug;

use crate::Config;
use crate::dispose::Disposed;

/// After so long without any answer the client is made anew: if Kafka is only away that does no harm, and if the client
/// has lost all of its brokers (see [`crate::Contact`]) nothing else helps.
const QUIET: Duration = Duration::from_secs(20);

/// Reads no record and joins no group.
pub struct Asker {
    config: ClientConfig,
    client: Mutex<Client>,
}

struct Client {
    consumer: Disposed<BaseConsumer>,
    /// When it was made, or last had an answer.
    heard: Instant,
}

impl Asker {
    /// Asks for the commits of a role by its name, such as `fan-out`. Makes the client, without connecting it yet.
    ///
    /// Ends include records of transactions that are not settled: it is where the log ends, as `kafka_exporter` has it. A
    /// role's commit may be seen a moment before the markers of the same transaction reach the topics that it writes,
    /// and what lies behind the last marker is not to be missed.
    pub fn new(config: &Config, role: &str) -> anyhow::Result<Self> {
        let mut config = config.member(role);
        config
            .set("isolation.level", "read_uncommitted")
            .set("queued.max.messages.kbytes", "1024")
            .set("topic.metadata.refresh.sparse", "true");
        let client = Client::new(&config).with_context(|| format!("making a client to ask for {role}"))?;
        Ok(Self { config, client: Mutex::new(client) })
    }

    /// Asks, one question at a time. Each must have a limit of its own.
    pub fn ask<T>(&self, question: impl FnOnce(&BaseConsumer) -> KafkaResult<T>) -> KafkaResult<T> {
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = question(&client.consumer);
        if answer.is_ok() {
            client.heard = Instant::now();
        } else if client.heard.elapsed() >= QUIET {
            debug!("no answer for {QUIET:?}: asking by a new client");
            *client = Client::new(&self.config)?;
        }
        answer
    }
}

impl Client {
    fn new(config: &ClientConfig) -> KafkaResult<Self> {
        Ok(Self { consumer: Disposed::new(config.create()?), heard: Instant::now() })
    }
}
