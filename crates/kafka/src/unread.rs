//! What a reader of committed records finds between two offsets of a log.
//!
//! Offsets alone don't tell: a transaction leaves a marker behind its last record, and an aborted one leaves all of its
//! records. They have offsets, and no reader ever gets them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Context;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::Offset;
use rdkafka::{Message, TopicPartitionList};

use crate::Config;

/// A wait for the next record.
const POLL: Duration = Duration::from_millis(20);
/// Fetched of a partition at once: markers are some tens of bytes, and of records one is enough.
const FETCH_BYTES: &str = "65536";

type Partition = (String, i32);

/// Reads each partition from the first of its two offsets to the second, all of them within `limit`. Blocks.
///
/// Returns the offset of the first record at or after the first one, or none if the second one was reached without a
/// record. A partition for which there was no time is left out.
pub fn first_records(
    config: &Config,
    partitions: &BTreeMap<Partition, (i64, i64)>,
    limit: Duration,
) -> anyhow::Result<BTreeMap<Partition, Option<i64>>> {
    let deadline = Instant::now() + limit;
    let consumer: BaseConsumer =
        config.reader().set("fetch.message.max.bytes", FETCH_BYTES).create().context("making a reader")?;
    let mut start = TopicPartitionList::with_capacity(partitions.len());
    for ((topic, partition), (from, _)) in partitions {
        start.add_partition_offset(topic, *partition, Offset::Offset(*from)).context("choosing a position")?;
    }
    consumer.assign(&start).context("assigning")?;
    let mut found = BTreeMap::new();
    while found.len() < partitions.len() && Instant::now() < deadline {
        // An error is not the end: librdkafka reconnects.
        if let Some(Ok(message)) = consumer.poll(POLL) {
            let partition = (message.topic().to_owned(), message.partition());
            if partitions.contains_key(&partition) {
                found.entry(partition).or_insert(Some(message.offset()));
            }
            continue;
        }
        // The position moves on over what is no record, too.
        for element in consumer.position().context("asking for the own position")?.elements() {
            let partition = (element.topic().to_owned(), element.partition());
            if let (Some((_, to)), Offset::Offset(position)) = (partitions.get(&partition), element.offset())
                && position >= *to
            {
                found.entry(partition).or_insert(None);
            }
        }
    }
    Ok(found)
}
