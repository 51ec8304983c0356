//! Proves, round by round, what has arrived and what is lost; then closes what is done and writes the checkpoint.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use service::Beat;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::checkpoint::Writer;
use super::returned::Returned;
use super::round::{Round, Step, passed};
use super::search::{Questions, search};
use super::{ASK_LIMIT, Live};
use crate::ledger::{Entry, Unknown};
use crate::logs::Logs;
use crate::source::Source;

/// Between two looks. A round takes a few of them.
const REST: Duration = Duration::from_millis(250);
/// Between two looks at `sales` for where faults were made: each reads it from the oldest of them on.
const CASES: Duration = Duration::from_secs(5);
/// Between two looks at how much is unread.
const LAG: Duration = Duration::from_secs(2);
/// Between two looks at where the account of blocks ends.
const LISTEN: Duration = Duration::from_secs(2);
/// Between two checkpoints: what has to be read again after a restart.
const CHECKPOINT: Duration = Duration::from_secs(5);

struct Judge<'a> {
    kafka: &'a kafka::Config,
    live: &'a Live,
    logs: Logs,
    sales: Vec<(String, i32)>,
    states: Vec<(String, i32)>,
    round: Option<Round>,
    /// What had no block, and the end of the account of blocks asked for after.
    strays: Option<(Unknown, i64)>,
    /// When the end of the account of blocks was asked for, and the end; and the last such time by which it was read.
    listening: Option<(Instant, i64)>,
    listened: Instant,
    returned: Option<Returned>,
    looked_up: Option<Instant>,
    lag_looked_at: Instant,
    writer: Writer,
    written: Vec<Entry>,
    wrote: Option<Instant>,
}

/// Judges until `shutdown`. Blocks: give it a thread of its own.
pub(super) fn run(kafka: &kafka::Config, live: &Live, beat: &Beat, shutdown: &CancellationToken) -> anyhow::Result<()> {
    let mut judge = Judge {
        kafka,
        live,
        logs: Logs::new(kafka, "fan-out", ASK_LIMIT)?,
        sales: Vec::new(),
        states: live.names.states().into_iter().map(|topic| (topic, 0)).collect(),
        round: None,
        strays: None,
        listening: None,
        listened: Instant::now(),
        returned: Returned::new(kafka, live)?,
        looked_up: None,
        lag_looked_at: Instant::now(),
        writer: Writer::new(kafka),
        written: Vec::new(),
        wrote: None,
    };
    while !shutdown.is_cancelled() {
        beat.turned();
        if live.started.get()
            && let Err(err) = judge.turn(beat, shutdown)
        {
            live.metrics.errors.inc();
            live.wait_for(&format!("kafka: {err:#}"));
            info!("judging again in a moment: {err:#}");
        }
        if live.started.get() {
            live.show();
        }
        std::thread::sleep(REST);
    }
    Ok(())
}

