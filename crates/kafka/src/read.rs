//! Reading a small topic whole.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::topic_partition_list::Offset;
use rdkafka::{Message, TopicPartitionList};

use crate::Config;

/// Calls `each` with every committed record of partition 0 of `topic`, from the beginning to the end as of now.
///
/// Blocks; an end that isn't reached within `limit` is an error. A record of an open transaction is not waited for.
pub fn read_to_end(
    config: &Config,
    topic: &str,
    limit: Duration,
    mut each: impl FnMut(&BorrowedMessage<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let deadline = Instant::now() + limit;
    let consumer: BaseConsumer<EndExpected> = config
        .reader()
        // The end can lie behind a transaction's marker, which is no record: then only this event tells.
        .set("enable.partition.eof", "true")
        // The event comes with an empty answer, and on a topic that is written to all the time only a short wait is.
        .set("fetch.wait.max.ms", "20")
        .create_with_context(EndExpected)
        .context("making a reader")?;
    let (_, end) = consumer.fetch_watermarks(topic, 0, limit).with_context(|| format!("finding the end of {topic}"))?;
    let mut start = TopicPartitionList::new();
    start.add_partition_offset(topic, 0, Offset::Beginning).context("choosing the start")?;
    consumer.assign(&start).context("assigning")?;
    while Instant::now() < deadline {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) if message.offset() >= end => return Ok(()),
            Some(Ok(message)) => each(&message)?,
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(()),
            Some(Err(KafkaError::MessageConsumptionFatal(code))) => bail!("reading {topic}: {code}"),
            // librdkafka reconnects by itself; the deadline bounds how long.
            None | Some(Err(_)) => {}
        }
    }
    bail!("reading {topic}: its end was not reached within {} s", limit.as_secs())
}

/// Coming to the end is what is wanted, and is not logged as an error.
struct EndExpected;

impl ClientContext for EndExpected {
    fn error(&self, err: KafkaError, reason: &str) {
        if !matches!(err, KafkaError::PartitionEOF(_) | KafkaError::Global(RDKafkaErrorCode::PartitionEOF)) {
            tracing::warn!("reading a topic: {err}: {reason}");
        }
    }
}

impl ConsumerContext for EndExpected {}
