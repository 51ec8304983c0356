//! What the auditor can't judge, or judges late, in words.

use kafka::Ranges;
use serde::{Deserialize, Serialize};

use super::Audit;
use crate::audit::source::Source;

/// With more records unread than this, the account tells how far behind the auditor is.
const BEHIND: u64 = 200_000;

/// Where Kafka deleted records before they were read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Overtaken {
    /// How many, on all logs.
    pub records: u64,
    /// The last log where that was seen.
    pub source: Option<Source>,
    /// And when: unix time, microseconds. Blocks reserved later can be judged.
    pub at_us: i64,
}

impl Overtaken {
    pub(super) fn add(&mut self, source: Source, records: i64, at_us: i64) {
        self.records += u64::try_from(records).unwrap_or(0);
        (self.source, self.at_us) = (Some(source), at_us);
    }
}

impl Audit {
    /// How many records are unread, as of the last look at where the logs end.
    pub fn backlog(&self) -> u64 {
        self.sources.iter().map(|source| self.pace.unread(*source, &self.read)).sum()
    }

    /// A sentence for each thing that can't be judged, or is judged late.
    pub(super) fn remarks(&self, now_us: i64) -> Vec<String> {
        let Overtaken { records, source, at_us } = self.overtaken;
        let ago = now_us.saturating_sub(at_us).max(0) / 1_000_000;
        let overtaken = source.map(|source| {
            format!(
                "Kafka deleted {records} records before the auditor had read them, the last {ago} s ago on the {source}: \
                 what is missing of blocks reserved before then is not auditable; later blocks are judged"
            )
        });
        let backlog = self.backlog();
        let behind = (backlog > BEHIND).then(|| {
            format!("the auditor has {backlog} records still to read: it can't keep up, so its account is late")
        });
        let full = self.is_full().then(|| {
            "reading sales pauses: too many blocks wait for a store, and what waits in Kafka is judged later".to_owned()
        });
        let again = self.begins_again.then(|| {
            "what an earlier auditor wrote is of a release that this one does not know: all that the logs hold is counted \
             again"
                .to_owned()
        });
        let others: u32 = self.others.values().map(Ranges::len).sum();
        let others = (others > 0).then(|| {
            format!("{others} blocks are not judged: they are of another release, whose model this one does not know")
        });
        [again, overtaken, others, behind, full].into_iter().flatten().collect()
    }
}
