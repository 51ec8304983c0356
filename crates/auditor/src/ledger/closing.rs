//! What is done, and what must be read again after a restart.

use std::collections::BTreeMap;

use anyhow::Context;
use petstore::{BlockId, State};
use serde::{Deserialize, Serialize};

use super::Ledger;
use super::done::{Loader, Odd};
use crate::block::Block;
use crate::findings::{Findings, Tally};

/// Where a restart resumes. Results of done blocks lie beside it, under their own keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// By state.
    pub logs: BTreeMap<State, Log>,
    /// What belongs to no block.
    pub strays: Tally,
    /// The list of findings.
    pub findings: Findings,
    /// Blocks reserved before this time may have lost records to retention.
    pub suspect_before_us: i64,
}

/// One state's topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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

const CHECKPOINT: &str = "checkpoint";
const LOADER: &str = "loader/";
const BLOCK: &str = "block/";

impl Ledger {
    /// Moves blocks of which nothing more can come to the done ones.
    pub fn close(&mut self) {
        for (id, block) in self.open.extract_if(|_, block| block.is_done()) {
            let tallies = block.tallies(false);
            let whole = block.is_complete() && tallies.is_clean();
            self.done.add(id, tallies, (!whole).then(|| block.seen_ranges()));
        }
    }

    /// What to write now. `None` while a sale waits for its block: counted it can't be, and must not be forgotten.
    pub fn checkpoint(&mut self) -> anyhow::Result<Option<Vec<Entry>>> {
        if !self.waiting.is_empty() {
            return Ok(None);
        }
        let mut needed = self.read;
        for span in self.open.values().flat_map(Block::spans) {
            let low = &mut needed[span.state.index()];
            *low = span.low.min(*low);
        }
        let log = |state: &State| (*state, Log { needed: needed[state.index()], read: self.read[state.index()] });
        let checkpoint = Checkpoint {
            logs: State::ALL.iter().map(log).collect(),
            strays: self.strays,
            findings: self.findings.clone(),
            suspect_before_us: self.suspect_before_us,
        };
        let mut entries = vec![entry(CHECKPOINT.to_owned(), Some(&checkpoint))?];
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
    }

    /// Takes one record of `kapture.audit`; returns the checkpoint if it is that. Unknown keys are left alone.
    pub fn restore(&mut self, key: &str, value: &[u8]) -> anyhow::Result<Option<Checkpoint>> {
        let doing = || format!("reading {key} of the audit");
        if key == CHECKPOINT {
            let checkpoint: Checkpoint = serde_json::from_slice(value).with_context(doing)?;
            return Ok(Some(checkpoint));
        }
        if let Some(id) = key.strip_prefix(LOADER) {
            // Such a key is a block's id without the block.
            let id: BlockId = format!("{id}/0").parse().with_context(doing)?;
            let loader: Loader = serde_json::from_slice(value).with_context(doing)?;
            self.done.restore_loader((id.run, id.loader), loader);
        } else if let Some(id) = key.strip_prefix(BLOCK) {
            let odd: Odd = serde_json::from_slice(value).with_context(doing)?;
            self.done.restore_odd(id.parse().with_context(doing)?, odd);
        }
        Ok(None)
    }

    /// Resumes from a checkpoint, after all results were restored. Reading begins at the offsets needed.
    pub fn resume(&mut self, checkpoint: Checkpoint) {
        for (state, log) in &checkpoint.logs {
            self.read[state.index()] = log.needed;
            self.counted[state.index()] = log.read;
        }
        self.strays = checkpoint.strays;
        self.findings = checkpoint.findings;
        self.suspect_before_us = checkpoint.suspect_before_us;
    }
}

fn entry<T: Serialize>(key: String, value: Option<&T>) -> anyhow::Result<Entry> {
    let value = value.map(serde_json::to_vec).transpose().with_context(|| format!("encoding {key}"))?;
    Ok(Entry { key, value })
}
