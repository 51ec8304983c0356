//! The fan-out without transactions: what exactly-once is compared with.
//!
//! The same consumer, the same producer but for its transactional id, the same routes, the same flush, and offsets
//! committed as often. A sale may be in its topic twice after a crash; that is all it saves. It stands still while it
//! commits.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use etl::fan_out::Route;
use kafka::{Forward, flush};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::producer::BaseProducer;
use rdkafka::topic_partition_list::Offset;
use rdkafka::{Message, TopicPartitionList};
use serde_json::{Value, json};

use crate::topics::LIMIT;

/// As often as the fan-out commits by default.
const INTERVAL: Duration = Duration::from_millis(100);
const SERVE_EVERY: u64 = 128;

/// As the fan-out does.
const LOOK_EVERY: u64 = 32;
const IDLE: Duration = Duration::from_millis(20);

pub(crate) fn run(kafka: &kafka::Config) -> anyhow::Result<Value> {
    let shutdown = service::shutdown_on_signal()?;
    let mut settings = kafka.transactional_producer("none");
    settings.remove("transactional.id");
    settings.remove("transaction.timeout.ms");
    let producer: BaseProducer = settings.set("enable.idempotence", "true").create().context("making the producer")?;
    let consumer: BaseConsumer = kafka
        .member("at-least-once")
        .set("partition.assignment.strategy", "range")
        .create()
        .context("making the consumer")?;
    let topic = kafka.names().sales();
    consumer.subscribe(&[&topic]).context("subscribing")?;
    let topics = kafka.names().states();

    let (mut offsets, mut forward) = (HashMap::new(), Forward::default());
    let mut begun: Option<Instant> = None;
    let mut sent = 0_u64;
    let mut look = false;
    while !shutdown.is_cancelled() {
        look |= sent.is_multiple_of(LOOK_EVERY);
        if look && begun.is_some_and(|begun| begun.elapsed() >= INTERVAL) {
            flush(&producer, LIMIT).context("waiting for the answers")?;
            let mut list = TopicPartitionList::new();
            for (partition, offset) in offsets.drain() {
                list.add_partition_offset(&topic, partition, Offset::Offset(offset))?;
            }
            consumer.commit(&list, CommitMode::Sync).context("committing offsets")?;
            begun = None;
        }
        look = false;
        let polled = consumer.poll(Duration::ZERO).or_else(|| {
            look = true;
            consumer.poll(IDLE)
        });
        let Some(polled) = polled else { continue };
        let message = polled.context("reading sales")?;
        begun.get_or_insert_with(Instant::now);
        let route = Route::of(&message).map_err(|malformed| anyhow::anyhow!("{}", malformed.reason))?;
        let (partition, next) = (message.partition(), message.offset() + 1);
        if !route.plain {
            bail!("a sale with other headers than its loader's");
        }
        forward.send(&producer, &topics[route.sale.state.index()], message).context("sending a sale")?;
        offsets.insert(partition, next);
        sent += 1;
        if sent.is_multiple_of(SERVE_EVERY) {
            producer.poll(Duration::ZERO);
        }
    }
    Ok(json!({"sent": sent}))
}
