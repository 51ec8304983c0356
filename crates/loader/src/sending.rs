//! The schedule's loop, on a thread of its own: hands each sale to the client when it is due.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::time::{Duration, Instant};

use anyhow::bail;
use kafka::{NotSent, SaleHeader};
use petstore::SaleId;
use service::{Activity, Beat};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::acks::pack;
use crate::causes::Causes;
use crate::ceiling::Ceiling;
use crate::clock::Clock;
use crate::in_force::{ENDED, STOPPING};
use crate::metrics::Metrics;
use crate::rate::CatchUp;
use crate::running::{Load, TO_LOAD_AGAIN};
use crate::schedule::Schedule;
use crate::seldom::Seldom;
use crate::stock::Stock;
use crate::way::Way;

/// The shortest rest between two turns.
const TICK: Duration = Duration::from_millis(1);
/// The longest rest; bounds how late a stop is seen and how old the gauges are.
const IDLE: Duration = Duration::from_millis(50);
/// How often the wall clock is checked for a step, and the loader's ceiling is estimated.
const CHECK_US: u64 = 1_000_000;
/// How long a stop waits for Kafka's answers, of the 30 s that Kubernetes gives.
const FLUSH_LIMIT: Duration = Duration::from_secs(15);
/// How long the client may take to report what was purged.
const PURGE_LIMIT: Duration = Duration::from_secs(1);

/// What the loop works with.
pub struct Sending {
    load: Arc<Load>,
    way: Way,
    stock: Receiver<Stock>,
    schedule: Schedule,
    catch_up: CatchUp,
    causes: Causes,
    ceiling: Ceiling,
    current: Option<Current>,
    /// Of refusals.
    logged: Seldom,
    checked_us: u64,
}

/// The block that is being sent: its current piece, and the index of the next sale.
struct Current {
    stock: Stock,
    index: u32,
}

impl Current {
    /// Whether the piece is sent and the block continues in another one.
    fn is_spent(&self) -> bool {
        self.index >= self.stock.end() && !self.stock.is_last()
    }
}

/// What became of the attempt to hand over the next sale.
enum Handed {
    Over,
    /// Kafka is to blame: the client takes no sale, or no block could be reserved.
    Blocked,
    /// The loader is to blame: the next sales aren't generated yet.
    Starved,
}

impl Sending {
    /// Will send what `stock` brings, on its `way`.
    pub(crate) fn new(way: Way, load: Arc<Load>, catch_up: CatchUp, stock: Receiver<Stock>) -> Self {
        Self {
            schedule: load.schedule(catch_up),
            catch_up,
            causes: Causes::new(catch_up),
            ceiling: Ceiling::default(),
            current: None,
            logged: Seldom::default(),
            checked_us: 0,
            load,
            way,
            stock,
        }
    }

    /// Waits for the first block, sends until the plan or the process ends, and waits for the answers. Blocks.
    ///
    /// Afterwards the account has how far each block was sent. `ledger` is told when the rate changes, since more may have to
    /// be reserved then.
    pub fn run(mut self, beat: &Beat, shutdown: &CancellationToken, ledger: &Sender<()>) -> anyhow::Result<()> {
        if self.first_block(beat, shutdown) {
            let load = Arc::clone(&self.load);
            let clock = load.begin();
            self.schedule = load.schedule(self.catch_up);
            let time = load.time.start("schedule");
            info!(rate = load.rate().per_second(), "the load begins");
            while !shutdown.is_cancelled() && !self.schedule.is_done(clock.elapsed_us()) {
                beat.turned();
                time.begin(Activity::Working);
                let waits_for = self.turn(clock, ledger)?;
                time.begin(waits_for);
                load.wait(self.rest(clock.elapsed_us()));
            }
            if !shutdown.is_cancelled() {
                info!(sales = self.schedule.next(), "the load has ended as planned and stays ended; {TO_LOAD_AGAIN}");
            }
        }
        self.stop(beat, shutdown);
        Ok(())
    }

