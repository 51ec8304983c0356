//! What is done, and what must be read again after a restart.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use petstore::BlockId;
use serde::{Deserialize, Serialize};

use super::done::{Done, Odd};
use super::entry::Entry;
use super::reading::RejectedRecords;
use super::remarks::Overtaken;
use super::strangers::Strangers;
use super::{Audit, Case, Gone};
use crate::audit::block::Behind;
use crate::audit::findings::{Findings, Stage, Tally};
use crate::audit::source::Source;

/// Where a restart resumes. Results of done blocks are beside it, under their own keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Checkpoint {
    /// Grows when a field is read in another way than before; a new field alone has a default.
    pub(crate) version: u32,
    /// The Kafka that it counts in; empty if an earlier release wrote it.
    pub(crate) installation: String,
    pub(crate) logs: Vec<(Source, Log)>,
    /// Faults whose origin is still to be looked up, of blocks that are not open.
    pub(crate) cases: Vec<Case>,
    /// Sales of open blocks that are out of order at routed and returned: what is read again doesn't tell.
    pub(crate) disorder: Vec<(BlockId, [Behind; 2])>,
    #[serde(flatten)]
    pub(crate) lasting: Lasting,
}

/// What is known beside the blocks: a restart takes it as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Lasting {
    /// What belongs to no block: at routed and at returned.
    pub(super) strays: [Tally; 2],
    pub(super) strangers: Strangers,
    pub(super) rejected: RejectedRecords,
    pub(super) findings: Findings,
    /// Blocks reserved before these times may have lost records of the states' topics, or of `receipts`, to retention:
    /// unix time, microseconds.
    pub(super) suspect_before_us: [i64; 2],
    pub(super) overtaken: Overtaken,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Log {
    /// The lowest offset that an open block still needs.
    pub(crate) needed: i64,
    /// The next offset: all below is counted where it belongs to no open block.
    pub(crate) read: i64,
}

/// Sales out of order in a checkpoint, some 30 bytes each: Kafka takes no larger record. What is beyond is forgotten at a
/// restart.
const DISORDER: usize = 20_000;

/// Of the checkpoints that this release writes; it reads those of lower versions.
const VERSION: u32 = 1;

const CHECKPOINT: &str = "checkpoint";
/// What an auditor leaves of a Kafka that is gone.
pub(super) const GONE: &str = "gone/";

/// What an earlier auditor wrote: the last value of each key.
#[derive(Default)]
pub(crate) struct Restoring(BTreeMap<String, Vec<u8>>);

impl Restoring {
    /// Takes the next record; its value is `None` if the key was removed. Unknown keys are left alone.
    pub(crate) fn take(&mut self, key: &str, value: Option<&[u8]>) {
        let is_known = key == CHECKPOINT || key.starts_with(GONE) || Done::owns(key);
        match value.filter(|_| is_known) {
            Some(value) => drop(self.0.insert(key.to_owned(), value.to_vec())),
            None => drop(self.0.remove(key)),
        }
    }

    /// The account, and whether anything was restored. If any of it is of a shape that this release does not know, it begins
    /// again where the logs begin.
    pub(crate) fn finish(self, fresh: impl Fn() -> Audit) -> (Audit, bool) {
        let mut audit = fresh();
        let (mut gone, values): (BTreeMap<_, _>, BTreeMap<_, _>) =
            self.0.into_iter().partition(|(key, _)| key.starts_with(GONE));
        // It was there again after all, and the checkpoint has what it holds.
        let own = gone.remove_entry(&format!("{GONE}{}", audit.installation)).map(|(key, _)| key);
        let gone: BTreeMap<String, Gone> = gone.into_iter().filter_map(read_gone).collect();
        let begins_again = match audit.restore(&values) {
            Ok(Some(Checkpoint { installation, .. }))
                if !installation.is_empty() && installation != audit.installation =>
            {
                tracing::warn!(before = installation, "beginning again, since the last checkpoint is of another kafka");
                false
            }
            Ok(checkpoint) => {
                let found = checkpoint.is_some();
                audit.resume(checkpoint.unwrap_or_default());
                audit.stale.extend(own);
                audit.gone = gone;
                return (audit, found);
            }
            Err(err) => {
                tracing::warn!(
                    "beginning again where the logs begin, since what an earlier auditor wrote can't be read: {err:#}"
                );
                true
            }
        };
        (Audit { begins_again, stale: values.into_keys().chain(own).collect(), gone, ..fresh() }, false)
    }
}

