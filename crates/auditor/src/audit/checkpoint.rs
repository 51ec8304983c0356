//! What is done, and what must be read again after a restart.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, ensure};
use petstore::BlockId;
use serde::{Deserialize, Serialize};

use super::done::{Loader, Odd};
use super::rejected::RejectedRecords;
use super::strangers::Strangers;
use super::{Audit, Case, Overtaken};
use crate::audit::block::Behind;
use crate::audit::findings::{Findings, Stage, Tally};
use crate::audit::source::Source;

/// Where a restart resumes. Results of done blocks are beside it, under their own keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Checkpoint {
    /// Grows when a field is read in another way than before; a new field alone has a default.
    pub version: u32,
    /// How far each source is.
    pub logs: Vec<(Source, Log)>,
    /// What belongs to no block: at routed and at returned.
    pub strays: [Tally; 2],
    /// Faults whose origin is still to be looked up, of blocks that are not open.
    pub cases: Vec<Case>,
    /// Blocks that nobody reserved.
    pub strangers: Strangers,
    /// What is on `sales.rejected`.
    pub rejected: RejectedRecords,
    /// The list of findings.
    pub findings: Findings,
    /// Sales of open blocks that are out of order at routed and returned: what is read again doesn't tell.
    pub disorder: Vec<(BlockId, [Behind; 2])>,
    /// Blocks reserved before these times may have lost records to retention.
    pub suspect_before_us: [i64; 2],
    /// What Kafka deleted before it was read.
    pub overtaken: Overtaken,
}

/// One log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Log {
    /// The lowest offset that an open block still needs.
    pub needed: i64,
    /// The next offset: all below is counted where it belongs to no open block.
    pub read: i64,
}

/// One record for `kapture.audit`: its key, and its value unless it is to be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// `checkpoint`, `loader/<run>/<loader>` or `block/<block id>`.
    pub key: String,
    /// JSON.
    pub value: Option<Vec<u8>>,
}

/// Sales out of order in a checkpoint, some 30 bytes each: Kafka takes no larger record. What is beyond is forgotten at a
/// restart.
const DISORDER: usize = 20_000;

/// Of the checkpoints that this release writes; it reads those of lower versions.
const VERSION: u32 = 1;

const CHECKPOINT: &str = "checkpoint";
const LOADER: &str = "loader/";
const BLOCK: &str = "block/";

/// Takes what an earlier auditor wrote, record by record.
pub struct Restoring {
    audit: Audit,
    checkpoint: Option<Checkpoint>,
    keys: BTreeSet<String>,
    /// The last record of each key that can't be read.
    unreadable: BTreeMap<String, anyhow::Error>,
}

impl Restoring {
    /// Begins with an empty account.
    pub fn new(audit: Audit) -> Self {
        Self { audit, checkpoint: None, keys: BTreeSet::new(), unreadable: BTreeMap::new() }
    }

    /// Takes the next record; its value is `None` if the key was removed. Unknown keys are left alone.
    pub fn take(&mut self, key: &str, value: Option<&[u8]>) {
        if key != CHECKPOINT && !key.starts_with(LOADER) && !key.starts_with(BLOCK) {
            return;
        }
        match value {
            Some(_) => self.keys.insert(key.to_owned()),
            None => self.keys.remove(key),
        };
        self.unreadable.remove(key);
        match self.audit.restore(key, value) {
            Ok(checkpoint) => self.checkpoint = checkpoint.or(self.checkpoint.take()),
            Err(err) => drop(self.unreadable.insert(key.to_owned(), err)),
        }
    }

    /// The account, and whether anything was restored. If any of it is of a shape that this release does not know, it begins
    /// again in `fresh` where the logs begin.
    pub fn finish(self, mut fresh: Audit) -> (Audit, bool) {
        let Self { mut audit, checkpoint, keys, unreadable } = self;
        if let Some((_, err)) = unreadable.into_iter().next() {
            tracing::warn!(
                "beginning again where the logs begin, since what an earlier auditor wrote can't be read: {err:#}"
            );
            fresh.stale = keys.into_iter().collect();
            fresh.begins_again = true;
            return (fresh, false);
        }
        let found = checkpoint.is_some();
        audit.resume(checkpoint.unwrap_or_default());
        (audit, found)
    }
}

