//! The schedule's loop, on a thread of its own: hands each sale to the client when it is due.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use kafka::SaleHeader;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, Producer, PurgeConfig, ThreadedProducer};
use service::Beat;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::acks::{Acks, pack};
use crate::blame::Blame;
use crate::clock::Clock;
use crate::load::Load;
use crate::metrics::Metrics;
use crate::rate::CatchUp;
use crate::schedule::Schedule;
use crate::stock::{Encoded, Stock};

/// Sales that wait in the client. With headers and librdkafka's own they take about a kilobyte each, and the pod has
/// 128 MiB; more would only hide for longer that Kafka is slow.
const QUEUE: u32 = 40_000;
/// The shortest rest between two looks at the schedule.
const TICK: Duration = Duration::from_millis(1);
/// The longest one; bounds how late a stop is seen and how old the gauges are.
const IDLE: Duration = Duration::from_millis(50);
/// How often the wall clock is looked at.
const CLOCK_CHECK_US: u64 = 1_000_000;
/// How long a stop waits for Kafka's answers, of the 30 s that Kubernetes gives.
const FLUSH_LIMIT: Duration = Duration::from_secs(15);
/// How long the client may take to give back what was purged.
const PURGE_LIMIT: Duration = Duration::from_secs(1);

/// What the loop works with.
pub struct Sending {
    load: Arc<Load>,
    producer: Arc<ThreadedProducer<Acks>>,
    topic: String,
    stock: Receiver<Stock>,
    schedule: Schedule,
    blame: Blame,
    current: Option<Current>,
    /// The key of the sale in hand, kept for its memory.
    key: String,
    clock_checked_us: u64,
}

/// The block in hand and the sale of it that is next.
struct Current {
    stock: Stock,
    index: u32,
}

/// What became of the attempt to hand over the next sale.
enum Handed {
    Over,
    /// Kafka is to blame: the queue is full, or it let no block be reserved.
    Blocked,
    /// The loader is to blame: the next block isn't made yet.
    Starved,
}

impl Sending {
    /// Prepares to send what comes out of `stock`.
    pub fn new(
        config: &kafka::Config,
        load: Arc<Load>,
        catch_up: CatchUp,
        stock: Receiver<Stock>,
    ) -> anyhow::Result<Self> {
        let producer = config
            .idempotent_producer()
            .set("queue.buffering.max.messages", QUEUE.to_string())
            .create_with_context(Acks::new(Arc::clone(&load)))
            .context("making the producer")?;
        Ok(Self {
            schedule: Schedule::new(load.plan, catch_up),
            topic: config.names().sales(),
            blame: Blame::new(catch_up),
            current: None,
            key: String::new(),
            clock_checked_us: 0,
            load,
            producer: Arc::new(producer),
            stock,
        })
    }

    /// The client.
    pub(crate) fn producer(&self) -> Arc<ThreadedProducer<Acks>> {
        Arc::clone(&self.producer)
    }

    /// Waits for the first block, sends until the plan or the process ends, and waits for the answers. Blocks.
    ///
    /// Afterwards the account says of each block how far it was sent.
    pub fn run(mut self, beat: &Beat, shutdown: &CancellationToken) -> anyhow::Result<()> {
        if self.first_block(beat, shutdown) {
            let load = Arc::clone(&self.load);
            let clock = load.begin();
            info!(rate = load.plan.rate().per_second(), "the load begins");
            while !shutdown.is_cancelled() && !self.schedule.is_done() {
                beat.turned();
                self.turn(clock)?;
                std::thread::sleep(self.rest(clock.elapsed_us()));
            }
            if !shutdown.is_cancelled() {
                info!(sales = load.plan.total(), "the load has ended as planned");
            }
        }
        self.stop(beat, shutdown);
        Ok(())
    }

