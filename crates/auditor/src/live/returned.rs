//! The round of proof about what came back: see [`crate::audit`]'s module on returning.

use std::time::{Duration, Instant};

use kafka::{Logs, Partition};
use petstore::State;

use super::{ASK_LIMIT, Live};
use crate::audit::Unreturned;
use crate::audit::source::Source;

/// A block of which more is routed all the time is never passed as a whole: what was is judged, and the rest again.
const PATIENCE: Duration = Duration::from_secs(10);

/// Judges what came back, a step at a time.
pub(super) struct Returned {
    logs: Logs,
    receipts: Vec<Partition>,
    sources: Vec<Source>,
    step: Step,
}

enum Step {
    Idle,
    /// The spout is to commit beyond these.
    Spout(Vec<Unreturned>, Instant),
    /// The auditor is to read up to these ends of `receipts`: those after the spout had committed.
    Reading(Vec<Unreturned>, Vec<i64>),
}

impl Returned {
    /// `None` if nothing is to come back.
    pub(super) fn new(live: &Live) -> anyhow::Result<Option<Self>> {
        let is_receipts = |source: &&Source| matches!(source, Source::Receipts(_));
        let sources: Vec<Source> = live.sources.iter().filter(is_receipts).copied().collect();
        if sources.is_empty() {
            return Ok(None);
        }
        let receipts = sources.iter().map(|source| source.partition(&live.names)).collect();
        Ok(Some(Self { logs: Logs::new(&live.kafka, "spout", ASK_LIMIT)?, receipts, sources, step: Step::Idle }))
    }

    pub(super) fn turn(&mut self, live: &Live) -> anyhow::Result<()> {
        self.step = match std::mem::replace(&mut self.step, Step::Idle) {
            Step::Idle => {
                let suspects = live.audit().unreturned();
                if suspects.is_empty() { Step::Idle } else { Step::Spout(suspects, Instant::now()) }
            }
            Step::Spout(suspects, since) => self.spout(suspects, since, live)?,
            Step::Reading(suspects, ends) => {
                let mut audit = live.audit();
                if audit.positions().passed(&self.sources, &ends) {
                    audit.convict_returned(&suspects);
                    Step::Idle
                } else {
                    Step::Reading(suspects, ends)
                }
            }
        };
        Ok(())
    }

    fn spout(&self, suspects: Vec<Unreturned>, since: Instant, live: &Live) -> anyhow::Result<Step> {
        let partitions = State::ALL.map(|state| (live.names.state(state), 0));
        // It reads no log: where one has lost its beginning, it has not passed that.
        let committed = State::ALL.into_iter().zip(self.logs.committed(&partitions)?).collect();
        let has_passed = |suspect: &&Unreturned| suspect.spans.iter().all(|span| span.is_passed_by(&committed));
        let judged: Vec<Unreturned> = suspects.iter().filter(has_passed).cloned().collect();
        Ok(if judged.len() == suspects.len() || (since.elapsed() > PATIENCE && !judged.is_empty()) {
            Step::Reading(judged, self.logs.ends(&self.receipts)?)
        } else if since.elapsed() > PATIENCE {
            Step::Idle
        } else {
            Step::Spout(suspects, since)
        })
    }
}
