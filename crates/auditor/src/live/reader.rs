//! Follows the account of blocks, the topics of all states, `sales.rejected` and `receipts`.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use kafka::blocks::{self, BlockRecord};
use kafka::{Contact, Malformed, SaleHeader};
use petstore::BlockId;
use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use service::Beat;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{ASK_LIMIT, Live};
use crate::ledger::Rejected;
use crate::logs::Logs;
use crate::record::Record;
use crate::source::Source;
use crate::truth::Body;

/// Records put into the account at once.
const BATCH: usize = 2_000;
/// Bytes of bodies in a batch: what is larger than a sale must not fill the memory.
const BATCH_BYTES: usize = 4 << 20;
/// A wait for the first record of a batch; bounds how late a stop is seen.
const IDLE: Duration = Duration::from_millis(50);
/// Between two tries to ask Kafka.
const REST: Duration = Duration::from_secs(1);
/// How often positions are taken: a round of proof waits for them.
const POSITIONS: Duration = Duration::from_millis(50);

/// What was read, without what it was read from.
enum Item {
    Block(BlockId, Box<BlockRecord>),
    Unreadable(BlockId),
    OfAnotherRelease(BlockId),
    /// The body is this part of the batch's.
    Sale(SaleHeader, Source, i64, Range<usize>),
    Malformed(Source, i64, String),
    Rejected(Box<Rejected>),
}

struct Reader<'a> {
    live: &'a Live,
    consumer: BaseConsumer,
    contact: Contact,
    logs: Logs,
    batch: Vec<Item>,
    /// The bodies of the batch, end to end.
    bodies: Vec<u8>,
    sources: Sources,
    looked: Instant,
    /// A log no longer holds what was to be read next. librdkafka says so once and reads nothing more of it.
    overtaken: bool,
    /// When Kafka was last asked where to go on.
    asked: Option<Instant>,
    /// Whether reading each source rests.
    rests: Vec<bool>,
    /// And the account of blocks.
    account_rests: bool,
}

/// Reads until `shutdown`. Blocks: give it a thread of its own.
pub(super) fn run(kafka: &kafka::Config, live: &Live, beat: &Beat, shutdown: &CancellationToken) -> anyhow::Result<()> {
    let mut reader = loop {
        beat.turned();
        let mut reader = Reader::new(kafka, live)?;
        match reader.start(beat, shutdown) {
            Ok(()) => break reader,
            Err(err) if !shutdown.is_cancelled() => {
                info!("waiting for kafka: {err:#}");
                std::thread::sleep(REST);
            }
            Err(_) => return Ok(()),
        }
    };
    while !shutdown.is_cancelled() {
        beat.turned();
        reader.turn()?;
        reader.rest()?;
    }
    Ok(())
}

impl<'a> Reader<'a> {
    fn new(kafka: &kafka::Config, live: &'a Live) -> anyhow::Result<Self> {
        let mut config = kafka.reader();
        // Never begin elsewhere in silence: a log that was deleted ahead of us is for us to notice.
        config.set("auto.offset.reset", "error");
        Ok(Self {
            live,
            consumer: config.create().context("making a consumer")?,
            contact: Contact::new(kafka, Instant::now()),
            logs: Logs::new(kafka, "fan-out", ASK_LIMIT)?,
            batch: Vec::with_capacity(BATCH),
            bodies: Vec::new(),
            sources: Sources::new(live),
            looked: Instant::now(),
            overtaken: false,
            asked: None,
            rests: vec![false; live.sources.len()],
            account_rests: false,
        })
    }