impl Audit {
    /// Moves blocks of which nothing more can come to the done ones.
    pub fn close(&mut self) {
        let ending: Vec<BlockId> = self.open.iter().filter(|(_, block)| block.is_done()).map(|(id, _)| *id).collect();
        for id in ending {
            self.accuse(id, Stage::Returned);
        }
        for (id, block) in self.open.extract_if(|_, block| block.is_done()) {
            let tallies = block.tallies(false);
            if block.is_complete() && tallies.is_clean() {
                self.done.add_whole(id, &tallies, &block.record().parameters);
            } else {
                let (seen, returned) = (block.seen_ranges(), block.returned_ranges());
                let (end, length) = (block.known_end(), block.length());
                self.done.add_odd(id, Odd { seen, returned, end, length, tallies: tallies.into() });
            }
            self.truths.forget(id);
        }
        let open = &self.open;
        self.extras.retain(|(_, id), _| open.contains_key(id));
    }

    /// What to write now. `None` while a sale waits for its block: counted it can't be, and must not be forgotten.
    pub fn checkpoint(&mut self) -> anyhow::Result<Option<Vec<Entry>>> {
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
            logs: self.sources.iter().copied().map(log).collect(),
            strays: self.strays,
            cases: self.lasting_cases(),
            strangers: self.strangers.clone(),
            rejected: self.rejected.clone(),
            findings: self.findings.clone(),
            disorder,
            suspect_before_us: self.suspect_before_us,
            overtaken: self.overtaken,
        };
        let removed = |key: &String| Entry { key: key.clone(), value: None };
        let mut entries: Vec<Entry> = self.stale.iter().map(removed).collect();
        entries.push(entry(CHECKPOINT.to_owned(), Some(&checkpoint))?);
        for ((run, loader), whole) in self.done.write_loaders() {
            entries.push(entry(format!("{LOADER}{run:08x}/{loader}"), Some(whole))?);
        }
        for (id, odd) in self.done.write_odd() {
            entries.push(entry(format!("{BLOCK}{id}"), odd)?);
        }
        Ok(Some(entries))
    }

    /// Says that the last checkpoint was written. If it was not, the next one holds what this one held.
    pub fn checkpoint_written(&mut self) {
        self.done.written();
        self.stale.clear();
    }

    /// Takes one record of `kapture.audit`; returns the checkpoint if it is that.
    fn restore(&mut self, key: &str, value: Option<&[u8]>) -> anyhow::Result<Option<Checkpoint>> {
        let doing = || format!("reading {key} of the audit");
        if let Some(id) = key.strip_prefix(BLOCK) {
            let odd: Option<Odd> = value.map(serde_json::from_slice).transpose().with_context(doing)?;
            self.done.restore_odd(id.parse().with_context(doing)?, odd);
            return Ok(None);
        }
        let Some(value) = value else { return Ok(None) };
        if key == CHECKPOINT {
            let checkpoint: Checkpoint = serde_json::from_slice(value).with_context(doing)?;
            ensure!(checkpoint.version <= VERSION, "{}: its version is {}", doing(), checkpoint.version);
            return Ok(Some(checkpoint));
        }
        if let Some(id) = key.strip_prefix(LOADER) {
            // Such a key is a block's id without the block.
            let id: BlockId = format!("{id}/0").parse().with_context(doing)?;
            let loader: Loader = serde_json::from_slice(value).with_context(doing)?;
            self.done.restore_loader((id.run, id.loader), loader);
        }
        Ok(None)
    }

    /// Resumes from a checkpoint, after all results were restored. Reading begins at the offsets needed.
    fn resume(&mut self, checkpoint: Checkpoint) {
        self.done.restored();
        for (source, log) in checkpoint.logs {
            self.read.set(source, log.needed);
            self.counted.set(source, log.read);
        }
        self.strays = checkpoint.strays;
        self.resume_cases(checkpoint.cases);
        self.strangers = checkpoint.strangers;
        self.rejected = checkpoint.rejected;
        self.findings = checkpoint.findings;
        self.disorder = checkpoint.disorder.into_iter().collect();
        self.suspect_before_us = checkpoint.suspect_before_us;
        self.overtaken = checkpoint.overtaken;
    }
}

fn entry<T: Serialize>(key: String, value: Option<&T>) -> anyhow::Result<Entry> {
    let value = value.map(serde_json::to_vec).transpose().with_context(|| format!("encoding {key}"))?;
    Ok(Entry { key, value })
}
