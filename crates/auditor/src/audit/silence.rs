//! Loaders that never come back.
//!
//! A loader publishes something every second while it has an open block, though not of every block. So it is its last word
//! on any of them that counts, and only time in which the account of blocks could be read to its end: while Kafka is away,
//! every loader is silent. All of it is the auditor's own time; no two clocks are compared.

use std::collections::HashMap;
use std::time::Duration;

use kafka::blocks::SILENT_AFTER;
use petstore::BlockId;

use super::Audit;

/// Between two looks at the end of the account of blocks, at most so much counts as listening.
const LISTENED: Duration = Duration::from_secs(10);

/// When each loader was heard last.
#[derive(Debug, Default)]
pub(super) struct Silence {
    /// How long the auditor has listened.
    listened: Duration,
    /// What that was at the last word of each run and loader.
    heard: HashMap<(u32, u32), Duration>,
}

impl Silence {
    pub(super) fn heard(&mut self, id: BlockId) {
        self.heard.insert((id.run, id.loader), self.listened);
    }

    pub(super) fn is_silent(&self, id: BlockId) -> bool {
        let heard = self.heard.get(&(id.run, id.loader)).copied().unwrap_or_default();
        self.listened.saturating_sub(heard) > SILENT_AFTER
    }
}

impl Audit {
    /// Says that the account of blocks was read to its end, and how long ago that was so before.
    pub(crate) fn listened(&mut self, since: Duration) {
        self.silence.listened += since.min(LISTENED);
    }
}
