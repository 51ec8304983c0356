//! Reads topics from a time on, up to their ends as of now.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tracing::info;

/// One question to Kafka.
const LIMIT: Duration = Duration::from_secs(10);
/// Between two words about how far the reading is.
const PROGRESS: Duration = Duration::from_secs(10);
/// A record's time is its producer's: how far the clocks of two pods may differ.
const CLOCKS_MS: i64 = 30_000;

/// A partition, and the part of it that is read.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) start: i64,
    pub(crate) end: i64,
    /// The log begins here, and once began earlier: what is older was deleted.
    pub(crate) trimmed: bool,
}

/// Finds the parts of all partitions of `topics` since a time (unix milliseconds).
pub(crate) fn parts(kafka: &kafka::Config, topics: &[String], since_ms: i64) -> anyhow::Result<Vec<Part>> {
    // The end includes what is in a transaction still: it is waited for.
    let consumer: BaseConsumer = kafka.reader().set("isolation.level", "read_uncommitted").create()?;
    let mut list = TopicPartitionList::new();
    for topic in topics {
        let metadata = consumer.fetch_metadata(Some(topic), LIMIT).with_context(|| format!("asking for {topic}"))?;
        let before = list.count();
        for partition in metadata.topics().iter().flat_map(rdkafka::metadata::MetadataTopic::partitions) {
            list.add_partition_offset(topic, partition.id(), Offset::Offset((since_ms - CLOCKS_MS).max(0)))?;
        }
        if list.count() == before {
            bail!("there is no topic {topic}");
        }
    }
    let found = consumer.offsets_for_times(list, LIMIT).context("asking where a time is in logs")?;
    let part = |element: rdkafka::topic_partition_list::TopicPartitionListElem<'_>| {
        let (topic, partition) = (element.topic(), element.partition());
        // Without an answer, the end would be taken for where to begin, and nothing of the partition be read.
        element.error().with_context(|| format!("asking where a time is in {topic}/{partition}"))?;
        let (low, high) =
            consumer.fetch_watermarks(topic, partition, LIMIT).with_context(|| format!("asking for {topic}"))?;
        let start = match element.offset() {
            Offset::Offset(offset) => offset,
            _ => high,
        };
        if start > high {
            bail!("the new leader of {topic}/{partition} does not know yet where it ends");
        }
        Ok(Part { topic: topic.to_owned(), partition, start, end: high, trimmed: start <= low && low > 0 })
    };
    found.elements().into_iter().map(part).collect()
}

/// Whether everything was read, and what else is known of the logs.
#[derive(Debug, Default)]
pub(crate) struct Read {
    /// Offsets that were left when the time was over.
    pub(crate) left: i64,
    /// The latest time at which a trimmed log now begins: unix microseconds.
    pub(crate) begins_us: Option<i64>,
}

/// Reads all parts, calling `each` with every record. Blocks.
pub(crate) fn scan(
    kafka: &kafka::Config,
    parts: &[Part],
    deadline: Instant,
    mut each: impl FnMut(&BorrowedMessage<'_>),
) -> anyhow::Result<Read> {
    let consumer: BaseConsumer = kafka.reader().create().context("making a consumer")?;
    let mut list = TopicPartitionList::with_capacity(parts.len());
    for Part { topic, partition, start, .. } in parts {
        list.add_partition_offset(topic, *partition, Offset::Offset(*start))?;
    }
    consumer.assign(&list).context("beginning to read")?;

    let mut next: Vec<i64> = parts.iter().map(|part| part.start).collect();
    let mut unbegun: Vec<&Part> = parts.iter().filter(|part| part.trimmed).collect();
    let mut read = Read::default();
    let whole: i64 = parts.iter().map(|part| (part.end - part.start).max(0)).sum();
    let mut said = Instant::now();
    loop {
        read.left = parts.iter().zip(&next).map(|(part, next)| (part.end - next).max(0)).sum();
        if read.left == 0 || Instant::now() >= deadline {
            return Ok(read);
        }
        if said.elapsed() >= PROGRESS {
            said = Instant::now();
            info!(topic = parts[0].topic, partitions = parts.len(), left = read.left, of = whole, "reading");
        }
        let mut wait = Duration::from_millis(50);
        for _ in 0..5_000 {
            match consumer.poll(wait) {
                Some(Ok(message)) => {
                    if !unbegun.is_empty()
                        && let Some(at) = unbegun
                            .iter()
                            .position(|part| part.topic == message.topic() && part.partition == message.partition())
                    {
                        unbegun.swap_remove(at);
                        let time_us = message.timestamp().to_millis().map(|ms| ms.saturating_mul(1_000));
                        read.begins_us = read.begins_us.max(time_us);
                    }
                    each(&message);
                }
                Some(Err(KafkaError::MessageConsumptionFatal(code))) => bail!("reading: {code}"),
                Some(Err(_)) => {}
                None => break,
            }
            wait = Duration::ZERO;
        }
        // The position moves past transactions' markers, which are no records.
        let positions = consumer.position().context("asking for the own position")?;
        for (part, next) in parts.iter().zip(&mut next) {
            let position = positions.find_partition(&part.topic, part.partition).map(|element| element.offset());
            if let Some(Offset::Offset(position)) = position {
                *next = position.max(*next);
            }
        }
    }
}

/// Whether a role has committed the ends of all parts. Blocks.
pub(crate) fn committed(kafka: &kafka::Config, role: &str, parts: &[Part]) -> anyhow::Result<bool> {
    let consumer: BaseConsumer = kafka.member(role).create().context("making a consumer")?;
    let mut list = TopicPartitionList::with_capacity(parts.len());
    for part in parts {
        list.add_partition(&part.topic, part.partition);
    }
    let committed = consumer.committed_offsets(list, LIMIT).context("asking what was committed")?;
    Ok(parts.iter().all(|part| {
        let offset = committed.find_partition(&part.topic, part.partition).map(|element| element.offset());
        part.end == 0 || matches!(offset, Some(Offset::Offset(offset)) if offset >= part.end)
    }))
}