    fn first_block(&mut self, beat: &Beat, shutdown: &CancellationToken) -> bool {
        while !shutdown.is_cancelled() {
            beat.turned();
            if self.load.is_over() {
                return false;
            }
            match self.stock.recv_timeout(IDLE) {
                Ok(stock) => {
                    self.take(stock);
                    return true;
                }
                Err(RecvTimeoutError::Timeout) => {}
                // The ledger has failed and reports why.
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
        false
    }

    /// Hands over what may be sent now, and returns what the loop waits for next.
    fn turn(&mut self, clock: &Clock, ledger: &Sender<()>) -> anyhow::Result<Activity> {
        let now_us = clock.elapsed_us();
        if self.load.follow(&mut self.schedule, clock, now_us) {
            // Nobody listens any more once the ledger has failed, which ends the process.
            let _ = ledger.send(());
        }
        let late_us = now_us.saturating_sub(self.schedule.next_due_at());
        self.load.metrics.kept_waiting(self.causes.turn(now_us, late_us));
        if now_us >= self.checked_us + CHECK_US {
            self.checked_us = now_us;
            self.load.metrics.ceiling.set(self.ceiling.of(&self.load).unwrap_or(0.0));
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
                    let blocked_us = self.causes.blocked(now_us, late_us);
                    self.load.metrics.blocked_us.inc_by(blocked_us);
                    return Ok(Activity::Kafka);
                }
                Handed::Starved => break,
            }
        }
        Ok(Activity::Input)
    }

    fn hand_over(&mut self, clock: &Clock) -> anyhow::Result<Handed> {
        if self.current.as_ref().is_none_or(Current::is_spent) {
            match self.stock.try_recv() {
                Ok(stock) => self.take(stock),
                Err(TryRecvError::Empty) => {
                    let reserved =
                        self.current.is_some() || self.load.account().is_some_and(|account| account.has_unused());
                    return Ok(if reserved { Handed::Starved } else { Handed::Blocked });
                }
                Err(TryRecvError::Disconnected) => bail!("no more blocks are made"),
            }
        }
        let Some(mut current) = self.current.take() else { return Ok(Handed::Starved) };
        let handed = self.hand_over_of(&mut current, clock)?;
        if current.index < current.stock.end() || current.is_spent() {
            self.current = Some(current);
        } else if let Some(mut account) = self.load.account() {
            account.finish(current.stock.id().block, current.index);
        }
        Ok(handed)
    }

    fn hand_over_of(&mut self, Current { stock, index }: &mut Current, clock: &Clock) -> anyhow::Result<Handed> {
        let Some(sale) = stock.get(*index) else { return Ok(Handed::Over) };
        let id = stock.id().sale(*index);
        let due_us = self.schedule.next_due_at();
        let header = SaleHeader { id, due_us: clock.unix_us(due_us), state: sale.state };
        let tag = pack(id.block, id.index);
        if let Err(why) = self.way.send(sale, &header, tag) {
            return self.not_sent(id, why);
        }
        let now_us = clock.elapsed_us();
        let (lateness, blocked_us, waited_us) = self.causes.handed(now_us, now_us.saturating_sub(due_us));
        self.load.metrics.blocked_us.inc_by(blocked_us);
        self.load.metrics.kept_waiting(waited_us);
        self.load.metrics.handed(lateness);
        self.schedule.sent();
        *index += 1;
        Ok(Handed::Over)
    }

    /// The sale was certainly not sent: it is tried again, unless the producer has failed for good.
    fn not_sent(&mut self, id: SaleId, why: NotSent) -> anyhow::Result<Handed> {
        match why {
            NotSent::QueueFull => {
                self.load.metrics.queue_full.inc();
            }
            NotSent::Refused(err) => {
                self.load.metrics.refused.inc();
                if self.logged.is_due() {
                    warn!(sale = %id, "kafka's client refuses a sale, trying it again: {err}");
                }
            }
            NotSent::Fatal(reason) => bail!("the producer has failed for good: {reason}"),
        }
        Ok(Handed::Blocked)
    }

    fn take(&mut self, stock: Stock) {
        let index = stock.first();
        if index == 0
            && let Some(mut account) = self.load.account()
        {
            account.begin(stock.id().block, self.schedule.next());
        }
        self.current = Some(Current { stock, index });
    }

    /// How long to rest: until the next sale is due, within limits.
    fn rest(&self, now_us: u64) -> Duration {
        Duration::from_micros(self.schedule.next_due_at().saturating_sub(now_us)).clamp(TICK, IDLE)
    }

    /// Waits for the answers: at the plan's end as long as it takes, at the process's end no longer than it may.
    fn stop(&mut self, beat: &Beat, shutdown: &CancellationToken) {
        self.load.end(if shutdown.is_cancelled() { STOPPING } else { ENDED }, &self.schedule);
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
        self.way.purge();
        let deadline = Instant::now() + PURGE_LIMIT;
        while !self.is_answered() && Instant::now() < deadline {
            std::thread::sleep(TICK);
        }
        if let Some(mut account) = self.load.account() {
            account.give_up();
        }
    }

