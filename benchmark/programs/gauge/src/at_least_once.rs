//! The fan-out without transactions: what exactly-once is compared with.
//!
//! It has the same consumer, routes and flush, the same producer except for its transactional id, commits offsets as often,
//! and reads the next records in the meantime. Its only other difference: after a crash, a sale may be in its topic twice.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use etl::fan_out::Route;
use kafka::{Forward, flush};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::BorrowedMessage;
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
const MAX_AHEAD: usize = 15_000;
const COMMIT_POLL: Duration = Duration::from_millis(1);

type Sale<'a> = (BorrowedMessage<'a>, Route);

pub(crate) fn run(kafka: &kafka::Config) -> anyhow::Result<Value> {
    let shutdown = service::shutdown_on_signal()?;
    let mut settings = kafka.transactional_producer("none");
    settings.remove("transactional.id");
    settings.remove("transaction.timeout.ms");
    let producer: BaseProducer = settings.set("enable.idempotence", "true").create().context("making the producer")?;
    let consumer: BaseConsumer = kafka
        .member("at-least-once")
        .set("partition.assignment.strategy", "range")
        // A new group, which starts at the beginning.
        .set("auto.offset.reset", "earliest")
        .create()
        .context("making the consumer")?;
    let topic = kafka.names().sales();
    consumer.subscribe(&[&topic]).context("subscribing")?;
    let topics = kafka.names().states();

    let (mut offsets, mut forward, mut ahead) = (BTreeMap::new(), Forward::default(), VecDeque::new());
    let mut begun: Option<Instant> = None;
    let mut sent = 0_u64;
    let mut look = false;
    while !shutdown.is_cancelled() {
        look |= sent.is_multiple_of(LOOK_EVERY);
        if look && begun.is_some_and(|begun| begun.elapsed() >= INTERVAL) {
            let mut list = TopicPartitionList::new();
            for (partition, offset) in std::mem::take(&mut offsets) {
                list.add_partition_offset(&topic, partition, Offset::Offset(offset))?;
            }
            commit(&consumer, &producer, &list, &mut ahead)?;
            begun = None;
        }
        look = false;
        let mut read = ahead.pop_front();
        if read.is_none() {
            read = next(&consumer, Duration::ZERO)?;
        }
        if read.is_none() {
            look = true;
            read = next(&consumer, IDLE)?;
        }
        let Some((message, route)) = read else { continue };
        begun.get_or_insert_with(Instant::now);
        let (partition, next) = (message.partition(), message.offset() + 1);
        forward.send(&producer, &topics[route.sale.state.index()], message).context("sending a sale")?;
        offsets.insert(partition, next);
        sent += 1;
        if sent.is_multiple_of(SERVE_EVERY) {
            producer.poll(Duration::ZERO);
        }
    }
    Ok(json!({"sent": sent}))
}

/// Waits until everything sent is acknowledged, and commits the offsets, while reading continues.
fn commit<'a>(
    consumer: &'a BaseConsumer,
    producer: &BaseProducer,
    offsets: &TopicPartitionList,
    ahead: &mut VecDeque<Sale<'a>>,
) -> anyhow::Result<()> {
    std::thread::scope(|scope| {
        let commit = scope.spawn(|| {
            flush(producer, LIMIT).context("waiting for the answers")?;
            consumer.commit(offsets, CommitMode::Sync).context("committing offsets")
        });
        while !commit.is_finished() {
            if ahead.len() < MAX_AHEAD {
                ahead.extend(next(consumer, COMMIT_POLL)?);
            } else {
                std::thread::sleep(COMMIT_POLL);
            }
        }
        commit.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn next(consumer: &BaseConsumer, wait: Duration) -> anyhow::Result<Option<Sale<'_>>> {
    let Some(polled) = consumer.poll(wait) else { return Ok(None) };
    let message = polled.context("reading sales")?;
    let route = Route::of(&message).map_err(|malformed| anyhow::anyhow!("{}", malformed.reason))?;
    if !route.plain {
        bail!("a sale with other headers than its loader's");
    }
    Ok(Some((message, route)))
}
