//! Proves, round by round, what has arrived and what is lost; then closes what is done and writes the checkpoint.
//!
//! Who lost what is missing, and where a fault was made, is searched for meanwhile ([`super::search`]). Blocks that a search
//! is about are left out of the rounds until it has an answer.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::bail;
use kafka::{Logs, Partition};
use petstore::{BlockId, State};
use service::Beat;
use tracing::{info, warn};

use super::checkpoint::Writer;
use super::returned::Returned;
use super::round::{Round, Step, passed};
use super::search::{Answer, Desk};
use super::{ASK_LIMIT, Live};
use crate::audit::source::Source;
use crate::audit::{Entry, Missing, Suspects, Unknown};

/// Between two looks. A round takes a few of them.
const REST: Duration = Duration::from_millis(250);
/// Between two looks at `sales` for where faults were made: each reads it from the oldest of them on.
const CASES: Duration = Duration::from_secs(5);
/// Between two looks at how much is unread.
const LAG: Duration = Duration::from_secs(2);
/// Between two looks at where the account of blocks ends, while nothing waits for it.
const LISTEN: Duration = Duration::from_secs(2);
/// Between two checkpoints: what has to be read again after a restart.
const CHECKPOINT: Duration = Duration::from_secs(5);

/// What a round waits for that has something missing.
const SEARCHING: &str = "its search for who lost what is missing";

struct Judge<'a> {
    live: &'a Live,
    logs: Logs,
    sales: Vec<Partition>,
    states: Vec<Partition>,
    round: Option<Round>,
    desk: Desk,
    /// What the search under way is to tell the losers of.
    searched: Suspects,
    /// What had no block, then when the end of the account of blocks was asked for, and the end; and the last such time by
    /// which it was read.
    listening: Option<(Option<Unknown>, Instant, i64)>,
    listened: Instant,
    returned: Option<Returned>,
    looked_up: Option<Instant>,
    lag_looked_at: Instant,
    writer: Writer,
    written: Vec<Entry>,
    wrote: Option<Instant>,
}

/// Judges until `shutdown`. Blocks: give it a thread of its own.
pub(super) fn run(live: &Live, desk: Desk, beat: &Beat) -> anyhow::Result<()> {
    let mut judge = Judge {
        live,
        logs: Logs::new(&live.kafka, "fan-out", ASK_LIMIT)?,
        sales: Vec::new(),
        states: live.names.states().into_iter().map(|topic| (topic, 0)).collect(),
        round: None,
        desk,
        searched: Suspects::default(),
        listening: None,
        listened: Instant::now(),
        returned: Returned::new(live)?,
        looked_up: None,
        lag_looked_at: Instant::now(),
        writer: Writer::new(&live.kafka),
        written: Vec::new(),
        wrote: None,
    };
    while !live.shutdown.is_cancelled() {
        beat.turned();
        judge.desk.turned();
        if live.has_started() {
            if !live.is_sure() {
                live.wait_for("kafka, and to know that it is still the same");
            } else if let Err(err) = judge.turn() {
                live.metrics.errors.inc();
                live.wait_for(&format!("kafka: {err:#}"));
                info!("judging again in a moment: {err:#}");
            }
            live.metrics.show(live.account());
        }
        std::thread::sleep(REST);
    }
    Ok(())
}

