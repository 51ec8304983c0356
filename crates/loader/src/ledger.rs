//! Keeps the account on `kapture.blocks`, on a thread of its own: reserves ahead, publishes progress, closes.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use anyhow::{anyhow, bail};
use kafka::Topic;
use kafka::blocks::{LoadRecord, Phase, Via};
use petstore::{BlockId, Parameters};
use service::{Beat, Health, Ready, unix_us};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::account::{Account, Owner};
use crate::journal::{Journal, Trouble, look};
use crate::opening::{Past, Span};
use crate::running::{Load, TO_LOAD_AGAIN};

/// How often changes are published: twice as often as promised, so that a slow commit doesn't break the promise.
const INTERVAL: Duration = Duration::from_millis(500);
/// How often something is published even without changes: a loader silent for 120 s is taken for dead.
const SIGN_OF_LIFE: Duration = Duration::from_secs(30);
/// Seconds of sales that are reserved and not begun: a shorter outage of Kafka delays no sale.
const AHEAD: Duration = Duration::from_secs(5);
/// Rest before Kafka is tried again.
const REST: Duration = Duration::from_millis(500);
/// A turn of the loop takes less than this, whatever Kafka does: each wait is bounded, and a turn has few of them.
const TURN_LIMIT: Duration = Duration::from_mins(5);

/// What the ledger works with.
pub struct Ledger {
    /// How to reach Kafka.
    pub kafka: kafka::Config,
    /// The loader's ordinal.
    pub loader: u32,
    /// What the blocks are generated from.
    pub parameters: Parameters,
    /// How long the load lasts, from its first start on.
    pub stop_after: Duration,
    /// A hash of how its rate changes with time; 0 if it does not.
    pub shape: u64,
    /// Which way its sales take.
    pub via: Via,
    /// The load whose account is kept.
    pub load: Arc<Load>,
    /// Blocks that may be sent.
    pub reserved: Sender<BlockId>,
    /// To be set once there is such a block.
    pub ready: Ready,
    /// Where the loop is registered once there is a Kafka.
    pub health: Health,
}

/// A ledger that is open.
struct Open {
    ledger: Ledger,
    journal: Journal,
    /// The run whose blocks are in the account.
    run: u32,
    /// Who wrote before this loader began. Anyone else is a successor.
    predecessors: HashSet<u64>,
    beat: Beat,
    published: Instant,
}

impl Ledger {
    /// Keeps the account until `sending` is dropped at the other end; then closes it, and returns. Blocks. A message from
    /// there makes it look at once whether more has to be reserved.
    ///
    /// An error means that the process should end, such as that this loader has a successor.
    pub fn run(self, runtime: &Handle, sending: &Receiver<()>, shutdown: &CancellationToken) -> anyhow::Result<()> {
        match runtime.block_on(self.kafka.ensure_topics(&[Topic::Sales, Topic::Blocks], shutdown)) {
            Err(_) if shutdown.is_cancelled() => return Ok(()),
            result => result?,
        }
        match self.open(shutdown)? {
            Some(mut open) => open.keep(sending),
            None => Ok(()),
        }
    }

    /// Takes over from its predecessors: cuts the blocks they left open and reserves its first ones, in one transaction.
    fn open(self, shutdown: &CancellationToken) -> anyhow::Result<Option<Open>> {
        let beat = self.health.loop_("account", TURN_LIMIT);
        while !shutdown.is_cancelled() {
            beat.turned();
            match self.try_open() {
                Ok((journal, run, predecessors)) => {
                    let published = Instant::now();
                    return Ok(Some(Open { ledger: self, journal, run, predecessors, beat, published }));
                }
                Err(Trouble::Fenced(err)) => return Err(err.context("another loader with this ordinal has begun")),
                Err(Trouble::Other(err)) => info!("waiting for kafka to open the account: {err:#}"),
            }
            std::thread::sleep(REST);
        }
        Ok(None)
    }

    fn try_open(&self) -> Result<(Journal, u32, HashSet<u64>), Trouble> {
        let (journal, past) = Journal::open(&self.kafka, self.loader).map_err(Trouble::Other)?;
        let (run, next) = past.resume(&self.parameters).unwrap_or_else(|| (new_run(&past), 0));
        let (incarnation, now_us) = (service::incarnation(), unix_us());
        let load = past.load(&self.parameters, self.wanted(now_us));
        let span = Span::of(load, now_us);
        let owner = Owner { run, loader: self.loader, incarnation, parameters: self.parameters.clone(), load };
        let mut account = Account::new(owner, next);
        let is_over = span.left.is_zero();
        if is_over {
            account.stop(None);
        }
        account.reserve(self.ahead(), now_us);
        let draft = account.draft(now_us, false);
        let mut records = past.cuts(incarnation, now_us);
        let cut = records.len();
        records.extend_from_slice(&draft.records);
        journal.write(&records)?;
        info!(run = format!("{run:08x}"), next, cut, reserved = draft.records.len(), "the account is open");
        if is_over {
            let ago = Duration::from_micros(u64::try_from(now_us - load.began_at_us).unwrap_or(0));
            warn!(
                "this load stays ended: it first started {} s ago, and loader.stopAfter ends it after {} s, restarts \
                 included; {TO_LOAD_AGAIN}",
                ago.as_secs(),
                self.stop_after.as_secs()
            );
        }
        let reserved = account.committed(&draft);
        self.load.open(account, span);
        self.hand_out(reserved);
        self.ready.set(true);
        Ok((journal, run, past.writers().filter(|writer| *writer != incarnation).collect()))
    }

