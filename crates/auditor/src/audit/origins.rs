//! Whether a fault that was seen at routed was made there: the fan-out is not to blame for a record that was already wrong on
//! `sales`.
//!
//! Found at routed, it counts at routed until the judge has looked on `sales`. What of it belongs to an open block is found
//! again after a restart; the rest of the questions are kept.

use petstore::SaleId;
use serde::{Deserialize, Serialize};

use super::Audit;
use crate::audit::findings::{Kind, Stage};
use crate::audit::record::{Record, fingerprint};
use crate::audit::source::Source;

/// Faults to be looked up at once. Of more, the stage that is named is the one where they were seen.
const OPEN: usize = 2_000;

/// A fault of a record on a state's topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Case {
    pub(crate) id: SaleId,
    pub(crate) kind: Kind,
    /// What to look for on `sales`.
    pub(crate) evidence: Evidence,
    /// The sale can't be older: unix time, microseconds. 0 if nobody knows.
    pub(crate) since_us: i64,
    /// Whether its block was open.
    pub(super) is_open: bool,
}

/// What tells whether it was so on `sales`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Evidence {
    /// The record has this content, and is on this topic.
    Record { says: u64, topic: Source },
    /// It came behind this sale.
    Behind(SaleId),
}

impl Evidence {
    pub(super) fn of(record: &Record<'_>) -> Self {
        Self::Record { says: fingerprint(record.body, record.state), topic: record.source }
    }
}

/// Where a fault was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// It was there on `sales`, as this kind.
    Accepted(Kind),
    Routed,
    /// `sales` no longer reaches back so far, or is too long to search.
    Unknown,
}

impl Audit {
    /// Asks for the origin of a fault. `is_open`: whether its block is.
    pub(super) fn open_case(&mut self, id: SaleId, kind: Kind, evidence: Evidence, is_open: bool) {
        if self.cases.len() >= OPEN {
            return;
        }
        let block = self.open.get_mut(&id.block_id()).filter(|_| is_open);
        let since_us = block.as_ref().map_or(0, |block| block.record.reserved_at_us);
        if let Some(block) = block {
            block.open_case();
        }
        self.cases.push(Case { id, kind, evidence, since_us, is_open });
    }

    pub(crate) fn cases(&self) -> &[Case] {
        &self.cases
    }

    /// Takes where the first of them were made.
    pub(crate) fn close_cases(&mut self, origins: &[Origin]) {
        let count = origins.len().min(self.cases.len());
        for (case, origin) in self.cases.drain(..count).collect::<Vec<_>>().into_iter().zip(origins) {
            let Case { id, kind, is_open, .. } = case;
            let accepted = if let Origin::Accepted(accepted) = origin { Some(*accepted) } else { None };
            match self.open.get_mut(&id.block_id()).filter(|_| is_open) {
                Some(block) => block.close_case(kind, accepted),
                None if accepted.is_none() => {}
                None if kind == Kind::NeverSent && !self.done.contains(id.block_id()) => {
                    self.lasting.strangers.was_accepted(id.block_id());
                }
                None => self.done.was_accepted(id.block_id(), kind),
            }
            let (to, detail) = match origin {
                Origin::Routed => continue,
                Origin::Accepted(accepted) => ((Stage::Accepted, *accepted), "it was so on sales already"),
                Origin::Unknown => (
                    (Stage::Routed, kind),
                    "sales no longer reaches back so far, or is too long to search: it may have been so there",
                ),
            };
            self.lasting.findings.put_down_to(Stage::Routed, kind, &id, to, detail);
        }
    }
}
