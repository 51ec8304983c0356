//! How far the logs were read, and what on them belongs to no block.

use anyhow::ensure;
pub(crate) use service::account::{Rejected, RejectedRecords};

use super::{Audit, Evidence, place, stage, strays};
use crate::audit::findings::{Kind, Stage, short};
use crate::audit::record::Record;
use crate::audit::source::{Positions, Source};

/// Records that are shown whole.
const SHOWN: usize = 20;

/// What waited for a block at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unknown {
    /// Sales with a number below this one. A count would not do: those whose block becomes known leave the middle.
    sales: u64,
    /// So many of the blocks that stores have.
    blocks: usize,
}

impl Audit {
    pub(crate) fn malformed(&mut self, source: Source, offset: i64, reason: &str) {
        if offset >= self.counted.at(source) {
            let stage = stage(source);
            self.lasting.strays[strays(stage)].malformed += 1;
            self.lasting.findings.add(stage, Kind::Malformed, &format!("{source}, offset {offset}"), reason);
        }
    }

    /// Takes a record from `sales.rejected`.
    pub(crate) fn rejected(&mut self, record: Rejected) {
        if record.offset < self.counted.at(Source::Rejected) {
            return;
        }
        self.lasting.rejected.count += 1;
        if self.lasting.rejected.first.len() < SHOWN {
            // The fan-out quotes bodies in its reasons.
            let reason = short(&record.reason);
            self.lasting.rejected.first.push(Rejected { reason, ..record });
        }
    }

    /// Says that the account of blocks was read to an end that was taken after [`Self::unknown`] was asked: what was
    /// read by then and still has no block was never sent.
    pub(crate) fn blocks_are_known(&mut self, unknown: Unknown) {
        for waiting in self.waiting.before(unknown.sales) {
            self.stray(&waiting.record);
        }
        self.judge_strange_blocks(unknown.blocks);
    }

    /// What waits for a block, to be given to [`Self::blocks_are_known`]; `None` if nothing does.
    pub(crate) fn unknown(&self) -> Option<Unknown> {
        let unknown = Unknown { sales: self.waiting.next(), blocks: self.lasting.strangers.waiting() };
        (!self.waiting.is_empty() || unknown.blocks > 0).then_some(unknown)
    }

    pub(super) fn stray(&mut self, record: &Record<'_>) {
        if record.offset < self.counted.at(record.source) {
            return;
        }
        let (id, stage) = (record.id, stage(record.source));
        if self.lasting.strangers.came(stage, id.block_id()) {
            self.lasting.findings.add(stage, Kind::NeverSent, &id, &place(record));
        }
        if stage == Stage::Routed {
            // It came all the way: no other stage is to blame.
            let after = Stage::ALL.into_iter().filter(|after| *after > stage);
            after.for_each(|after| self.lasting.findings.retract_of(after, Kind::NeverSent, id.block_id()));
            self.open_case(id, Kind::NeverSent, Evidence::of(record), false);
        }
    }

    /// Says how far a source was read, everything below having been put in.
    pub(crate) fn read_to(&mut self, source: Source, next: i64) {
        self.read.set(source, next.max(self.read.at(source)));
    }

    pub(crate) fn positions(&self) -> &Positions {
        &self.read
    }

    /// Where to go on in each log, at least one of which no longer holds what was to be read next.
    pub(crate) fn go_on(&mut self, beginnings: &[i64], ends: &[i64], now_us: i64) -> anyhow::Result<Vec<i64>> {
        for (source, end) in self.sources.iter().zip(ends) {
            let next = self.read.at(*source);
            // Nothing that is known here can be trusted to be of this log.
            ensure!(
                next <= *end,
                "{source} ends at {end}, and was read to {next}: Kafka lost records, or was emptied; starting again"
            );
        }
        Ok(self.begin_all(beginnings, ends, now_us))
    }

    /// Where to begin, or to go on, in each log.
    pub(crate) fn begin_all(&mut self, beginnings: &[i64], ends: &[i64], now_us: i64) -> Vec<i64> {
        let logs = self.sources.clone().into_iter().zip(beginnings).zip(ends);
        logs.map(|((source, beginning), end)| self.begin(source, *beginning, *end, now_us)).collect()
    }

    /// Where to begin, or to go on, in a log that now reaches from `beginning` to `end`.
    ///
    /// If that is elsewhere than it was to be, records were deleted before they were read: what is missing of any block
    /// so far may have been there.
    pub(crate) fn begin(&mut self, source: Source, beginning: i64, end: i64, now_us: i64) -> i64 {
        let next = self.read.at(source);
        let start = next.clamp(beginning, end.max(beginning));
        self.read.set(source, start);
        self.pace.ends_at(source, end);
        self.counted.set(source, end.min(self.counted.at(source)));
        if start != next && source != Source::Rejected {
            tracing::warn!(%source, next, beginning, end, "records were deleted before they were read: blocks until now can't be judged");
            self.lasting.overtaken.add(source, start.saturating_sub(next), now_us);
            let suspect = &mut self.lasting.suspect_before_us[strays(stage(source))];
            *suspect = now_us.max(*suspect);
            self.open.values_mut().for_each(|block| block.suspect(stage(source)));
            self.reserved.values_mut().for_each(|reserved| reserved.suspect[strays(stage(source))] = true);
        }
        start
    }
}
