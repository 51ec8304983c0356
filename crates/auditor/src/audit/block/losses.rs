//! What is missing at routed, by what became of it.

use kafka::Ranges;

/// What became of sales that the fan-out has passed and that are not where they belong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Not on `sales` either.
    LostByKafka,
    /// On `sales`.
    LostByFanOut,
    /// Lost, but nobody can tell by whom: `sales` no longer reaches back to it.
    Lost,
    /// On `sales.rejected`, though it is right on `sales`.
    Rejected,
    /// On `sales.rejected`, and what is on `sales` is no longer what was sent.
    Spoilt,
    /// The topic of its state was deleted ahead of the auditor: it may have been there.
    NotAuditable,
}

/// The sales of a block that were given up.
#[derive(Clone, Debug, Default)]
pub(super) struct Losses {
    pub(super) by_kafka: Ranges,
    pub(super) by_fan_out: Ranges,
    pub(super) rejected: Ranges,
    pub(super) spoilt: Ranges,
    pub(super) not_auditable: Ranges,
}

impl Losses {
    /// Gives one up; false if it was.
    pub(super) fn add(&mut self, index: u32, fate: Fate) -> bool {
        let fated = match fate {
            Fate::LostByKafka => &mut self.by_kafka,
            Fate::LostByFanOut | Fate::Lost => &mut self.by_fan_out,
            Fate::Rejected => &mut self.rejected,
            Fate::Spoilt => &mut self.spoilt,
            Fate::NotAuditable => &mut self.not_auditable,
        };
        fated.insert(index)
    }

    pub(super) fn contains(&self, index: u32) -> bool {
        self.all().iter().any(|ranges| ranges.contains(index))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all().iter().all(|ranges| ranges.is_empty())
    }

    fn all(&self) -> [&Ranges; 5] {
        [&self.by_kafka, &self.by_fan_out, &self.rejected, &self.spoilt, &self.not_auditable]
    }
}
