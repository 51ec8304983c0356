//! What is missing on the topics of a stage, by what became of it.

use kafka::Ranges;

/// What became of sales that the fan-out has passed and that are not where they belong. At returned, they are lost or not
/// auditable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
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

/// The sales of a block that were given up, by their fate.
#[derive(Debug, Default)]
pub(super) struct Losses([Ranges; 6]);

impl Losses {
    pub(super) fn of(&self, fate: Fate) -> &Ranges {
        &self.0[fate as usize]
    }

    /// Gives one up; false if it was.
    pub(super) fn add(&mut self, index: u32, fate: Fate) -> bool {
        self.0[fate as usize].insert(index)
    }

    pub(super) fn contains(&self, index: u32) -> bool {
        self.0.iter().any(|ranges| ranges.contains(index))
    }

    /// Those of `indices` that were not given up.
    pub(super) fn without(&self, indices: &Ranges) -> Ranges {
        indices.iter().filter(|index| !self.contains(*index)).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(Ranges::is_empty)
    }
}