impl Judge<'_> {
    fn turn(&mut self) -> anyhow::Result<()> {
        self.listen()?;
        self.hear()?;
        self.look_up();
        self.advance()?;
        if let Some(returned) = &mut self.returned {
            returned.turn(self.live)?;
        }
        self.look_at_lag()?;
        self.live.audit().close();
        // The turn may have taken long.
        if self.live.is_sure() {
            self.save();
        }
        Ok(())
    }

    /// Where the account of blocks ends. One that ends before what was read of it is of another Kafka.
    fn end_of_blocks(&self) -> anyhow::Result<i64> {
        let read = self.live.blocks_read.load(Ordering::Acquire);
        let end = self.logs.end(&self.live.names.blocks())?;
        if end < read {
            self.live.watch.doubt();
            bail!("the account of blocks ends at {end}, and was read to {read}");
        }
        Ok(end)
    }

    /// Asks where the account of blocks ends, and notes when it was read so far. A sale that waited before, and whose block is
    /// still unknown then, was never sent; and loaders that are silent are told from an account that can't be read.
    fn listen(&mut self) -> anyhow::Result<()> {
        if let Some((unknown, asked, end)) = self.listening
            && self.live.blocks_read.load(Ordering::Acquire) >= end
        {
            let mut audit = self.live.audit();
            audit.listened(asked.duration_since(self.listened));
            if let Some(unknown) = unknown {
                audit.blocks_are_known(unknown);
            }
            (self.listening, self.listened) = (None, asked);
        }
        let unknown = self.live.audit().unknown();
        if self.listening.is_none() && (unknown.is_some() || self.listened.elapsed() >= LISTEN) {
            self.listening = Some((unknown, Instant::now(), self.end_of_blocks()?));
        }
        Ok(())
    }

    fn look_up(&mut self) {
        if self.desk.is_busy() || self.looked_up.is_some_and(|at| at.elapsed() < CASES) {
            return;
        }
        let cases = self.live.audit().cases().to_vec();
        if !cases.is_empty() {
            self.desk.begin(move |search| search.origins(&cases));
        }
    }

    /// Takes what the search has found out. After an error, what it was about is in the next round again.
    fn hear(&mut self) -> anyhow::Result<()> {
        let Some(answer) = self.desk.answer().inspect_err(|_| self.searched.clear())? else { return Ok(()) };
        let mut audit = self.live.audit();
        match answer {
            Answer::Origins(origins) => {
                audit.close_cases(&origins);
                self.looked_up = Some(Instant::now());
            }
            Answer::Fates(fates) => {
                warn!(sales = fates.len(), first = ?fates.first(), "sales are missing");
                for (id, index, fate) in fates {
                    audit.sentence(id, index, fate);
                }
                audit.finish(&std::mem::take(&mut self.searched));
                self.live.round_ended();
            }
        }
        Ok(())
    }

    /// Notes where logs end: by what is unread, reading is paced and the comparison of content more or less sparing.
    fn look_at_lag(&mut self) -> anyhow::Result<()> {
        if self.lag_looked_at.elapsed() < LAG {
            return Ok(());
        }
        let ends = self.logs.ends(&self.live.partitions())?;
        self.live.audit().end_at(&ends);
        self.lag_looked_at = Instant::now();
        Ok(())
    }

    fn advance(&mut self) -> anyhow::Result<()> {
        if self.sales.is_empty() {
            self.sales = self.logs.partitions(&self.live.names.sales())?;
        }
        if self.round.is_none() {
            // The order is the proof: first the suspects, then the end, which is beyond them.
            let mut suspects = self.live.audit().suspects();
            suspects.retain(|id, _| !self.searched.contains_key(id));
            self.round = Some(Round { suspects, step: Step::FanOut(self.logs.ends(&self.sales)?) });
        }
        let Some(round) = &mut self.round else { return Ok(()) };
        if let Step::FanOut(ends) = &round.step
            && passed(&self.logs.committed_or_beginning(&self.sales)?, ends)
        {
            round.step = Step::Reading(self.logs.ends(&self.states)?);
        }
        if let Step::Reading(ends) = &round.step {
            let mut audit = self.live.audit();
            let states: Vec<Source> = State::ALL.map(Source::State).into();
            if audit.positions().passed(&states, ends) {
                let missing = audit.convict(&round.suspects);
                drop(audit);
                self.end_round(missing);
                return Ok(());
            }
        }
        if self.searched.is_empty() {
            self.live.wait_for(round.waiting_for());
        }
        Ok(())
    }

    /// Ends the round for the blocks that miss nothing. What is missing is searched for, or is in the next round again if
    /// another search is under way. A round that leaves something out does not count until that is found out.
    fn end_round(&mut self, missing: Vec<Missing>) {
        let Some(Round { mut suspects, .. }) = self.round.take() else { return };
        if missing.is_empty() && self.searched.is_empty() {
            self.live.audit().finish(&suspects);
            self.live.round_ended();
            self.live.wait_for("nothing");
            return;
        }
        let blocks: BTreeSet<BlockId> = missing.iter().map(|missing| missing.id).collect();
        let set_aside = suspects.extract_if(.., |id, _| blocks.contains(id)).collect();
        if !missing.is_empty() && !self.desk.is_busy() {
            self.desk.begin(move |search| search.fates(&missing));
            self.searched = set_aside;
        }
        self.live.audit().finish(&suspects);
        self.live.wait_for(SEARCHING);
    }

    /// A checkpoint that can't be written does no harm: more is read again.
    fn save(&mut self) {
        if self.wrote.is_some_and(|wrote| wrote.elapsed() < CHECKPOINT) {
            return;
        }
        let made = Instant::now();
        let entries = match self.live.audit().checkpoint() {
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
                self.live.audit().checkpoint_written();
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