fn read_gone((key, value): (String, Vec<u8>)) -> Option<(String, Gone)> {
    match serde_json::from_slice(&value) {
        Ok(gone) => Some((key.strip_prefix(GONE)?.to_owned(), gone)),
        Err(err) => {
            tracing::warn!("the account of an earlier kafka, {key}, can't be read: {err}");
            None
        }
    }
}

impl Audit {
    /// Moves blocks of which nothing more can come to the done ones.
    pub(crate) fn close(&mut self) {
        let ending: Vec<BlockId> = self.open.iter().filter(|(_, block)| block.is_done()).map(|(id, _)| *id).collect();
        for id in ending {
            self.accuse(id, Stage::Returned);
        }
        for (id, block) in self.open.extract_if(|_, block| block.is_done()) {
            let tallies = block.tallies(false);
            if block.is_complete() && tallies.is_clean() {
                self.done.add_whole(id, &tallies, &block.record.parameters);
            } else {
                let seen = block.routed.seen.to_ranges();
                let returned = block.returned.as_ref().map(|returned| returned.seen.to_ranges());
                let (end, length) = (block.known_end(), block.length);
                self.done.add_odd(id, Odd { seen, returned, end, length, tallies: tallies.into() });
            }
            self.truths.forget(id);
        }
    }

    /// What to write now. `None` while a sale waits for its block: counted it can't be, and must not be forgotten.
    pub(crate) fn checkpoint(&mut self) -> anyhow::Result<Option<Vec<Entry>>> {
        if !self.waiting.is_empty() {
            return Ok(None);
        }
        let mut needed = self.read.clone();
        for span in self.open.values().flat_map(|block| block.spans()) {
            needed.set(span.source, span.low.min(needed.at(span.source)));
        }
        let log = |source: Source| (source, Log { needed: needed.at(source), read: self.read.at(source) });
        let mut sales = 0;
        let disorder = self.open.iter().map(|(id, block)| (*id, block.disorder()));
        let mut disorder: Vec<(BlockId, [Behind; 2])> = disorder
            .filter(|(_, both)| both.iter().any(|disorder| !disorder.is_empty()))
            .take_while(|(_, both)| {
                sales += both.iter().map(Behind::len).sum::<usize>();
                sales <= DISORDER
            })
            .collect();
        disorder.sort_unstable_by_key(|(id, _)| *id);
        let checkpoint = Checkpoint {
            version: VERSION,
            installation: self.installation.clone(),
            logs: self.sources.iter().copied().map(log).collect(),
            // A restart finds the others again.
            cases: self.cases.iter().filter(|case| !case.is_open).copied().collect(),
            disorder,
            lasting: self.lasting.clone(),
        };
        let removed = |key: &String| Entry { key: key.clone(), value: None };
        let mut entries: Vec<Entry> = self.stale.iter().map(removed).collect();
        entries.push(Entry::new(CHECKPOINT.to_owned(), Some(&checkpoint))?);
        entries.extend(self.done.write()?);
        Ok(Some(entries))
    }

    /// Says that the last checkpoint was written. If it was not, the next one holds what this one held.
    pub(crate) fn checkpoint_written(&mut self) {
        self.done.written();
        self.stale.clear();
    }

    /// Takes what was written of done blocks; gives the checkpoint, if there is one.
    fn restore(&mut self, values: &BTreeMap<String, Vec<u8>>) -> anyhow::Result<Option<Checkpoint>> {
        let mut checkpoint = None;
        for (key, value) in values {
            let doing = || format!("reading {key} of the audit");
            if !self.done.restore(key, value).with_context(doing)? {
                let Checkpoint { version, .. } = checkpoint.insert(serde_json::from_slice(value).with_context(doing)?);
                ensure!(*version <= VERSION, "{}: its version is {version}", doing());
            }
        }
        Ok(checkpoint)
    }

    /// Resumes from a checkpoint, after all results were restored. Reading begins at the offsets needed.
    fn resume(&mut self, checkpoint: Checkpoint) {
        for (source, log) in checkpoint.logs {
            self.read.set(source, log.needed);
            self.counted.set(source, log.read);
        }
        self.cases = checkpoint.cases;
        self.disorder = checkpoint.disorder.into_iter().collect();
        self.lasting = checkpoint.lasting;
    }
}