    fn first_block(&mut self, beat: &Beat, shutdown: &CancellationToken) -> bool {
        while !shutdown.is_cancelled() {
            beat.turned();
            match self.stock.recv_timeout(IDLE) {
                Ok(stock) => {
                    self.take(stock);
                    return true;
                }
                Err(RecvTimeoutError::Timeout) => {}
                // The ledger has failed, and says why.
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
        false
    }

    /// Hands over what may be sent now.
    fn turn(&mut self, clock: &Clock) -> anyhow::Result<()> {
        let now_us = clock.elapsed_us();
        if now_us >= self.clock_checked_us + CLOCK_CHECK_US {
            self.clock_checked_us = now_us;
            if let Some(step_us) = clock.follow() {
                warn!(step_us, "the wall clock has stepped; due times follow it");
            }
        }
        self.load.observe();
        for _ in 0..self.schedule.allowed(now_us) {
            let handed = if self.load.is_held() { Handed::Blocked } else { self.hand_over(clock)? };
            match handed {
                Handed::Over => {}
                Handed::Blocked => {
                    let now_us = clock.elapsed_us();
                    let late_us = now_us.saturating_sub(self.schedule.next_due_at());
                    let blocked_us = self.blame.blocked(now_us, late_us);
                    self.load.metrics.blocked_us.inc_by(blocked_us);
                    break;
                }
                Handed::Starved => break,
            }
        }
        Ok(())
    }

    fn hand_over(&mut self, clock: &Clock) -> anyhow::Result<Handed> {
        if self.current.is_none() {
            match self.stock.try_recv() {
                Ok(stock) => self.take(stock),
                Err(TryRecvError::Empty) => {
                    let reserved = self.load.account().is_some_and(|account| account.has_unused());
                    return Ok(if reserved { Handed::Starved } else { Handed::Blocked });
                }
                Err(TryRecvError::Disconnected) => bail!("no more blocks are made"),
            }
        }
        let Some(mut current) = self.current.take() else { return Ok(Handed::Starved) };
        let handed = self.hand_over_of(&mut current, clock)?;
        if current.index < current.stock.len() {
            self.current = Some(current);
        } else if let Some(mut account) = self.load.account() {
            account.finish(current.stock.id().block, current.stock.len());
        }
        Ok(handed)
    }

    fn hand_over_of(&mut self, Current { stock, index }: &mut Current, clock: &Clock) -> anyhow::Result<Handed> {
        let Some(sale) = stock.get(*index) else { return Ok(Handed::Over) };
        let id = stock.id().sale(*index);
        let due_us = self.schedule.next_due_at();
        self.key.clear();
        write!(self.key, "{}", sale.store)?;
        match send(&self.producer, &self.topic, &self.key, sale, id, clock.unix_us(due_us)) {
            Ok(()) => {}
            Err(KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)) => {
                self.load.metrics.queue_full.inc();
                return Ok(Handed::Blocked);
            }
            Err(err) => self.refused(id.block, &err)?,
        }
        let now_us = clock.elapsed_us();
        let (lateness, blocked_us) = self.blame.handed(now_us, now_us.saturating_sub(due_us));
        self.load.metrics.blocked_us.inc_by(blocked_us);
        self.load.metrics.handed(lateness);
        self.schedule.sent();
        *index += 1;
        Ok(Handed::Over)
    }

    /// The client refused a sale for good.
    fn refused(&self, block: u32, err: &KafkaError) -> anyhow::Result<()> {
        if let Some((_, reason)) = self.producer.client().fatal_error() {
            bail!("the producer can't go on: {reason}");
        }
        warn!(block, "the client did not take a sale: {err}");
        self.load.metrics.unknown.inc();
        if let Some(mut account) = self.load.account() {
            account.failed(block);
        }
        Ok(())
    }

    fn take(&mut self, stock: Stock) {
        if let Some(mut account) = self.load.account() {
            account.begin(stock.id().block, self.schedule.next());
        }
        self.current = Some(Current { stock, index: 0 });
    }

    /// How long nothing will be due.
    fn rest(&self, now_us: u64) -> Duration {
        Duration::from_micros(self.schedule.next_due_at().saturating_sub(now_us)).clamp(TICK, IDLE)
    }

    /// Waits for the answers: at the plan's end as long as it takes, at the process's end no longer than it may.
    fn stop(&mut self, beat: &Beat, shutdown: &CancellationToken) {
        let begun = self.current.as_ref().map(|current| (current.stock.id().block, current.index));
        if let Some(mut account) = self.load.account() {
            account.stop(begun);
        }
        let mut deadline = None;
        while !self.is_answered() {
            beat.turned();
            self.load.observe();
            if shutdown.is_cancelled() && Instant::now() >= *deadline.get_or_insert(Instant::now() + FLUSH_LIMIT) {
                warn!(sales = self.load.in_flight(), "kafka has not answered: these sales stay unknown");
                self.give_up();
                break;
            }
            std::thread::sleep(TICK);
        }
        self.load.observe();
        let Metrics { due, sent, accepted, unknown, late, late_blocked, .. } = &self.load.metrics;
        info!(
            due = due.get(),
            sent = sent.get(),
            accepted = accepted.get(),
            unknown = unknown.get(),
            late = late.get(),
            late_blocked = late_blocked.get(),
            "sending has ended"
        );
    }

    /// Takes back what the client still has, so that nothing is sent after the blocks are closed.
    fn give_up(&self) {
        self.producer.purge(PurgeConfig::default().queue().inflight());
        let deadline = Instant::now() + PURGE_LIMIT;
        while !self.is_answered() && Instant::now() < deadline {
            std::thread::sleep(TICK);
        }
        if let Some(mut account) = self.load.account() {
            account.give_up();
        }
    }

    fn is_answered(&self) -> bool {
        // A flush, even without a wait, sends at once what lingers.
        let _ = self.producer.flush(Duration::ZERO);
        self.load.in_flight() == 0
    }
}

fn send(
    producer: &ThreadedProducer<Acks>,
    topic: &str,
    key: &str,
    sale: Encoded<'_>,
    id: petstore::SaleId,
    due_us: i64,
) -> Result<(), KafkaError> {
    let headers = SaleHeader { id, due_us, state: sale.state }.to_owned_headers();
    let record = BaseRecord::with_opaque_to(topic, pack(id.block, id.index)).key(key).payload(sale.body);
    producer.send(record.headers(headers)).map_err(|(err, _)| err)
}
