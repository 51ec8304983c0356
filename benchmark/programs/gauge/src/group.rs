//! Watches the progress of a consumer group.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::Offset;
use serde_json::{Value, json};

use crate::topics::{LIMIT, ends};

const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The slowest copy worth measuring takes a minute or two.
const GROUP_LIMIT: Duration = Duration::from_mins(5);

/// Waits until the group has committed all of `sales`. Reports when its first and its last commit were seen, with the
/// records committed by then: the rate between the two leaves out the start of the program.
pub(crate) fn wait(kafka: &kafka::Config, group: &str) -> anyhow::Result<Value> {
    let consumer: BaseConsumer = kafka
        .reader()
        .set("group.id", group)
        // Offsets of an open transaction are not waited for.
        .set("isolation.level", "read_uncommitted")
        .create()
        .context("making a consumer")?;
    let topic = kafka.names().sales();
    let ends = ends(&consumer, &topic)?;
    let total: i64 = ends.iter().map(|(_, end)| end).sum();
    let begun = Instant::now();
    let mut first = None;
    while begun.elapsed() < GROUP_LIMIT {
        let mut asked = TopicPartitionList::new();
        for (partition, _) in &ends {
            asked.add_partition(&topic, *partition);
        }
        let committed = consumer.committed_offsets(asked, LIMIT).context("reading committed offsets")?;
        let done: i64 = committed
            .elements()
            .iter()
            .map(|element| if let Offset::Offset(offset) = element.offset() { offset } else { 0 })
            .sum();
        let at_us = service::unix_us();
        if done > 0 {
            let (first_us, first_done) = *first.get_or_insert((at_us, done));
            if done == total {
                return Ok(json!({
                    "first_us": first_us, "first": first_done, "last_us": at_us, "last": done,
                }));
            }
        }
        std::thread::sleep(LOOK_EVERY);
    }
    bail!("{group} did not get through {topic} within {} s", GROUP_LIMIT.as_secs())
}
