//! Kafka's logs: where they begin and end, what lies on them, and how far a role has come with them. All of it blocks.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tracing::{debug, info};

use crate::logs::Logs;

/// One question to Kafka.
const LIMIT: Duration = Duration::from_secs(10);
/// Between two words about how far the reading is.
const PROGRESS: Duration = Duration::from_secs(10);
/// Between two looks at how far a role is.
pub(super) const REST: Duration = Duration::from_millis(250);

/// A partition, and the part of it that is read.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) start: i64,
    pub(super) end: i64,
    /// The log begins here, and once began earlier: what is older was deleted.
    pub(super) trimmed: bool,
}

/// The end of a topic of one partition.
pub(super) fn end_of(kafka: &kafka::Config, topic: &str) -> anyhow::Result<i64> {
    let ends = ask(kafka, "reader")?.ends(&[(topic.to_owned(), 0)])?;
    ends.into_iter().next().with_context(|| format!("finding the end of {topic}"))
}

/// Asks for the commits of a role by its name; `reader` for logs alone.
fn ask(kafka: &kafka::Config, role: &str) -> anyhow::Result<Logs> {
    Logs::new(kafka, role, LIMIT)
}

/// The parts of all partitions of `topics` since a time (unix milliseconds), to where they end now: behind what is in a
/// transaction still.
pub(super) fn since(kafka: &kafka::Config, topics: &[String], since_ms: i64) -> anyhow::Result<Vec<Part>> {
    let logs = ask(kafka, "reader")?;
    let mut partitions = Vec::new();
    for topic in topics {
        let count = logs.partitions(topic)?;
        if count == 0 {
            bail!("there is no topic {topic}");
        }
        partitions.extend((0..count).map(|partition| (topic.clone(), partition)));
    }
    // The beginnings come first: what is deleted after that is noticed by whoever reads.
    let beginnings = logs.beginnings(&partitions)?;
    let starts = logs.query(&partitions, Offset::Offset(since_ms.max(0))).context("asking where a time is in logs")?;
    let ends = logs.ends(&partitions)?;
    let mut parts = Vec::with_capacity(partitions.len());
    for (((topic, partition), low), (start, end)) in
        partitions.into_iter().zip(beginnings).zip(starts.into_iter().zip(ends))
    {
        let start = start.unwrap_or(end);
        if start > end {
            bail!("the new leader of {topic}/{partition} does not know yet where it ends");
        }
        parts.push(Part { topic, partition, start, end, trimmed: start <= low && low > 0 });
    }
    Ok(parts)
}

/// Whether everything was read, and what else is known of the logs.
#[derive(Debug, Default)]
pub(super) struct Read {
    /// Offsets that were left when the time was over.
    pub(super) left: i64,
    /// The latest time at which a trimmed log now begins: unix microseconds.
    pub(super) begins_us: Option<i64>,
}

/// Reads all parts, calling `each` with every record.
pub(super) fn scan(
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
    let mut begun: Vec<bool> = parts.iter().map(|part| !part.trimmed).collect();
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
                    let here = |part: &Part| part.partition == message.partition() && part.topic == message.topic();
                    let Some(at) = parts.iter().position(here) else { continue };
                    if !begun[at] {
                        begun[at] = true;
                        let time_us = message.timestamp().to_millis().map(|ms| ms.saturating_mul(1_000));
                        read.begins_us = read.begins_us.max(time_us);
                    }
                    if message.offset() < parts[at].end {
                        each(&message);
                    }
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

/// Waits until a role has committed the ends of all parts; the error says why not, if it has not in time.
pub(super) fn wait_for(kafka: &kafka::Config, role: &str, parts: &[Part], deadline: Instant) -> Result<(), String> {
    let logs = ask(kafka, role).map_err(|err| format!("{err:#}"))?;
    loop {
        let why = match has_passed(&logs, parts) {
            Ok(true) => {
                debug!("the {role} has passed the cut");
                return Ok(());
            }
            Ok(false) => format!("the {role} has not passed the cut"),
            // A coordinator that moves is silent for a while.
            Err(err) => format!("{err:#}"),
        };
        if Instant::now() >= deadline {
            return Err(why);
        }
        std::thread::sleep(REST);
    }
}

fn has_passed(logs: &Logs, parts: &[Part]) -> anyhow::Result<bool> {
    let parts = || parts.iter().filter(|part| part.end > 0);
    let partitions: Vec<_> = parts().map(|part| (part.topic.clone(), part.partition)).collect();
    Ok(partitions.is_empty() || parts().zip(logs.committed(&partitions)?).all(|(part, next)| next >= part.end))
}
