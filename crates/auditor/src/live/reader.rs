//! Follows the account of blocks and the topics of all states.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use kafka::blocks::{self, BlockRecord};
use kafka::{Malformed, SaleHeaders};
use petstore::{BlockId, SaleId, State};
use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use service::Beat;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::Live;
use super::logs::Logs;

/// Records put into the account at once.
const BATCH: usize = 2_000;
/// A wait for the first record of a batch; bounds how late a stop is seen.
const IDLE: Duration = Duration::from_millis(50);
/// Between two tries to ask Kafka.
const REST: Duration = Duration::from_secs(1);
/// How often positions are taken: a round of proof waits for them.
const POSITIONS: Duration = Duration::from_millis(50);
/// A seek only sets where to fetch next; the wait is for librdkafka's own thread.
const SEEK: Duration = Duration::from_secs(5);

/// What was read, without what it was read from.
enum Item {
    Block(BlockId, Box<BlockRecord>),
    Unreadable(BlockId),
    Sale(SaleId, State, i64),
    Malformed(State, i64, String),
}

struct Reader<'a> {
    live: &'a Live,
    consumer: BaseConsumer,
    logs: Logs,
    batch: Vec<Item>,
    looked: Instant,
    paused: bool,
}

/// Reads until `shutdown`. Blocks: give it a thread of its own.
pub(super) fn run(kafka: &kafka::Config, live: &Live, beat: &Beat, shutdown: &CancellationToken) -> anyhow::Result<()> {
    let mut config = kafka.reader();
    // Never begin elsewhere in silence: a log that was deleted ahead of us is for us to notice.
    config.set("auto.offset.reset", "error");
    let mut reader = Reader {
        live,
        consumer: config.create().context("making a consumer")?,
        logs: Logs::new(kafka)?,
        batch: Vec::with_capacity(BATCH),
        looked: Instant::now(),
        paused: false,
    };
    while !shutdown.is_cancelled() {
        beat.turned();
        match reader.start(beat, shutdown) {
            Ok(()) => break,
            Err(err) => {
                info!("waiting for kafka: {err:#}");
                std::thread::sleep(REST);
            }
        }
    }
    while !shutdown.is_cancelled() {
        beat.turned();
        reader.turn()?;
        reader.pause_if_full()?;
    }
    Ok(())
}

