//! What was found at one place, in numbers, with an example of each fault.

use petstore::{SaleId, State};

/// What was found at one place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Acknowledged before the cut.
    pub(crate) expected: u64,
    /// There.
    pub(crate) there: u64,
    /// Those that are not there, and were not at the stage before either.
    pub(crate) not_routed: u64,
    /// The oldest of the others that are not there, the state that it belongs to, and when it was due (0 if nobody
    /// knows).
    pub(crate) oldest: Option<(SaleId, State, i64)>,
    /// There more than once: how many times too often, and one of them.
    pub(crate) duplicates: u64,
    pub(crate) duplicate: Option<SaleId>,
    /// There, and not what was sent, though it was at the stages before: how many, and one of them.
    pub(crate) altered: u64,
    pub(crate) one_altered: Option<SaleId>,
    /// On another state's topic.
    pub(crate) misrouted: u64,
    /// Never sent: not in the block at all, or behind its end.
    pub(crate) never_sent: u64,
}

impl Found {
    pub(crate) fn missing(&self) -> u64 {
        self.expected - self.there
    }

    pub(crate) fn is_right(&self) -> bool {
        self.missing() + self.duplicates + self.altered + self.misrouted + self.never_sent == 0
    }
}
