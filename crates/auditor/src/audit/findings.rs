//! What the auditor can name: a stage, what went wrong there, and with which sale.

use std::fmt::Display;

use petstore::BlockId;
pub(crate) use pipeline::Stage;
use serde::{Deserialize, Serialize};
pub(crate) use service::account::{Finding, Tallies, Tally};
pub(crate) use service::findings::Kind;

/// Findings of one kind at one stage that are shown whole, so that many of one hide none of another. Counts have no such
/// bound; they are kept with the blocks.
pub(super) const SHOWN: usize = 25;

/// Characters of a detail, which may quote a record: all findings are written in one record.
const DETAIL: usize = 200;

pub(super) fn short(detail: &str) -> String {
    detail.chars().take(DETAIL).collect()
}

/// The first findings, whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Findings(Vec<Finding>);

impl Findings {
    /// Adds a finding while there is room, once.
    pub(crate) fn add(&mut self, stage: Stage, kind: Kind, what: &impl Display, detail: &str) {
        if !self.has_room(stage, kind) {
            return;
        }
        let (what, detail) = (what.to_string(), short(detail));
        // After a restart, what an open block has is read again and found again. A third copy of a sale is elsewhere.
        if !self.0.iter().any(|known| is(known, stage, kind, &what) && known.detail == detail) {
            self.0.push(Finding { stage, kind, what, detail, at_us: service::unix_us() });
        }
    }

    pub(crate) fn has_room(&self, stage: Stage, kind: Kind) -> bool {
        self.0.iter().filter(|known| (known.stage, known.kind) == (stage, kind)).count() < SHOWN
    }

    /// Puts a finding at another stage, where it is of another kind perhaps.
    pub(crate) fn put_down_to(
        &mut self,
        stage: Stage,
        kind: Kind,
        what: &impl Display,
        (to, as_kind): (Stage, Kind),
        detail: &str,
    ) {
        let what = what.to_string();
        if let Some(known) = self.0.iter_mut().find(|known| is(known, stage, kind, &what)) {
            (known.stage, known.kind) = (to, as_kind);
            known.detail = short(&format!("{}; {detail}", known.detail));
        }
    }

    /// Takes back what turned out to be otherwise.
    pub(crate) fn retract(&mut self, stage: Stage, kind: Kind, what: &impl Display) {
        let what = what.to_string();
        self.0.retain(|known| !is(known, stage, kind, &what));
    }

    /// Takes back what was found of any sale of a block, or of the block itself.
    pub(crate) fn retract_of(&mut self, stage: Stage, kind: Kind, block: BlockId) {
        let (whole, sale) = (format!("block {block}"), format!("{block}/"));
        let is_of = |what: &str| what == whole || what.starts_with(&sale);
        self.0.retain(|known| !((known.stage, known.kind) == (stage, kind) && is_of(&known.what)));
    }

    /// All that are shown, in the order in which they were found.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.0.iter()
    }
}

fn is(known: &Finding, stage: Stage, kind: Kind, what: &str) -> bool {
    known.stage == stage && known.kind == kind && known.what == what
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_bounded_and_says_each_loss_once() {
        let mut findings = Findings::default();
        for index in 0..300 {
            findings.add(Stage::Routed, Kind::Lost, &(index / 2), "");
        }
        assert_eq!(findings.iter().count(), SHOWN);
        assert_eq!(findings.iter().last().map(|finding| finding.what.as_str()), Some("24"));
        findings.add(Stage::Routed, Kind::Altered, &7, "");
        assert_eq!(findings.iter().count(), SHOWN + 1, "many of one kind hide none of another");
        findings.retract(Stage::Routed, Kind::Altered, &7);
        findings.retract(Stage::Routed, Kind::Lost, &7);
        assert!(findings.iter().all(|finding| finding.what != "7"));
    }

    #[test]
    fn a_detail_is_short_however_long_what_it_quotes() {
        let mut findings = Findings::default();
        findings.add(Stage::Routed, Kind::Malformed, &7, &"ü".repeat(1_000_000));
        for _ in 0..10 {
            let to = (Stage::Routed, Kind::Malformed);
            findings.put_down_to(Stage::Routed, Kind::Malformed, &7, to, "it was so on sales already");
        }
        assert_eq!(findings.iter().map(|finding| finding.detail.chars().count()).collect::<Vec<_>>(), [DETAIL]);
    }
}