impl Reader<'_> {
    /// Reads the whole account of blocks, then begins with the states' topics where the checkpoint says.
    fn start(&mut self, beat: &Beat, shutdown: &CancellationToken) -> anyhow::Result<()> {
        let blocks = [(self.live.names.blocks(), 0)];
        let end = self.logs.ends(&blocks)?[0];
        let states: Vec<(String, i32)> = self.live.names.states().into_iter().map(|topic| (topic, 0)).collect();
        let (beginnings, ends) = (self.logs.beginnings(&states)?, self.logs.ends(&states)?);

        let mut assignment = TopicPartitionList::new();
        assignment.add_partition_offset(&blocks[0].0, 0, Offset::Beginning)?;
        self.consumer.assign(&assignment).context("beginning to read blocks")?;
        while self.live.blocks_read.load(Ordering::Acquire) < end && !shutdown.is_cancelled() {
            beat.turned();
            self.turn()?;
        }

        let mut assignment = TopicPartitionList::new();
        let read = self.live.blocks_read.load(Ordering::Acquire);
        assignment.add_partition_offset(&blocks[0].0, 0, Offset::Offset(read))?;
        let mut ledger = self.live.ledger();
        for ((state, beginning), end) in State::ALL.into_iter().zip(beginnings).zip(ends) {
            let start = ledger.begin(state, beginning, end, service::unix_us());
            assignment.add_partition_offset(&self.live.names.state(state), 0, Offset::Offset(start))?;
        }
        drop(ledger);
        self.consumer.assign(&assignment).context("beginning to read")?;
        self.live.started.set(true);
        info!(blocks = read, "read the account of blocks");
        Ok(())
    }

    /// Reads a batch and puts it into the account, then says how far that is.
    fn turn(&mut self) -> anyhow::Result<()> {
        let mut wait = IDLE;
        let mut deleted = false;
        while self.batch.len() < BATCH {
            match self.consumer.poll(wait) {
                Some(Ok(message)) => self.batch.extend(self.item(&message)),
                Some(Err(KafkaError::MessageConsumptionFatal(code))) => bail!("reading sales: {code}"),
                Some(Err(KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset))) => deleted = true,
                // librdkafka reconnects by itself, and logs it.
                Some(Err(_)) => {
                    self.live.metrics.errors.inc();
                }
                None => break,
            }
            wait = Duration::ZERO;
        }
        if !self.batch.is_empty() || self.looked.elapsed() >= POSITIONS {
            self.put()?;
        }
        if deleted {
            self.skip_what_was_deleted()?;
        }
        Ok(())
    }

    fn item(&self, message: &BorrowedMessage<'_>) -> Option<Item> {
        let offset = message.offset();
        let Some(state) = self.live.names.state_of(message.topic()) else {
            return match blocks::decode(message) {
                Ok(block) => block.map(|block| Item::Block(block.id, Box::new(block.record))),
                Err(err) => {
                    warn!("{err:#}: nothing can be said of this block");
                    let key = message.key().and_then(|key| str::from_utf8(key).ok())?;
                    Some(Item::Unreadable(key.parse().ok()?))
                }
            };
        };
        Some(match SaleHeaders::from_message(message) {
            Ok(headers) => Item::Sale(headers.id, state, offset),
            Err(Malformed { reason }) => Item::Malformed(state, offset, reason),
        })
    }

    /// Positions are taken after the records before them were put in; they move past transactions' markers as well.
    fn put(&mut self) -> anyhow::Result<()> {
        self.looked = Instant::now();
        let positions = self.consumer.position().context("asking for the own position")?;
        let mut ledger = self.live.ledger();
        for item in self.batch.drain(..) {
            match item {
                Item::Block(id, record) => ledger.record(id, *record),
                Item::Unreadable(id) => ledger.unreadable(id),
                Item::Sale(id, state, offset) => ledger.sale(id, state, offset),
                Item::Malformed(state, offset, reason) => ledger.malformed(state, offset, &reason),
            }
        }
        for element in positions.elements() {
            if let Offset::Offset(next) = element.offset() {
                match self.live.names.state_of(element.topic()) {
                    Some(state) => ledger.read_to(state, next),
                    None => self.live.blocks_read.store(next, Ordering::Release),
                }
            }
        }
        Ok(())
    }

    /// A log begins behind our position, or ends before it. Kafka doesn't say which log: all are looked at.
    fn skip_what_was_deleted(&mut self) -> anyhow::Result<()> {
        let states: Vec<(String, i32)> = self.live.names.states().into_iter().map(|topic| (topic, 0)).collect();
        let (Ok(beginnings), Ok(ends)) = (self.logs.beginnings(&states), self.logs.ends(&states)) else {
            // Kafka is away again. The reader says so once more when it is back.
            return Ok(());
        };
        let mut ledger = self.live.ledger();
        let positions = ledger.positions();
        for ((((topic, _), state), next), (beginning, end)) in
            states.iter().zip(State::ALL).zip(positions).zip(beginnings.into_iter().zip(ends))
        {
            if next > end {
                // Nothing that is known here can be trusted to be of this log.
                bail!(
                    "{topic} ends at {end}, and was read to {next}: kafka lost records, or was emptied; starting afresh"
                );
            }
            if next < beginning {
                let start = ledger.begin(state, beginning, end, service::unix_us());
                self.consumer
                    .seek(topic, 0, Offset::Offset(start), SEEK)
                    .with_context(|| format!("seeking in {topic}"))?;
            }
        }
        Ok(())
    }

    /// A store that is away must not fill the memory: what waits in Kafka waits safely, up to its retention.
    fn pause_if_full(&mut self) -> anyhow::Result<()> {
        let full = self.live.ledger().is_full();
        if full == self.paused {
            return Ok(());
        }
        let mut states = TopicPartitionList::new();
        for topic in self.live.names.states() {
            states.add_partition(&topic, 0);
        }
        if full {
            self.consumer.pause(&states).context("pausing")?;
        } else {
            self.consumer.resume(&states).context("resuming")?;
        }
        self.paused = full;
        Ok(())
    }
}
