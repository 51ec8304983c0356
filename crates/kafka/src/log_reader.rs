//! Reading the committed records of any partitions from given offsets on: to an end, or on and on. Joins no group, and
//! blocks.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::dispose::Disposed;
use crate::logs::Part;
use crate::partitions::{Partition, list};
use crate::{Config, Contact, Record};

/// What [`LogReader::next`] has.
pub enum Next<'a> {
    /// The next record of one of the partitions.
    Record(Record<'a>),
    /// A log no longer holds what was to be read next, or ends before it. Kafka does not tell which, and says it once:
    /// nothing more of that log comes until reading begins again.
    OutOfRange,
    /// No broker answers, or there is no such topic: Kafka may be another one when it is back.
    Doubtful,
    /// Kafka or a broker is away; the client reconnects by itself.
    Failed,
    /// No record came in time.
    Nothing,
}

/// Reads what it is told to.
pub struct LogReader {
    consumer: Disposed<BaseConsumer>,
    /// Of one that reads on and on.
    contact: Option<Contact>,
}

impl LogReader {
    /// Reads whatever is left: where the records to be read next were deleted, it goes on with the first that is there.
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        Ok(Self { consumer: consumer(&config.reader())?, contact: None })
    }

    /// The same for a few records of each log, in little memory.
    pub fn sparing(config: &Config) -> anyhow::Result<Self> {
        let mut reader = config.reader();
        reader.set("fetch.message.max.bytes", "16384").set("queued.max.messages.kbytes", "1024");
        Ok(Self { consumer: consumer(&reader)?, contact: None })
    }

    /// Reads on and on. It never begins elsewhere than it was told to: see [`Next::OutOfRange`]. It also notices if it has
    /// lost its Kafka for good.
    pub fn following(config: &Config) -> anyhow::Result<Self> {
        let mut reader = config.reader();
        reader.set("auto.offset.reset", "error");
        let contact = Some(Contact::new(config, Instant::now()));
        Ok(Self { consumer: consumer(&reader)?, contact })
    }

    /// Where a log begins, and where what is committed of it ends. May take `limit`.
    pub fn bounds(&self, (topic, partition): &Partition, limit: Duration) -> anyhow::Result<(i64, i64)> {
        let asked = self.consumer.fetch_watermarks(topic, *partition, limit);
        asked.with_context(|| format!("finding the end of {topic}"))
    }

    /// Begins to read these partitions, each at its offset, and no others. None of them is paused.
    pub fn begin<'a>(&self, from: impl IntoIterator<Item = (&'a Partition, i64)>) -> anyhow::Result<()> {
        let from = from.into_iter();
        let assignment =
            list(from.map(|((topic, number), offset)| ((topic.as_str(), *number), Offset::Offset(offset))))?;
        self.consumer.assign(&assignment).context("beginning to read")?;
        // To librdkafka, what was paused before is still.
        self.consumer.resume(&assignment).context("beginning to read")
    }

    /// Reads no more of a partition.
    pub fn end(&self, partition: &Partition) -> anyhow::Result<()> {
        self.consumer.incremental_unassign(&these([partition])?).context("ending to read")
    }

    /// Waits for the next record. An error is final: another reader is needed.
    pub fn next(&self, wait: Duration) -> anyhow::Result<Next<'_>> {
        Ok(match self.consumer.poll(wait) {
            Some(Ok(message)) => {
                self.contact.iter().for_each(Contact::heard);
                Next::Record(Record::new(message))
            }
            Some(Err(KafkaError::MessageConsumptionFatal(code))) => bail!("reading: {code}"),
            Some(Err(KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset))) => Next::OutOfRange,
            Some(Err(KafkaError::MessageConsumption(
                RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownPartition
                | RDKafkaErrorCode::UnknownTopicOrPartition,
            ))) => Next::Doubtful,
            Some(Err(_)) => Next::Failed,
            None => {
                self.contact.iter().try_for_each(|contact| contact.check(self.consumer.client()))?;
                Next::Nothing
            }
        })
    }

    /// The offset that comes next of each partition of which anything was read. It moves past transactions' markers, too.
    pub fn positions(&self) -> anyhow::Result<Vec<(Partition, i64)>> {
        let positions = self.consumer.position().context("asking for the own position")?;
        let known = positions.elements().into_iter().filter_map(|element| match element.offset() {
            Offset::Offset(next) => Some(((element.topic().to_owned(), element.partition()), next)),
            _ => None,
        });
        Ok(known.collect())
    }

    /// Pauses reading these partitions.
    pub fn pause<'a>(&self, partitions: impl IntoIterator<Item = &'a Partition>) -> anyhow::Result<()> {
        self.consumer.pause(&these(partitions)?).context("pausing")
    }

    /// Goes on reading them.
    pub fn resume<'a>(&self, partitions: impl IntoIterator<Item = &'a Partition>) -> anyhow::Result<()> {
        self.consumer.resume(&these(partitions)?).context("resuming")
    }
}

fn consumer(settings: &ClientConfig) -> anyhow::Result<Disposed<BaseConsumer>> {
    Ok(Disposed::new(settings.create().context("making a consumer")?))
}

fn these<'a>(partitions: impl IntoIterator<Item = &'a Partition>) -> KafkaResult<TopicPartitionList> {
    list(partitions.into_iter().map(|(topic, number)| ((topic.as_str(), *number), Offset::Invalid)))
}

/// How far [`read_parts`] came.
#[derive(Debug, Default)]
pub struct ReadParts {
    /// Offsets that were left when it was told to stop.
    pub left: i64,
    /// The latest time at which a trimmed log now begins: unix time, microseconds.
    pub begins_us: Option<i64>,
}

/// Records between two looks at whether to go on, and at the positions, each of which costs more than a record.
const RECORDS: usize = 5_000;

/// Calls `each` with every committed record of all parts. `goes_on`: asked now and then, with the offsets that are left.
pub fn read_parts(
    config: &Config,
    parts: &[Part],
    mut goes_on: impl FnMut(i64) -> anyhow::Result<bool>,
    mut each: impl FnMut(&Record<'_>),
) -> anyhow::Result<ReadParts> {
    let reader = LogReader::new(config)?;
    reader.begin(parts.iter().map(|part| (&part.partition, part.start)))?;
    let mut next: Vec<i64> = parts.iter().map(|part| part.start).collect();
    let mut begun: Vec<bool> = parts.iter().map(|part| !part.trimmed).collect();
    let mut read = ReadParts::default();
    loop {
        read.left = parts.iter().zip(&next).map(|(part, next)| (part.end - next).max(0)).sum();
        if read.left == 0 || !goes_on(read.left)? {
            return Ok(read);
        }
        let mut wait = Duration::from_millis(50);
        for _ in 0..RECORDS {
            match reader.next(wait)? {
                Next::Record(record) => {
                    let is_here = |Part { partition: (topic, number), .. }: &Part| {
                        *number == record.partition() && topic == record.topic()
                    };
                    let Some(at) = parts.iter().position(is_here) else { continue };
                    if !std::mem::replace(&mut begun[at], true) {
                        read.begins_us = read.begins_us.max(record.timestamp_ms().map(|ms| ms.saturating_mul(1_000)));
                    }
                    if record.offset() < parts[at].end {
                        each(&record);
                    }
                }
                Next::Nothing => break,
                Next::OutOfRange | Next::Doubtful | Next::Failed => {}
            }
            wait = Duration::ZERO;
        }
        for (partition, position) in reader.positions()? {
            if let Some(at) = parts.iter().position(|part| part.partition == partition) {
                next[at] = position.max(next[at]);
            }
        }
    }
}
