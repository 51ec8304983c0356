//! Reads the topics of all states as sales arrive, and measures the latency of each.

use std::time::{Duration, Instant};

use anyhow::Context;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::Offset;
use serde_json::{Value, json};

use crate::truth::header;
use crate::{report, topics};

/// Starts at the first record: ignores the first `skip` seconds, then counts for `seconds`.
pub(crate) fn run(kafka: &kafka::Config, pattern: &str, skip: u64, seconds: u64) -> anyhow::Result<Value> {
    let consumer: BaseConsumer = kafka.reader().create().context("making a reader")?;
    let mut ends = TopicPartitionList::new();
    for (_, topic) in topics::of_states(pattern) {
        for (partition, end) in topics::ends(&consumer, &topic)? {
            ends.add_partition_offset(&topic, partition, Offset::Offset(end))?;
        }
    }
    consumer.assign(&ends).context("assigning")?;
    let mut histogram = service::new_histogram();
    let mut begun = None;
    let (skip, seconds) = (Duration::from_secs(skip), Duration::from_secs(seconds));
    let mut negative = 0_u64;
    loop {
        let age = begun.map(|begun: Instant| begun.elapsed()).unwrap_or_default();
        if age > skip + seconds {
            break;
        }
        let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
        let message = message.context("reading topics")?;
        begun.get_or_insert_with(Instant::now);
        if age >= skip {
            match u64::try_from(service::unix_us() - header(&message)?.due_us) {
                Ok(us) => histogram.saturating_record(us),
                Err(_) => negative += 1,
            }
        }
    }
    let mut answer = report::percentiles(&histogram);
    answer["negative"] = json!(negative);
    Ok(answer)
}
