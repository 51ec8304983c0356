//! Notices that Kafka was emptied or replaced while a program runs. The one such watch of all programs.
//!
//! What a program knows of the old logs, positions above all, is wrong for the new ones, and the topics that others made
//! are gone: so the program ends, and its next start takes Kafka as it is. The watch asks for the cluster's id and for
//! the mark on `kapture.blocks` (see [`Installation`]) every few seconds, since an emptied Kafka may be back before any
//! client noticed an outage; and at once when its owner has a reason to doubt.
//!
//! It can't see what leaves that mark in place: a single other topic that was deleted and made again, or the end of a log
//! that was lost. Those who read that topic do, by a position that is beyond its end (see [`crate::RangeCheck`]), unless
//! the new log has grown beyond that position by then.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use rdkafka::Message;
use rdkafka::consumer::Consumer;
use rdkafka::topic_partition_list::Offset;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::Config;
use crate::installation::{Found, Installation, mark_of};
use crate::read::EndReader;

/// Between two questions while nothing is in doubt. Each costs a connection and three small requests.
const ASK_EVERY: Duration = Duration::from_secs(10);
/// The same while something is.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// One request of a question.
const LIMIT: Duration = Duration::from_secs(5);
/// A mark that is not found for so long is gone: a broker that has just started, or was taken for dead, may know of
/// no topic for a moment.
const GONE_AFTER: Duration = Duration::from_secs(10);

/// Knows which installation its program began with, and asks on a thread of its own whether it is still that one.
pub struct Watch {
    shared: Arc<Shared>,
    wake: SyncSender<()>,
}

struct Shared {
    installation: Installation,
    /// How often somebody had a doubt, and how many of those are settled.
    doubts: AtomicU64,
    settled: AtomicU64,
    /// What is there now, in place of the installation.
    replaced: OnceLock<String>,
}

impl Config {
    /// Waits for Kafka until `shutdown`, which is an error then, learns which one it is, and begins to watch it.
    pub async fn watch(&self, shutdown: &CancellationToken) -> anyhow::Result<Watch> {
        let found = self.identify(shutdown).await?;
        Watch::begin(self, found)
    }
}

impl Watch {
    fn begin(config: &Config, found: Found) -> anyhow::Result<Self> {
        // One request to look at once is as good as several.
        let (wake, woken) = sync_channel(1);
        let shared = Arc::new(Shared {
            installation: found.installation,
            doubts: AtomicU64::new(0),
            settled: AtomicU64::new(0),
            replaced: OnceLock::new(),
        });
        let watching = Watching { config: config.clone(), offset: found.offset, shared: Arc::clone(&shared) };
        // Ends when the watch is dropped, at most one question later.
        let thread = std::thread::Builder::new().name("watch".to_owned());
        thread.spawn(move || watching.run(&woken)).context("starting the thread that watches kafka")?;
        Ok(Self { shared, wake })
    }

    /// The Kafka that the program began with.
    pub fn installation(&self) -> &Installation {
        &self.shared.installation
    }

    /// Reports that Kafka may be another one by now: no broker answers, or what it answers makes no sense.
    pub fn doubt(&self) {
        self.shared.doubts.fetch_add(1, Ordering::AcqRel);
        // Full: it is about to ask anyhow.
        let _ = self.wake.try_send(());
    }

    /// Whether Kafka was there, and the same, after the last doubt. An error if it is another one.
    pub fn is_sure(&self) -> anyhow::Result<bool> {
        let Shared { installation, doubts, settled, replaced } = &*self.shared;
        match replaced.get() {
            None => Ok(settled.load(Ordering::Acquire) >= doubts.load(Ordering::Acquire)),
            Some(now) => Err(anyhow!(
                "kafka was emptied or replaced while it was away: it was {installation} and is {now}. What was read \
                 belongs to the one before; the next start begins with the one that is there"
            )),
        }
    }
}

/// What a question found.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Same,
    Other(String),
    /// There is no mark at all.
    Gone,
}

/// The watch's thread.
struct Watching {
    config: Config,
    /// Of the mark.
    offset: i64,
    shared: Arc<Shared>,
}

impl Watching {
    fn run(&self, woken: &Receiver<()>) {
        let Shared { installation, doubts, settled, replaced } = &*self.shared;
        let mut gone: Option<Instant> = None;
        loop {
            let is_sure = gone.is_none() && settled.load(Ordering::Acquire) >= doubts.load(Ordering::Acquire);
            match woken.recv_timeout(if is_sure { ASK_EVERY } else { ASK_AGAIN }) {
                Err(RecvTimeoutError::Disconnected) => return,
                Ok(()) | Err(RecvTimeoutError::Timeout) => {}
            }
            let doubted = doubts.load(Ordering::Acquire);
            let now = match self.ask() {
                Ok(Answer::Same) => {
                    gone = None;
                    settled.fetch_max(doubted, Ordering::AcqRel);
                    continue;
                }
                Ok(Answer::Gone) if gone.get_or_insert_with(Instant::now).elapsed() < GONE_AFTER => continue,
                Ok(Answer::Gone) => format!("{}/ without a mark", installation.cluster_id),
                Ok(Answer::Other(now)) => now,
                Err(err) => {
                    // It may come back with the mark.
                    gone = None;
                    debug!("kafka is away: {err:#}");
                    continue;
                }
            };
            // This thread alone sets it.
            let _ = replaced.set(now);
            return;
        }
    }

    fn ask(&self) -> anyhow::Result<Answer> {
        let before = &self.shared.installation;
        // Made for each question: a client keeps the cluster's id that it heard first, and may have lost its brokers.
        let reader = EndReader::new(&self.config)?;
        let cluster_id = reader.cluster_id(LIMIT)?;
        let topic = self.config.names().blocks();
        let metadata = reader.consumer.fetch_metadata(Some(&topic), LIMIT).context("asking for the topic of blocks")?;
        let is_there = metadata.topics().iter().any(|topic| !topic.partitions().is_empty());
        let is_same = |mark: &str| *mark == before.mark && cluster_id == before.cluster_id;
        if is_there {
            if self.mark_in_place(&reader, &topic)?.is_some_and(|mark| is_same(&mark)) {
                return Ok(Answer::Same);
            }
            if let Some((mark, _)) = self.config.first_mark(&reader, LIMIT)? {
                let same = is_same(&mark);
                return Ok(if same { Answer::Same } else { Answer::Other(format!("{cluster_id}/{mark}")) });
            }
        }
        let same = cluster_id == before.cluster_id;
        Ok(if same { Answer::Gone } else { Answer::Other(format!("{cluster_id}/ without a mark")) })
    }

    /// The mark at the offset where it was. Only that record is read, however long the log is.
    fn mark_in_place(&self, reader: &EndReader, topic: &str) -> anyhow::Result<Option<String>> {
        let (_, end) = reader.consumer.fetch_watermarks(topic, 0, LIMIT).context("asking where blocks end")?;
        let mut found = None;
        if self.offset < end {
            reader.read(topic, Offset::Offset(self.offset), LIMIT, |message| {
                found = mark_of(&message).map(str::to_owned).filter(|_| message.offset() == self.offset);
                Ok(ControlFlow::Break(()))
            })?;
        }
        Ok(found)
    }
}
