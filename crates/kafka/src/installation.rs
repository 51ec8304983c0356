//! How a store knows that Kafka was emptied while the store was kept.
//!
//! A position in a log means nothing in another log, and a cluster that was made anew under the same name has the
//! same cluster id. So the first program to look writes a random mark beside the blocks, and everyone keeps mark and
//! cluster id with their positions. Should two write at once, the mark at the lower offset counts: keys differ, so
//! compaction removes neither.

use std::time::Duration;

use anyhow::Context;
use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use tokio_util::sync::CancellationToken;

use crate::{Config, Topic, read_to_end};

/// Which Kafka this is, and since when: differs if Kafka's data were lost and made anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation {
    /// Kafka's own id.
    pub cluster_id: String,
    /// Random; made with the topics.
    pub mark: String,
}

impl std::fmt::Display for Installation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.cluster_id, self.mark)
    }
}

const MARK: &str = "mark/";
const LIMIT: Duration = Duration::from_secs(30);

impl Config {
    /// Waits for Kafka until `shutdown` and reads which one it is, leaving a mark if there is none yet.
    pub async fn installation(&self, shutdown: &CancellationToken) -> anyhow::Result<Installation> {
        loop {
            self.ensure_topics(&[Topic::Blocks], shutdown).await?;
            let config = self.clone();
            match tokio::task::spawn_blocking(move || config.try_installation()).await? {
                Ok(installation) => return Ok(installation),
                Err(err) => tracing::info!("waiting to learn which kafka this is: {err:#}"),
            }
        }
    }

    fn try_installation(&self) -> anyhow::Result<Installation> {
        let consumer: BaseConsumer = self.reader().create().context("making a reader")?;
        let cluster_id = consumer.client().fetch_cluster_id(LIMIT).context("reading kafka's cluster id")?;
        let mark = if let Some(mark) = self.first_mark()? {
            mark
        } else {
            self.leave_mark()?;
            self.first_mark()?.context("finding the mark that was just written")?
        };
        Ok(Installation { cluster_id, mark })
    }

    fn first_mark(&self) -> anyhow::Result<Option<String>> {
        let mut first = None;
        read_to_end(self, &self.names().blocks(), LIMIT, |message| {
            let key = message.key().and_then(|key| str::from_utf8(key).ok()).unwrap_or_default();
            if let Some(mark) = key.strip_prefix(MARK)
                && first.is_none()
            {
                first = Some(mark.to_owned());
            }
            Ok(())
        })?;
        Ok(first)
    }

    fn leave_mark(&self) -> anyhow::Result<()> {
        let producer: BaseProducer = self
            .idempotent_producer()
            .set("message.timeout.ms", LIMIT.as_millis().to_string())
            .create()
            .context("making a producer")?;
        let topic = self.names().blocks();
        let key = format!("{MARK}{:016x}", rand::random::<u64>());
        producer
            .send(BaseRecord::to(&topic).key(&key).payload("{}"))
            .map_err(|(err, _)| err)
            .context("sending the mark")?;
        producer.flush(LIMIT).context("leaving the mark")
    }
}
