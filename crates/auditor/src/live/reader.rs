//! Follows the account of blocks, the topics of all states, `sales.rejected` and `receipts`.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use kafka::{BlockEntry, LogReader, Logs, Malformed, Next, Partition, SaleHeader};
use petstore::BlockId;
use service::Beat;
use tracing::{info, warn};

use super::{ASK_LIMIT, Live};
use crate::audit::Rejected;
use crate::audit::record::Record;
use crate::audit::source::Source;
use crate::model::Body;

/// Records put into the account at once.
const BATCH: usize = 2_000;
/// Bytes of bodies in a batch: what is larger than a sale must not fill the memory.
const BATCH_BYTES: usize = 4 << 20;
/// A wait for the first record of a batch; bounds how late a stop is seen.
const IDLE: Duration = Duration::from_millis(50);
const REST: Duration = Duration::from_secs(1);
/// How often positions are taken: a round of proof waits for them.
const POSITIONS: Duration = Duration::from_millis(50);

/// What was read, without what it was read from.
enum Item {
    Block(BlockId, BlockEntry),
    /// The body is this part of the batch's.
    Sale(SaleHeader, Source, i64, Range<usize>),
    Malformed(Source, i64, String),
    Rejected(Box<Rejected>),
}

struct Reader<'a> {
    live: &'a Live,
    log: LogReader,
    logs: Logs,
    /// Of all sources in their order, and last of the account of blocks.
    partitions: Vec<Partition>,
    batch: Vec<Item>,
    /// The bodies of the batch, end to end.
    bodies: Vec<u8>,
    sources: Sources,
    looked: Instant,
    /// See [`Next::OutOfRange`].
    overtaken: bool,
    asked: Option<Instant>,
    /// Whether reading each of these partitions rests.
    rests: Vec<bool>,
}

/// Reads until `shutdown`. Blocks: give it a thread of its own.
pub(super) fn run(live: &Live, beat: &Beat) -> anyhow::Result<()> {
    let mut reader = loop {
        beat.turned();
        let mut reader = Reader::new(live)?;
        match reader.start(beat) {
            Ok(()) => break reader,
            Err(err) if !live.shutdown.is_cancelled() => {
                info!("waiting for kafka: {err:#}");
                std::thread::sleep(REST);
            }
            Err(_) => return Ok(()),
        }
    };
    while !live.shutdown.is_cancelled() {
        beat.turned();
        if !live.is_sure() {
            std::thread::sleep(IDLE);
            continue;
        }
        if let Err(err) = reader.turn().and_then(|()| reader.rest()) {
            return fail(live, err, beat);
        }
    }
    Ok(())
}

/// Another Kafka may be the reason: then the account of the old one is left first, and ends the process.
fn fail(live: &Live, err: anyhow::Error, beat: &Beat) -> anyhow::Result<()> {
    live.watch.doubt();
    while !live.shutdown.is_cancelled() {
        beat.turned();
        if live.is_sure() {
            return Err(err);
        }
        std::thread::sleep(IDLE);
    }
    Ok(())
}

impl<'a> Reader<'a> {
    fn new(live: &'a Live) -> anyhow::Result<Self> {
        Ok(Self {
            live,
            log: LogReader::following(&live.kafka)?,
            logs: Logs::new(&live.kafka, "fan-out", ASK_LIMIT)?,
            partitions: live.partitions().into_iter().chain([(live.names.blocks(), 0)]).collect(),
            batch: Vec::with_capacity(BATCH),
            bodies: Vec::new(),
            sources: Sources::new(live),
            looked: Instant::now(),
            overtaken: false,
            asked: None,
            rests: vec![false; live.sources.len() + 1],
        })
    }

    /// Reads the whole account of blocks, then begins with the states' topics where the checkpoint tells it to.
    fn start(&mut self, beat: &Beat) -> anyhow::Result<()> {
        let (beginnings, ends) = (self.logs.beginnings(&self.partitions)?, self.logs.ends(&self.partitions)?);
        let blocks = self.live.sources.len();
        self.log.begin([(&self.partitions[blocks], beginnings[blocks])])?;
        while self.live.blocks_read.load(Ordering::Acquire) < ends[blocks] && !self.live.shutdown.is_cancelled() {
            beat.turned();
            if self.live.is_sure() {
                self.turn()?;
            } else {
                std::thread::sleep(IDLE);
            }
        }

        let starts = self.live.audit().begin_all(&beginnings, &ends, service::unix_us());
        self.begin(&starts)?;
        self.live.start();
        info!("read the account of blocks");
        Ok(())
    }

    /// Reads on in the account of blocks, and in all sources at these offsets.
    fn begin(&self, starts: &[i64]) -> anyhow::Result<()> {
        let read = self.live.blocks_read.load(Ordering::Acquire);
        self.log.begin(self.partitions.iter().zip(starts.iter().copied().chain([read])))
    }

