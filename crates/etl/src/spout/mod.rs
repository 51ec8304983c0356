//! Role `spout`: from Postgres back to Kafka. Each stored sale once on `receipts`, whatever is killed.
//!
//! The group of the role shares out the topics of the states, of which nothing is fetched: what a partition holds is read
//! from Postgres, in the order of its offsets, and no further than the sink's own position, below which nothing changes
//! any more. How far this role is, as an offset of that partition, is committed in the same Kafka transaction as the
//! receipts: as a record of its own, and to the group (see [`kafka::Committed`]). So:
//!
//! - The next owner of a partition reads on at exactly what was committed, and waits for a transaction that is still open.
//! - A member that lost a partition, and does not know it yet, is refused at the commit.
//! - One state's topic is in one hand at a time: receipts of a store come in the order of its sales.
//! - A backlog of any size drains: it is read in bites, of which one that Postgres can't read in time is halved, and the
//!   group is listened to meanwhile.
//!
//! What still can go wrong: a sale that is deleted from Postgres before it was read never comes back; the auditor finds it.

mod shares;
mod spans;

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use kafka::task::{Runner, Stop, Task};
use kafka::transactions::{Guarantee, Outbox, Transactions};
use kafka::{Headers, SaleHeader, Topic, TransactionInterval};
use serde::Deserialize;
use service::{Activity, Beat, Health, Ready, Stopwatch};
use stores::Error;
use stores::postgres::{Follower, Rows, Span, Stored};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::bite::Bite;
use crate::{IDLE, Metrics, Role};
use shares::Shares;
use spans::{Backlog, spans};

/// The role's own variables.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Always `spout`; read with the rest, so that a variable that no one knows is refused.
    pub role: Role,
    /// Which instance this is, and no one else: the pod's name.
    pub instance: String,
    /// How often Postgres is looked at: what is added to a receipt's latency, against the price of a transaction.
    #[serde(default = "kafka::transaction_interval")]
    pub transaction_interval: TransactionInterval,
    /// Whether the role `postgres` goes on when Kafka was emptied or replaced; this role then waits until it has done so.
    #[serde(default)]
    pub adopt_new_kafka: bool,
}

/// Sales in one transaction at most: some 20 MB in memory, and a few tenths of a second.
const SALES: usize = 20_000;
/// A turn may wait for Kafka as long as one of its transactions may last; while it waits for Postgres, the loop turns.
const LOOP_LIMIT: Duration = Duration::from_mins(3);
/// The longest rest between two tries of Postgres; the first is one interval.
const LONGEST_REST: Duration = Duration::from_secs(5);
/// Sales that can't be read are logged once in this time.
const LOG_EVERY: Duration = Duration::from_secs(1);

/// Runs the role until `shutdown`. Blocks: give it a thread of its own.
pub fn run(
    kafka: &kafka::Config,
    config: &Config,
    store: &stores::postgres::Config,
    metrics: Arc<Metrics>,
    health: &Health,
    runtime: &Handle,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    let (kafka_ready, store_ready) = (health.ready("kafka"), health.ready("postgres"));
    let watch = runtime.block_on(async {
        kafka.ensure_topics(&[Topic::States, Topic::Receipts, Topic::Positions], shutdown).await?;
        kafka.watch(shutdown).await
    });
    if shutdown.is_cancelled() {
        return Ok(());
    }
    let watch = watch?;
    let (beat, stopwatch) = (&health.loop_("spout", LOOP_LIMIT), &metrics.time.start("spout"));
    let (id, events) = (kafka.names().transactional_id("spout", &config.instance), &Arc::clone(&metrics.transactions));
    let runner = Runner { config: kafka, id, guarantee: Guarantee::ExactlyOnce, events, stopwatch, beat, shutdown };
    let mut spout = Spout {
        config,
        store: Follower::new(store.clone(), watch.installation().to_string())
            .waiting_for_adoption(config.adopt_new_kafka),
        shares: Shares::join(kafka, watch, Arc::clone(&metrics), kafka_ready)?,
        topic: kafka.names().receipts(),
        bite: Bite::new(SALES),
        turns: 0,
        rest: config.transaction_interval.get(),
        logged: None,
        time: stopwatch,
        metrics,
        store_ready,
        runtime,
        beat,
        shutdown,
    };
    let ended = runner.run(&mut spout);
    spout.shares.leave();
    ended
}

