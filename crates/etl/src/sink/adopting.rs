//! The store of a sink whose Kafka keeps nothing: it goes on with whatever Kafka is there.
//!
//! Where Kafka has no persistence, a broker that is replaced is an empty Kafka, and positions in the store belong to one that is
//! gone. Dropping them needs care: this sink may itself be the one that is late, and the positions those of a newer Kafka. So
//! Kafka is asked which one it is *after* the store was. What the store answered is then older than this Kafka, and the store
//! drops it only if it still has it (see [`stores::Adopt`]). That holds for any number of sinks, in any order.

use anyhow::anyhow;
use prometheus_client::metrics::counter::Counter;
use stores::{Adopt, Error, Outcome, Part, Partition, Store};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::Sink;

/// A store that adopts this sink's Kafka in place of an earlier one, if the configuration says so.
pub(super) struct Adopting<S> {
    store: S,
    /// None: another Kafka is an error.
    kafka: Option<kafka::Config>,
    installation: String,
    adopted: Counter,
    shutdown: CancellationToken,
}

impl<S: Adopt> Adopting<S> {
    /// `open` makes the store for the Kafka that it is given the name of.
    pub(super) fn new(sink: &Sink<'_>, open: impl FnOnce(&str) -> S, installation: String) -> Self {
        Self {
            store: open(&installation),
            kafka: sink.config.adopt_new_kafka.then(|| sink.kafka.clone()),
            installation,
            adopted: sink.metrics.sink.adopted.clone(),
            shutdown: sink.shutdown.clone(),
        }
    }

    /// Adopts the Kafka if `answer` shows that the store has positions of an earlier one. None: the store must be asked again.
    async fn adopt_after<T>(&mut self, answer: Result<T, Error>) -> Result<Option<T>, Error> {
        let (stored, kafka) = match (answer, &self.kafka) {
            (Err(Error::OtherKafka { stored, .. }), Some(kafka)) => (stored, kafka),
            (answer, _) => return answer.map(Some),
        };
        let now = kafka.installation(&self.shutdown).await?.to_string();
        if now != self.installation {
            // The watch ends the process, and the next start knows better.
            let began = &self.installation;
            return Err(anyhow!("kafka was replaced again: this sink began with {began}, and now it is {now}").into());
        }
        if self.store.adopt(&stored).await? {
            self.adopted.inc();
            warn!(
                before = stored,
                now,
                "kafka was emptied or replaced: dropped the store's positions, and going on from the start of all topics"
            );
        }
        Ok(None)
    }
}

impl<S: Adopt> Store for Adopting<S> {
    fn reset(&self) -> String {
        self.store.reset()
    }

    async fn positions(&mut self, partitions: &[Partition]) -> Result<Vec<i64>, Error> {
        loop {
            let answer = self.store.positions(partitions).await;
            if let Some(positions) = self.adopt_after(answer).await? {
                return Ok(positions);
            }
        }
    }

    async fn write(&mut self, parts: &[Part]) -> Result<Vec<Outcome>, Error> {
        loop {
            let answer = self.store.write(parts).await;
            if let Some(outcomes) = self.adopt_after(answer).await? {
                return Ok(outcomes);
            }
        }
    }
}