    fn hand_out(&self, reserved: impl IntoIterator<Item = BlockId>) {
        for id in reserved {
            // The maker is gone once the load has ended.
            let _ = self.reserved.send(id);
        }
    }

    /// The load that is asked for, as if it began now. A rate that is set from outside belongs to the same load.
    fn wanted(&self, now_us: i64) -> LoadRecord {
        let length_us = u64::try_from(self.stop_after.as_micros()).unwrap_or(u64::MAX);
        let micro_rate = self.load.configured_rate().micro();
        LoadRecord { began_at_us: now_us, micro_rate, length_us, shape: self.shape, via: self.via }
    }

    fn ahead(&self) -> f64 {
        self.load.coming(AHEAD)
    }
}

impl Open {
    fn keep(&mut self, sending: &Receiver<()>) -> anyhow::Result<()> {
        let mut next = Instant::now() + INTERVAL;
        loop {
            let wait = next.saturating_duration_since(Instant::now());
            let ended = sending.recv_timeout(wait) == Err(RecvTimeoutError::Disconnected);
            next = Instant::now() + INTERVAL;
            self.beat.turned();
            if let Err(trouble) = self.publish() {
                self.doubt(trouble)?;
            } else if ended {
                if self.ledger.load.account().is_some_and(|account| !account.is_closed()) {
                    bail!("the load broke off; the next start will cut the blocks left open");
                }
                info!("the account is closed");
                return Ok(());
            }
        }
    }

    /// Publishes what has changed, and hands out the blocks that this reserves.
    fn publish(&mut self) -> Result<(), Trouble> {
        let now_us = unix_us();
        let Some(mut account) = self.ledger.load.account() else { return Ok(()) };
        account.reserve(self.ledger.ahead(), now_us);
        let draft = account.draft(now_us, self.published.elapsed() >= SIGN_OF_LIFE);
        drop(account);
        if draft.records.is_empty() {
            return Ok(());
        }
        self.journal.write(&draft.records)?;
        self.published = Instant::now();
        if let Some(mut account) = self.ledger.load.account() {
            let new = account.committed(&draft);
            drop(account);
            let usable = |id: &BlockId| {
                draft.records.iter().any(|(other, record)| other == id && record.phase == Phase::Reserved)
            };
            self.ledger.hand_out(new.into_iter().filter(usable));
        }
        Ok(())
    }

    /// The last records may be committed or not, and there may be a successor. Finds out, and opens the journal again
    /// unless there is one.
    fn doubt(&mut self, trouble: Trouble) -> anyhow::Result<()> {
        let (fenced, err) = match trouble {
            Trouble::Fenced(err) => (true, err),
            Trouble::Other(err) => (false, err),
        };
        // A successor may have cut the blocks: what is still sent of them would only add to what is unknown.
        self.ledger.load.hold(fenced);
        warn!(fenced, "opening the account again: {err:#}");
        loop {
            self.beat.turned();
            match self.reopen() {
                Ok(()) => {
                    info!("the account is open again");
                    self.ledger.load.hold(false);
                    return Ok(());
                }
                Err(Trouble::Fenced(err)) => return Err(err),
                Err(Trouble::Other(err)) => info!("waiting for kafka to open the account again: {err:#}"),
            }
            std::thread::sleep(REST);
        }
    }

    fn reopen(&mut self) -> Result<(), Trouble> {
        // Checked before opening, which would fence a successor; and after, since one may have started meanwhile.
        self.refuse_successor(&look(&self.ledger.kafka, self.ledger.loader).map_err(Trouble::Other)?)?;
        let (journal, past) = Journal::open(&self.ledger.kafka, self.ledger.loader).map_err(Trouble::Other)?;
        self.refuse_successor(&past)?;
        self.refuse_other_kafka(&past)?;
        self.journal = journal;
        Ok(())
    }

    /// The last block of a run is never deleted: where none is left, this is another Kafka. To it, the account must not be written:
    /// what was acknowledged by the one before would be missing there. The watch would notice it too, but seconds later.
    fn refuse_other_kafka(&self, past: &Past) -> Result<(), Trouble> {
        if past.has_run(self.run) {
            return Ok(());
        }
        Err(Trouble::Fenced(anyhow!(
            "kafka was emptied or replaced: it has no block of run {:08x}, which this loader had begun; the next start begins another",
            self.run
        )))
    }

    fn refuse_successor(&self, past: &Past) -> Result<(), Trouble> {
        let known = |writer: &u64| *writer == service::incarnation() || self.predecessors.contains(writer);
        match past.writers().find(|writer| !known(writer)) {
            None => Ok(()),
            Some(writer) => Err(Trouble::Fenced(anyhow!(
                "fenced: another loader with ordinal {} has begun (incarnation {writer})",
                self.ledger.loader
            ))),
        }
    }
}

/// A number that no earlier run of this loader has.
fn new_run(past: &Past) -> u32 {
    loop {
        let run = rand::random();
        if !past.has_run(run) {
            return run;
        }
    }
}
