//! What the auditor can't judge, or judges late, in words.

use serde::{Deserialize, Serialize};

use super::Audit;
use super::sampling::BEHIND;
use crate::audit::source::Source;

/// Where Kafka deleted records before they were read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Overtaken {
    /// How many, on all logs.
    pub(crate) records: u64,
    /// The last log where that was seen.
    pub(crate) source: Option<Source>,
    /// And when: unix time, microseconds. Blocks reserved later can be judged.
    pub(crate) at_us: i64,
}

impl Overtaken {
    pub(super) fn add(&mut self, source: Source, records: i64, at_us: i64) {
        self.records += u64::try_from(records).unwrap_or(0);
        (self.source, self.at_us) = (Some(source), at_us);
    }
}

impl Audit {
    /// How many records are unread, as of the last look at where the logs end.
    pub(crate) fn backlog(&self) -> u64 {
        self.sources.iter().map(|source| self.pace.unread(*source, &self.read)).sum()
    }

    /// A sentence for each thing that can't be judged, or is judged late.
    pub(super) fn remarks(&self, now_us: i64) -> Vec<String> {
        let ago = |at_us: i64| now_us.saturating_sub(at_us).max(0) / 1_000_000;
        let Overtaken { records, source, at_us } = self.lasting.overtaken;
        let overtaken = source.map(|source| {
            format!(
                "Kafka deleted {records} records before the auditor had read them, the last {} s ago on the {source}: \
                 what is missing of blocks reserved before then is not auditable; later blocks are judged",
                ago(at_us)
            )
        });
        let gone = self.gone.iter().map(|(installation, gone)| {
            format!(
                "Kafka {installation} was emptied or replaced {} s ago: its sales are in this account as they were found \
                 by then; lost: {}",
                ago(gone.at_us),
                gone.losses()
            )
        });
        let unjudged = self.unjudged_kafkas();
        let unjudged = (unjudged > 0).then(|| {
            let whose = if unjudged == 1 { "an earlier Kafka" } else { &format!("{unjudged} earlier Kafkas") };
            format!("the sales of {whose} can't be judged: no auditor left an account of them")
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
        let others = self.others.len();
        let others = (others > 0).then(|| {
            format!("{others} blocks are not judged: they are of another release, whose model this one does not know")
        });
        gone.chain([unjudged, again, overtaken, others, behind, full].into_iter().flatten()).collect()
    }
}