    /// Reads a batch and puts it into the account, then notes how far that is.
    fn turn(&mut self) -> anyhow::Result<()> {
        let mut wait = IDLE;
        while self.batch.len() < BATCH && self.bodies.len() < BATCH_BYTES {
            match self.log.next(wait)? {
                Next::Record(record) => {
                    let item = item(&record, &self.sources, &mut self.bodies);
                    self.batch.extend(item);
                }
                Next::OutOfRange => {
                    self.overtaken = true;
                    self.live.watch.doubt();
                    break;
                }
                Next::Doubtful => {
                    self.live.metrics.errors.inc();
                    self.live.watch.doubt();
                    break;
                }
                Next::Failed => drop(self.live.metrics.errors.inc()),
                Next::Nothing => break,
            }
            wait = Duration::ZERO;
        }
        if self.overtaken || !self.batch.is_empty() || self.looked.elapsed() >= POSITIONS {
            self.put()?;
        }
        if self.overtaken && self.live.is_sure() && self.asked.is_none_or(|asked| asked.elapsed() >= REST) {
            self.skip_what_was_deleted()?;
        }
        Ok(())
    }

    /// Positions are taken after the records before them were put in; they move past transactions' markers as well.
    fn put(&mut self) -> anyhow::Result<()> {
        self.looked = Instant::now();
        let positions = self.log.positions()?;
        let (mut retained, mut audit) = (self.live.retained(), self.live.audit());
        for item in self.batch.drain(..) {
            match item {
                Item::Block(id, BlockEntry::Is(record)) => {
                    retained.see(id, &record);
                    audit.record(id, *record);
                }
                Item::Block(id, BlockEntry::OfAnotherModel) => audit.of_another_release(id),
                Item::Block(id, BlockEntry::Unreadable(why)) => {
                    warn!("{why}: nothing can be said of this block");
                    audit.unreadable(id);
                }
                Item::Block(id, BlockEntry::Deleted) => retained.forget(id),
                Item::Sale(SaleHeader { id, state, .. }, source, offset, body) => {
                    let body = Body::new(&self.bodies[body]);
                    audit.sale(Record { id, state, source, offset, body });
                }
                Item::Malformed(source, offset, reason) => audit.malformed(source, offset, &reason),
                Item::Rejected(record) => audit.rejected(*record),
            }
        }
        self.bodies.clear();
        for ((topic, partition), next) in positions {
            match self.sources.of(&topic, partition) {
                Some(source) => audit.read_to(source, next),
                None => self.live.blocks_read.store(next, Ordering::Release),
            }
        }
        Ok(())
    }

    /// A log begins behind our position, or ends before it. Kafka doesn't tell which log, and a seek is refused by the one
    /// that stopped: all of them are read on from where they can be.
    fn skip_what_was_deleted(&mut self) -> anyhow::Result<()> {
        self.asked = Some(Instant::now());
        let (Ok(beginnings), Ok(ends)) = (self.logs.beginnings(&self.partitions), self.logs.ends(&self.partitions))
        else {
            // Kafka is away again: it is asked until it answers.
            return Ok(());
        };
        let starts = self.live.audit().go_on(&beginnings, &ends, service::unix_us())?;
        self.begin(&starts)?;
        // What is assigned does not rest.
        self.rests.fill(false);
        self.overtaken = false;
        Ok(())
    }

    /// A store that is away must not fill the memory, nor a log be far ahead of others: what waits in Kafka waits safely,
    /// up to its retention.
    fn rest(&mut self) -> anyhow::Result<()> {
        let audit = self.live.audit();
        let rests: Vec<bool> = audit.rest(&self.rests).into_iter().chain([audit.rests_account()]).collect();
        drop(audit);
        if rests != self.rests {
            let changed = |to: bool| {
                let changes = self.partitions.iter().zip(self.rests.iter().zip(&rests));
                changes.filter(move |(_, (before, now))| before != now && **now == to).map(|(partition, _)| partition)
            };
            self.log.pause(changed(true))?;
            self.log.resume(changed(false))?;
            self.rests = rests;
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

fn item(record: &kafka::Record<'_>, sources: &Sources, bodies: &mut Vec<u8>) -> Option<Item> {
    let offset = record.offset();
    let Some(source) = sources.of(record.topic(), record.partition()) else {
        return BlockEntry::read(record).map(|(id, entry)| Item::Block(id, entry));
    };
    if source == Source::Rejected {
        return Some(Item::Rejected(Box::new(rejected(record))));
    }
    Some(match record.sale() {
        Ok(header) => {
            let from = bodies.len();
            bodies.extend_from_slice(record.payload().unwrap_or_default());
            Item::Sale(header, source, offset, from..bodies.len())
        }
        Err(Malformed { reason }) => Item::Malformed(source, offset, reason),
    })
}

/// What the fan-out noted of a record that it rejected. The last header of a name is the fan-out's: it appends.
fn rejected(record: &kafka::Record<'_>) -> Rejected {
    let mut rejected = Rejected { offset: record.offset(), sale: record.sale_id(), ..Rejected::default() };
    for (name, value) in record.headers() {
        let value = || String::from_utf8_lossy(value.unwrap_or_default()).into_owned();
        match name {
            b"reason" => rejected.reason = value(),
            b"source" => rejected.source = value(),
            b"bytes" => rejected.bytes = value(),
            _ => {}
        }
    }
    rejected
}
