//! Reads a topic from a time on to its end, beside the reader.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use service::Beat;
use tokio_util::sync::CancellationToken;

use crate::logs::{Logs, Partitions};

/// A search reads from the time at which the oldest of what it looks for was reserved. Beyond this it is given up, and
/// what was not found is left open.
const LIMIT: Duration = Duration::from_mins(2);

/// How to read.
pub(super) struct Scan<'a> {
    pub(super) kafka: &'a kafka::Config,
    pub(super) logs: &'a Logs,
    pub(super) since_ms: i64,
    pub(super) beat: &'a Beat,
    pub(super) shutdown: &'a CancellationToken,
}

impl Scan<'_> {
    /// Reads a topic from the time on; false if it does not reach back so far, or is too long to read.
    pub(super) fn topic(&self, topic: &str, mut each: impl FnMut(&BorrowedMessage<'_>)) -> anyhow::Result<bool> {
        let begun = Instant::now();
        let partitions: Vec<(String, i32)> =
            (0..self.logs.partitions(topic)?).map(|partition| (topic.to_owned(), partition)).collect();
        let ends = self.logs.ends(&partitions)?;
        let beginnings = self.logs.beginnings(&partitions)?;
        let starts = self.logs.at_time(&partitions, self.since_ms)?;
        let reaches_back =
            starts.iter().zip(&beginnings).all(|(start, beginning)| start > beginning || *beginning == 0);

        let consumer = self.reader(&partitions, &starts)?;
        let mut next = starts;
        while next.iter().zip(&ends).any(|(next, end)| next < end) {
            self.beat.turned();
            if self.shutdown.is_cancelled() {
                bail!("stopped while searching {topic}");
            }
            if begun.elapsed() > LIMIT {
                return Ok(false);
            }
            // Many at a time: the positions, which move past what is no record, cost more than a record.
            let mut wait = Duration::from_millis(100);
            for _ in 0..2_000 {
                match consumer.poll(wait) {
                    Some(Ok(message)) => each(&message),
                    Some(Err(KafkaError::MessageConsumptionFatal(code))) => bail!("searching {topic}: {code}"),
                    Some(Err(_)) => {}
                    None => break,
                }
                wait = Duration::ZERO;
            }
            let positions = consumer.position().context("asking for the own position")?;
            for ((topic, partition), next) in partitions.iter().zip(&mut next) {
                let position = positions.find_partition(topic, *partition).map(|element| element.offset());
                if let Some(Offset::Offset(position)) = position {
                    *next = position.max(*next);
                }
            }
        }
        Ok(reaches_back)
    }

    fn reader(&self, partitions: &Partitions, starts: &[i64]) -> anyhow::Result<BaseConsumer> {
        let consumer: BaseConsumer = self.kafka.reader().create().context("making a consumer")?;
        let mut assignment = TopicPartitionList::with_capacity(partitions.len());
        for ((topic, partition), start) in partitions.iter().zip(starts) {
            assignment.add_partition_offset(topic, *partition, Offset::Offset(*start))?;
        }
        consumer.assign(&assignment).context("beginning to search")?;
        Ok(consumer)
    }
}