    /// Reads the whole account of blocks, then begins with the states' topics where the checkpoint says.
    fn start(&mut self, beat: &Beat, shutdown: &CancellationToken) -> anyhow::Result<()> {
        let blocks = [(self.live.names.blocks(), 0)];
        let end = self.logs.ends(&blocks)?[0];
        let partitions = self.live.partitions();
        let (beginnings, ends) = (self.logs.beginnings(&partitions)?, self.logs.ends(&partitions)?);

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
        for (((source, (topic, partition)), beginning), end) in
            self.live.sources.iter().zip(&partitions).zip(beginnings).zip(ends)
        {
            let start = ledger.begin(*source, beginning, end, service::unix_us());
            assignment.add_partition_offset(topic, *partition, Offset::Offset(start))?;
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
        while self.batch.len() < BATCH && self.bodies.len() < BATCH_BYTES {
            match self.consumer.poll(wait) {
                Some(Ok(message)) => {
                    self.contact.heard();
                    let item = item(&message, &self.sources, &mut self.bodies);
                    self.batch.extend(item);
                }
                Some(Err(KafkaError::MessageConsumptionFatal(code))) => bail!("reading sales: {code}"),
                Some(Err(KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset))) => {
                    self.overtaken = true;
                }
                // librdkafka reconnects by itself, and logs it.
                Some(Err(_)) => {
                    self.live.metrics.errors.inc();
                }
                None => {
                    self.contact.check(self.consumer.client())?;
                    break;
                }
            }
            wait = Duration::ZERO;
        }
        if self.overtaken || !self.batch.is_empty() || self.looked.elapsed() >= POSITIONS {
            self.put()?;
        }
        if self.overtaken && self.asked.is_none_or(|asked| asked.elapsed() >= REST) {
            self.skip_what_was_deleted()?;
        }
        Ok(())
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
                Item::OfAnotherRelease(id) => ledger.of_another_release(id),
                Item::Sale(SaleHeader { id, state, .. }, source, offset, body) => {
                    let body = Body::new(&self.bodies[body]);
                    ledger.sale(Record { id, state, source, offset, body });
                }
                Item::Malformed(source, offset, reason) => ledger.malformed(source, offset, &reason),
                Item::Rejected(record) => ledger.rejected(*record),
            }
        }
        self.bodies.clear();
        for element in positions.elements() {
            if let Offset::Offset(next) = element.offset() {
                match self.sources.of(element.topic(), element.partition()) {
                    Some(source) => ledger.read_to(source, next),
                    None => self.live.blocks_read.store(next, Ordering::Release),
                }
            }
        }
        Ok(())
    }

    /// A log begins behind our position, or ends before it. Kafka doesn't say which log, and a seek is refused by the one
    /// that stopped: all of them are read on from where they can be.
    fn skip_what_was_deleted(&mut self) -> anyhow::Result<()> {
        self.asked = Some(Instant::now());
        let partitions = self.live.partitions();
        let (Ok(beginnings), Ok(ends)) = (self.logs.beginnings(&partitions), self.logs.ends(&partitions)) else {
            // Kafka is away again: it is asked until it answers.
            return Ok(());
        };
        let starts = self.live.ledger().go_on(&beginnings, &ends, service::unix_us())?;
        let mut assignment = TopicPartitionList::new();
        let read = self.live.blocks_read.load(Ordering::Acquire);
        assignment.add_partition_offset(&self.live.names.blocks(), 0, Offset::Offset(read))?;
        for ((topic, partition), start) in partitions.iter().zip(starts) {
            assignment.add_partition_offset(topic, *partition, Offset::Offset(start))?;
        }
        self.consumer.assign(&assignment).context("reading on")?;
        // What is assigned does not rest.
        self.rests.fill(false);
        self.account_rests = false;
        self.overtaken = false;
        Ok(())
    }

    /// A store that is away must not fill the memory, nor a log be far ahead of others: what waits in Kafka waits safely,
    /// up to its retention.
    fn rest(&mut self) -> anyhow::Result<()> {
        let ledger = self.live.ledger();
        let (rests, account_rests) = (ledger.rest(&self.rests), ledger.rests_account());
        drop(ledger);
        let changed = |to: bool| {
            let mut list = TopicPartitionList::new();
            for ((source, before), now) in self.live.sources.iter().zip(&self.rests).zip(&rests) {
                if before != now && *now == to {
                    let (topic, partition) = source.partition(&self.live.names);
                    list.add_partition(&topic, partition);
                }
            }
            if account_rests != self.account_rests && account_rests == to {
                list.add_partition(&self.live.names.blocks(), 0);
            }
            list
        };
        if rests != self.rests || account_rests != self.account_rests {
            self.consumer.pause(&changed(true)).context("pausing")?;
            self.consumer.resume(&changed(false)).context("resuming")?;
            (self.rests, self.account_rests) = (rests, account_rests);
        }
        Ok(())
    }
}

/// Sources by topic, then by partition.
struct Sources(HashMap<String, Vec<Source>>);

impl Sources {
    fn new(live: &Live) -> Self {
        let mut sources: HashMap<String, Vec<Source>> = HashMap::new();
        for source in &live.sources {
            sources.entry(source.partition(&live.names).0).or_default().push(*source);
        }
        Self(sources)
    }

    fn of(&self, topic: &str, partition: i32) -> Option<Source> {
        self.0.get(topic)?.get(usize::try_from(partition).ok()?).copied()
    }
}

fn item(message: &BorrowedMessage<'_>, sources: &Sources, bodies: &mut Vec<u8>) -> Option<Item> {
    let offset = message.offset();
    let Some(source) = sources.of(message.topic(), message.partition()) else {
        return match blocks::decode(message) {
            Ok(block) => block.map(|block| Item::Block(block.id, Box::new(block.record))),
            Err(err) => {
                let id = message.key().and_then(|key| str::from_utf8(key).ok())?.parse().ok()?;
                if blocks::is_of_another_model(message) {
                    return Some(Item::OfAnotherRelease(id));
                }
                warn!("{err:#}: nothing can be said of this block");
                Some(Item::Unreadable(id))
            }
        };
    };
    if source == Source::Rejected {
        return Some(Item::Rejected(Box::new(rejected(message))));
    }
    Some(match SaleHeader::from_message(message) {
        Ok(header) => {
            let from = bodies.len();
            bodies.extend_from_slice(message.payload().unwrap_or_default());
            Item::Sale(header, source, offset, from..bodies.len())
        }
        Err(Malformed { reason }) => Item::Malformed(source, offset, reason),
    })
}

/// What the fan-out says of a record that it rejected. The last header of a name is the fan-out's: it appends.
fn rejected(message: &BorrowedMessage<'_>) -> Rejected {
    let sale = SaleHeader::id_in(message);
    let mut rejected = Rejected { offset: message.offset(), sale, ..Rejected::default() };
    for header in message.headers().iter().flat_map(|headers| headers.iter()) {
        let value = || String::from_utf8_lossy(header.value.unwrap_or_default()).into_owned();
        match header.key {
            "reason" => rejected.reason = value(),
            "source" => rejected.source = value(),
            "bytes" => rejected.bytes = value(),
            _ => {}
        }
    }
    rejected
}
