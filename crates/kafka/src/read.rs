//! Reading a small topic whole, or a part of it.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::topic_partition_list::Offset;
use rdkafka::{Message, TopicPartitionList};

use crate::dispose::Disposed;
use crate::{Config, Record};

/// Calls `each` with every committed record of partition 0 of `topic`, from the beginning to the end as of now.
///
/// Blocks; an end that isn't reached within `limit` is an error. A record of an open transaction is not waited for.
pub fn read_committed(
    config: &Config,
    topic: &str,
    limit: Duration,
    mut each: impl FnMut(&Record<'_>),
) -> anyhow::Result<()> {
    EndReader::new(config)?.read(topic, Offset::Beginning, limit, |message| {
        each(&Record::new(message));
        Ok(ControlFlow::Continue(()))
    })
}

/// A client that reads to the end of a log as of now, and no further.
pub(crate) struct EndReader {
    pub(crate) consumer: Disposed<BaseConsumer<EndExpected>>,
}

impl EndReader {
    pub(crate) fn new(config: &Config) -> anyhow::Result<Self> {
        Self::with(config.reader())
    }

    /// The same in little memory, for few records that are large.
    pub(crate) fn sparing(config: &Config) -> anyhow::Result<Self> {
        let mut reader = config.reader();
        reader.set("queued.max.messages.kbytes", "1024");
        Self::with(reader)
    }

    fn with(mut reader: ClientConfig) -> anyhow::Result<Self> {
        let consumer = reader
            // The log may end with a transaction's marker, which isn't a record: then only this event tells.
            .set("enable.partition.eof", "true")
            // The event comes with an empty answer, and on a topic that is written to all the time only a short wait is.
            .set("fetch.wait.max.ms", "20")
            .create_with_context(EndExpected)
            .context("making a reader")?;
        Ok(Self { consumer: Disposed::new(consumer) })
    }

    /// Calls `each` with every committed record of partition 0 from `start` on, until it breaks or the end is reached.
    pub(crate) fn read(
        &self,
        topic: &str,
        start: Offset,
        limit: Duration,
        mut each: impl FnMut(BorrowedMessage<'_>) -> anyhow::Result<ControlFlow<()>>,
    ) -> anyhow::Result<()> {
        let (deadline, consumer) = (Instant::now() + limit, &self.consumer);
        let (_, end) =
            consumer.fetch_watermarks(topic, 0, limit).with_context(|| format!("finding the end of {topic}"))?;
        let mut begin = TopicPartitionList::new();
        begin.add_partition_offset(topic, 0, start).context("choosing the start")?;
        consumer.assign(&begin).context("assigning")?;
        while Instant::now() < deadline {
            match consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) if message.offset() >= end => return Ok(()),
                Some(Ok(message)) => {
                    if each(message)?.is_break() {
                        return Ok(());
                    }
                }
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(()),
                Some(Err(KafkaError::MessageConsumptionFatal(code))) => bail!("reading {topic}: {code}"),
                // librdkafka reconnects; the deadline bounds how long that is waited for.
                None | Some(Err(_)) => {}
            }
        }
        bail!("reading {topic}: its end was not reached within {} s", limit.as_secs())
    }
}

/// Coming to the end is what is wanted, and is not logged as an error.
pub(crate) struct EndExpected;

impl ClientContext for EndExpected {
    fn error(&self, err: KafkaError, reason: &str) {
        if !matches!(err, KafkaError::PartitionEOF(_) | KafkaError::Global(RDKafkaErrorCode::PartitionEOF)) {
            tracing::warn!("reading a topic: {err}: {reason}");
        }
    }
}

impl ConsumerContext for EndExpected {}