struct Spout<'a> {
    config: &'a Config,
    shares: Shares,
    store: Follower,
    topic: String,
    bite: Bite,
    turns: usize,
    /// Until the next look at Postgres.
    rest: Duration,
    logged: Option<Instant>,
    time: &'a Stopwatch,
    metrics: Arc<Metrics>,
    store_ready: Ready,
    runtime: &'a Handle,
    beat: &'a Beat,
    shutdown: &'a CancellationToken,
}

impl Task for Spout<'_> {
    fn turn(&mut self, transactions: &mut Transactions) -> Result<(), Stop> {
        if self.shutdown.is_cancelled() {
            return Err(Stop::Shutdown);
        }
        self.beat.turned();
        self.time.begin(Activity::Input);
        self.shares.listen(self.rest, self.shutdown).map_err(Stop::Exit)?;
        self.time.begin(Activity::Store);
        if !self.shares.is_sure().map_err(Stop::Exit)? {
            return Ok(());
        }
        match self.read() {
            Ok(None) => Ok(()),
            Ok(Some(read)) => {
                self.store_ready.set(true);
                self.rest = self.config.transaction_interval.get();
                if read.spans.is_empty() { Ok(()) } else { self.send(transactions, read) }
            }
            Err(Unread::Stop(err)) => Err(Stop::Exit(err)),
            Err(Unread::Store(err @ Error::OtherKafka { .. })) => Err(Stop::Exit(err.into())),
            Err(Unread::Store(Error::Unavailable(err))) => {
                if self.rest <= self.config.transaction_interval.get() {
                    info!("waiting for the store: {err:#}");
                }
                self.failed(&err);
                self.rest = (self.rest * 2).min(LONGEST_REST).max(self.config.transaction_interval.get());
                Ok(())
            }
            Err(Unread::Store(Error::TooMuch(err))) => {
                warn!(next = self.bite.size(), "asking the store for less at once: {err:#}");
                self.failed(&err);
                self.rest = self.config.transaction_interval.get();
                Ok(())
            }
        }
    }

    fn rewind(&mut self) -> anyhow::Result<()> {
        self.shares.forget();
        Ok(())
    }

    fn rest(&mut self, wait: Duration) -> anyhow::Result<()> {
        self.shares.listen(wait, self.shutdown)
    }
}

