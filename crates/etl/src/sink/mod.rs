//! Roles `redis` and `postgres`: from the topics of all states into a store.
//!
//! The position is stored with the data and compared before each write (see `stores`), so correctness needs nothing of
//! the consumer group, which only shares out the work. The loop's own duty is to hand over every record from the
//! store's position on, in order and without leaving one out; see [`kafka::Member`] and [`shares`] for how.
//!
//! One thread reads Kafka and never waits for the store; one task writes, a batch at a time, while the next one is
//! gathered. While the store is away the task tries for ever, the second batch fills, fetching ends and its buffers are
//! let go, and the thread goes on polling so that the member stays in its group: back-pressure in bounded memory. A batch
//! that takes the store too long is written in pieces, which halve until the store takes them.
//!
//! A store that crashed may come back with less than it had confirmed (Redis writes its log once a second), data and
//! positions alike. So after each failed request, and after five seconds without one, all positions are compared, and
//! where the store went back, the sink does too.

mod adopting;
mod decode;
mod gather;
mod pieces;
mod shares;
mod trouble;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use kafka::{Malformed, Topic};
use service::Health;
use stores::{Adopt, Record};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::config::Sink as Config;
use crate::{Metrics, Role};
use adopting::Adopting;
pub(crate) use decode::decode;
use gather::Gather;

/// The loop turns every tenth of a second; asking Kafka for the ends of its logs may take a few.
const LOOP_LIMIT: Duration = Duration::from_mins(1);
/// At a stop, how long the write in hand is waited for. Without an answer it is only done again by the next instance.
const LAST_WRITE_LIMIT: Duration = Duration::from_secs(5);

/// One sink.
pub struct Sink<'a> {
    /// Which one.
    pub role: Role,
    /// Where it reads.
    pub kafka: &'a kafka::Config,
    /// How it writes.
    pub config: &'a Config,
    /// How it reads a record.
    pub decode: &'a dyn Fn(&kafka::Record<'_>) -> Result<Record, Malformed>,
    /// What it counts.
    pub metrics: Arc<Metrics>,
    /// Whether it lives and can serve.
    pub health: &'a Health,
    /// When to stop.
    pub shutdown: &'a CancellationToken,
    /// Where the writer runs.
    pub runtime: &'a Handle,
}

impl Sink<'_> {
    /// Runs until `shutdown`. Blocks: give it a thread of its own.
    ///
    /// `open` makes a store for the Kafka of the given name. An error means that a person must act, and its text tells how.
    pub fn run<S: Adopt + 'static>(&self, open: impl FnOnce(&str) -> S) -> anyhow::Result<()> {
        let kafka_ready = self.health.ready("kafka");
        let store_ready = self.health.ready(self.role.to_string());
        let watch = self.runtime.block_on(async {
            self.kafka.ensure_topics(&[Topic::States], self.shutdown).await?;
            self.kafka.watch(self.shutdown).await
        });
        if self.shutdown.is_cancelled() {
            return Ok(());
        }
        let watch = watch?;
        let beat = self.health.loop_(self.role.to_string(), LOOP_LIMIT);
        let store = Adopting::new(self, open, watch.installation().to_string());
        let mut gather = Gather::new(self, store, watch, kafka_ready, store_ready)?;
        let mut ended = Ok(());
        while ended.is_ok() && !self.shutdown.is_cancelled() {
            beat.turned();
            ended = gather.turn();
        }
        let ended = ended.and_then(|()| gather.finish());
        gather.leave();
        ended
    }
}
