//! Notices a client that has lost its Kafka for good.
//!
//! librdkafka, in the version used here, forgets every broker that Kafka does not name. A broker that is just starting,
//! or was taken for dead and knows of no other, names none at all. A client that asks it in that moment can be left
//! without any broker to ask again: no connection, no error, for ever. Only a new client mends that.

use std::cell::Cell;
use std::time::{Duration, Instant};

use anyhow::bail;
use rdkafka::admin::AdminClient;
use rdkafka::client::{Client, ClientContext, DefaultClientContext};
use tracing::debug;

use crate::Config;
use crate::dispose::Disposed;

/// Without a word from Kafka for so long, it is asked for one.
const QUIET: Duration = Duration::from_secs(20);
/// Between two questions that had no answer.
const REST: Duration = Duration::from_secs(5);
/// One question. An answer takes milliseconds, and a client that was only away is back within a second.
const LIMIT: Duration = Duration::from_secs(2);
/// So many times in a row Kafka answered a new client and not this one.
const MISSES: u32 = 3;

/// What is known of one client's contact with Kafka. Its owner reports each word from Kafka, and checks now and then.
pub struct Contact {
    config: Config,
    /// Something came since `heard`.
    word: Cell<bool>,
    heard: Cell<Instant>,
    asked: Cell<Option<Instant>>,
    misses: Cell<u32>,
}

impl Contact {
    /// `heard`: when Kafka last was there.
    pub fn new(config: &Config, heard: Instant) -> Self {
        Self {
            config: config.clone(),
            word: Cell::new(false),
            heard: Cell::new(heard),
            asked: Cell::new(None),
            misses: Cell::new(0),
        }
    }

    /// Something came from Kafka. Costs nothing: it may be reported for every record.
    pub fn heard(&self) {
        self.word.set(true);
    }

    /// Asks Kafka if nothing was heard for long; blocks for a few seconds then, at most.
    ///
    /// An error means that Kafka is there and this client will never reach it again. A Kafka that is away is none.
    pub fn check<C: ClientContext>(&self, client: &Client<C>) -> anyhow::Result<()> {
        if self.word.take() {
            self.heard.set(Instant::now());
            self.misses.set(0);
        }
        let rested = self.asked.get().is_none_or(|asked| asked.elapsed() >= REST);
        if self.heard.get().elapsed() < QUIET || !rested {
            return Ok(());
        }
        self.asked.set(Some(Instant::now()));
        let topic = self.config.names().sales();
        if client.fetch_metadata(Some(&topic), LIMIT).is_ok() {
            self.heard();
            return Ok(());
        }
        let another: Disposed<AdminClient<DefaultClientContext>> = Disposed::new(self.config.client().create()?);
        if let Err(err) = another.inner().fetch_metadata(Some(&topic), LIMIT) {
            debug!("kafka is away: {err}");
            self.misses.set(0);
            return Ok(());
        }
        self.misses.set(self.misses.get() + 1);
        if self.misses.get() >= MISSES {
            bail!("this client has lost all of Kafka's brokers, which others reach; the next start will find them");
        }
        Ok(())
    }
}