impl Spout<'_> {
    fn failed(&self, err: &anyhow::Error) {
        self.metrics.spout.store_errors.inc();
        self.store_ready.missing(format!("{err:#}"));
    }

    /// What is stored beyond the own positions, as far as one transaction takes it; none if that is obsolete by
    /// then: the group has rebalanced, or this is the end.
    fn read(&mut self) -> Result<Option<Read>, Unread> {
        let (partitions, next): (Vec<_>, Vec<_>) = self.shares.positions(self.shutdown).into_iter().unzip();
        if partitions.is_empty() {
            return Ok(Some(Read { spans: Vec::new(), rows: Vec::new(), whole: true }));
        }
        let Self { beat, runtime, shutdown, .. } = *self;
        let listening = Listening { shares: &mut self.shares, beat, runtime, shutdown };
        let Some(stored) = listening.until(self.store.positions(&partitions))? else { return Ok(None) };
        let stored = stored.map_err(Unread::Store)?;
        let backlog: Vec<Backlog> = partitions.into_iter().zip(next.into_iter().zip(stored)).collect();
        self.turns = self.turns.wrapping_add(1);
        let (spans, whole) = spans(&backlog, self.bite.size(), self.turns);
        if spans.is_empty() {
            return Ok(Some(Read { spans, rows: Vec::new(), whole }));
        }
        let listening = Listening { shares: &mut self.shares, beat, runtime, shutdown };
        let Some(rows) = listening.until(self.store.read(&spans))? else { return Ok(None) };
        if let Err(Error::TooMuch(_)) = rows {
            let tried: i64 = spans.iter().map(|(_, (low, high))| high - low).sum();
            self.bite.shrink(usize::try_from(tried).expect("no more than the bite"));
        }
        let rows = rows.map_err(Unread::Store)?;
        Ok(self.shares.hold(&spans).then_some(Read { spans, rows, whole }))
    }

    /// Sends all of it in one transaction, and the positions with it.
    fn send(&mut self, transactions: &mut Transactions, Read { spans, rows, whole }: Read) -> Result<(), Stop> {
        self.time.begin(Activity::Working);
        let mut outbox = transactions.outbox()?;
        let mut due_us = Vec::new();
        let mut unreadable = 0;
        let mut reached = Vec::with_capacity(spans.len());
        for ((partition, (_, next)), rows) in spans.into_iter().zip(rows) {
            for (offset, stored) in rows {
                match stored {
                    Ok(stored) => {
                        send(&mut outbox, &self.topic, &stored)?;
                        due_us.push(stored.due_us);
                    }
                    Err(reason) => {
                        unreadable += 1;
                        if self.logged.is_none_or(|logged| logged.elapsed() > LOG_EVERY) {
                            self.logged = Some(Instant::now());
                            error!(topic = partition.0, offset, "left out a row that is not a sale: {reason}");
                        }
                    }
                }
            }
            reached.push((partition, next));
        }
        self.time.during(Activity::Kafka, || self.shares.commit(transactions, reached))?;
        if !whole {
            self.bite.grow();
            self.rest = Duration::ZERO;
        }
        self.metrics.spout.sales.inc_by(due_us.len() as u64);
        self.metrics.spout.malformed.inc_by(unreadable);
        self.metrics.spout.latency.record_each(due_us, service::unix_us());
        Ok(())
    }
}

/// One bite.
struct Read {
    spans: Vec<Span>,
    /// Of each span.
    rows: Vec<Rows>,
    /// Nothing more is stored.
    whole: bool,
}

/// Why there is none.
enum Unread {
    Store(Error),
    Stop(anyhow::Error),
}

/// What goes on while Postgres is waited for: a member that is not heard of for long is put out of its group.
struct Listening<'a> {
    shares: &'a mut Shares,
    beat: &'a Beat,
    runtime: &'a Handle,
    shutdown: &'a CancellationToken,
}

impl Listening<'_> {
    /// The answer; none at a stop.
    fn until<T>(self, answer: impl Future<Output = T>) -> Result<Option<T>, Unread> {
        let mut answer = pin!(answer);
        loop {
            self.beat.turned();
            // The limit's clock is made inside: it needs the runtime.
            let waited = self.runtime.block_on(async { tokio::time::timeout(IDLE, &mut answer).await });
            if self.shutdown.is_cancelled() {
                return Ok(None);
            }
            match waited {
                Ok(answer) => return Ok(Some(answer)),
                Err(_) => self.shares.listen(Duration::ZERO, self.shutdown).map_err(Unread::Stop)?,
            }
        }
    }
}

fn send(outbox: &mut Outbox<'_>, topic: &str, Stored { receipt, due_us }: &Stored) -> Result<(), Stop> {
    let header = SaleHeader { id: receipt.id, due_us: *due_us, state: receipt.state };
    let body = serde_json::to_vec(receipt).context("writing a receipt").map_err(Stop::Exit)?;
    Ok(outbox.send(topic, receipt.store.to_string().as_bytes(), &body, Headers::from(&header))?)
}