    fn is_answered(&self) -> bool {
        self.way.send_now();
        self.load.in_flight() == 0
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use kafka::Batching;
    use kafka::blocks::{LoadRecord, Via};
    use petstore::{BlockId, Parameters, Petstore};

    use super::*;
    use crate::account::{Account, Owner};
    use crate::opening::Span;
    use crate::rate::Rate;
    use crate::stock::pieces;

    const ID: BlockId = BlockId { run: 1, loader: 0, block: 0 };

    /// A load with one reserved block.
    fn load() -> Arc<Load> {
        let rate: Rate = "1000000".parse().unwrap();
        let load = Load::new(rate, Metrics::default());
        let parameters = Parameters::default();
        let record = LoadRecord { began_at_us: 0, micro_rate: 1, length_us: 1, shape: 0, via: Via::Kafka };
        let mut account = Account::new(Owner { run: 1, loader: 0, incarnation: 1, parameters, load: record }, 0);
        account.reserve(0.0, 0);
        let draft = account.draft(0, false);
        account.committed(&draft);
        load.open(account, Span { left: Duration::from_secs(1), ..Span::default() });
        Arc::new(load)
    }

    /// To a Kafka that is not there.
    fn sending(load: &Arc<Load>, stock: Receiver<Stock>) -> Sending {
        let nobody = serde_json::from_value(serde_json::json!({"bootstrap_servers": "127.0.0.1:1"})).unwrap();
        let way = Way::straight(&nobody, Batching::default(), load).unwrap();
        Sending::new(way, Arc::clone(load), CatchUp::default(), stock)
    }

    /// Replaces the topic that it sends to.
    fn topic_of(sending: &mut Sending, topic: String) -> String {
        let Way::Kafka(straight) = &mut sending.way else { panic!("it goes straight") };
        std::mem::replace(&mut straight.topic, topic)
    }

    #[test]
    fn a_sale_that_the_client_refuses_is_tried_again_and_not_unknown() {
        let block = Petstore::new(Parameters { days: 10, ..Parameters::default() }).unwrap().block(ID);
        let (ready, stock) = channel();
        pieces(&block).for_each(|piece| ready.send(piece).unwrap());
        let load = load();
        let mut sending = sending(&load, stock);
        let (clock, metrics) = (load.begin(), &load.metrics);

        // Longer than librdkafka lets a topic's name be.
        let topic = topic_of(&mut sending, "x".repeat(600));
        for times in 1..=3 {
            assert!(matches!(sending.hand_over(clock).unwrap(), Handed::Blocked));
            assert_eq!([metrics.refused.get(), metrics.sent.get(), metrics.unknown.get()], [times, 0, 0]);
        }
        topic_of(&mut sending, topic);
        assert!(matches!(sending.hand_over(clock).unwrap(), Handed::Over));
        assert_eq!([metrics.refused.get(), metrics.sent.get()], [3, 1]);
        assert_eq!(sending.current.as_ref().unwrap().index, 1, "the same sale, and no other");
    }

    #[test]
    fn a_block_is_sent_piece_by_piece_to_its_end() {
        let block = Petstore::new(Parameters::default()).unwrap().block(ID);
        let mut made: Vec<Stock> = pieces(&block).collect();
        let (ready, stock) = channel();
        let load = load();
        let mut sending = sending(&load, stock);
        let clock = load.begin();

        let second = made.split_off(1);
        let end = made[0].end();
        ready.send(made.remove(0)).unwrap();
        for _ in 0..end {
            assert!(matches!(sending.hand_over(clock).unwrap(), Handed::Over));
        }
        assert!(matches!(sending.hand_over(clock).unwrap(), Handed::Starved), "the block goes on: not Kafka's fault");
        for piece in second {
            ready.send(piece).unwrap();
        }
        for _ in end as usize..block.len() {
            assert!(matches!(sending.hand_over(clock).unwrap(), Handed::Over));
        }
        assert!(sending.current.is_none());
        assert!(matches!(sending.hand_over(clock).unwrap(), Handed::Blocked), "no other block is reserved");
        assert_eq!(load.metrics.sent.get(), block.len() as u64);
    }
}