impl Judge<'_> {
    fn turn(&mut self, beat: &Beat, shutdown: &CancellationToken) -> anyhow::Result<()> {
        self.judge_strays()?;
        self.listen()?;
        self.advance(beat, shutdown)?;
        if let Some(returned) = &mut self.returned {
            returned.turn(self.live)?;
        }
        self.look_up(beat, shutdown)?;
        self.look_at_lag()?;
        self.live.ledger().close();
        self.save();
        Ok(())
    }

    /// A sale whose block is still unknown when the account of blocks was read beyond its end of now was never sent.
    fn judge_strays(&mut self) -> anyhow::Result<()> {
        if let Some((unknown, end)) = self.strays
            && self.live.blocks_read.load(Ordering::Acquire) >= end
        {
            self.live.ledger().blocks_are_known(unknown);
            self.strays = None;
        }
        let unknown = self.live.ledger().unknown();
        if self.strays.is_none()
            && let Some(unknown) = unknown
        {
            let end = self.logs.ends(&[(self.live.names.blocks(), 0)])?[0];
            self.strays = Some((unknown, end));
        }
        Ok(())
    }

    /// Tells loaders that are silent from an account of blocks that can't be read.
    fn listen(&mut self) -> anyhow::Result<()> {
        match self.listening {
            None if self.listened.elapsed() >= LISTEN => {
                let asked = Instant::now();
                self.listening = Some((asked, self.logs.ends(&[(self.live.names.blocks(), 0)])?[0]));
            }
            Some((asked, end)) if self.live.blocks_read.load(Ordering::Acquire) >= end => {
                self.live.ledger().listened(asked.duration_since(self.listened));
                (self.listening, self.listened) = (None, asked);
            }
            _ => {}
        }
        Ok(())
    }

    /// Looks up where faults were made.
    fn look_up(&mut self, beat: &Beat, shutdown: &CancellationToken) -> anyhow::Result<()> {
        if self.looked_up.is_some_and(|at| at.elapsed() < CASES) {
            return Ok(());
        }
        let cases = self.live.ledger().cases().to_vec();
        if cases.is_empty() {
            return Ok(());
        }
        let questions = Questions { missing: &[], cases: &cases };
        let found = search(self.kafka, &self.logs, self.live, questions, beat, shutdown)?;
        self.live.ledger().close_cases(&found.origins);
        self.looked_up = Some(Instant::now());
        Ok(())
    }

    /// Says where logs end: by what is unread, reading is paced and the comparison of content more or less sparing.
    fn look_at_lag(&mut self) -> anyhow::Result<()> {
        if self.lag_looked_at.elapsed() < LAG {
            return Ok(());
        }
        let ends = self.logs.ends(&self.live.partitions())?;
        self.live.ledger().end_at(&ends);
        self.lag_looked_at = Instant::now();
        Ok(())
    }

    fn advance(&mut self, beat: &Beat, shutdown: &CancellationToken) -> anyhow::Result<()> {
        if self.sales.is_empty() {
            let topic = self.live.names.sales();
            self.sales = (0..self.logs.partitions(&topic)?).map(|partition| (topic.clone(), partition)).collect();
        }
        if self.round.is_none() {
            // The order is the proof: first the suspects, then the end they lie below.
            let suspects = self.live.ledger().suspects();
            self.round = Some(Round::new(suspects, self.logs.ends(&self.sales)?));
        }
        let Some(round) = &mut self.round else { return Ok(()) };
        if let Step::FanOut(ends) = &round.step
            && passed(&self.logs.committed_or_beginning(&self.sales)?, ends)
        {
            round.step = Step::Reading(self.logs.ends(&self.states)?);
        }
        if let Step::Reading(ends) = &round.step {
            let mut ledger = self.live.ledger();
            let states = self.live.sources.iter().filter(|source| matches!(source, Source::State(_)));
            let positions: Vec<i64> = states.map(|source| ledger.positions().at(*source)).collect();
            if passed(&positions, ends) {
                round.step = Step::Search(ledger.convict(&round.suspects));
            }
        }
        self.live.wait_for(round.waiting_for());
        if let Step::Search(missing) = &round.step {
            if !missing.is_empty() {
                let questions = Questions { missing, cases: &[] };
                let fates = search(self.kafka, &self.logs, self.live, questions, beat, shutdown)?.fates;
                warn!(sales = fates.len(), first = ?fates.first(), "sales are missing");
                let mut ledger = self.live.ledger();
                for (id, index, fate) in fates {
                    ledger.sentence(id, index, fate);
                }
            }
            self.live.ledger().end_round(&round.suspects);
            self.live.round_ended();
            self.live.wait_for("nothing");
            self.round = None;
        }
        Ok(())
    }

    /// A checkpoint that can't be written is no harm: more is read again.
    fn save(&mut self) {
        if self.wrote.is_some_and(|wrote| wrote.elapsed() < CHECKPOINT) {
            return;
        }
        let made = Instant::now();
        let entries = match self.live.ledger().checkpoint() {
            Ok(Some(entries)) => entries,
            Ok(None) => return,
            Err(err) => {
                warn!("making a checkpoint: {err:#}");
                return;
            }
        };
        self.wrote = Some(made);
        if entries == self.written {
            self.live.checkpoint_written(made);
            return;
        }
        match self.writer.write(&entries) {
            Ok(()) => {
                self.live.ledger().checkpoint_written();
                self.live.checkpoint_written(made);
                self.live.metrics.checkpoints.inc();
                self.written = entries;
            }
            Err(err) => {
                self.live.metrics.errors.inc();
                info!("writing the checkpoint again in a moment: {err:#}");
            }
        }
    }
}
