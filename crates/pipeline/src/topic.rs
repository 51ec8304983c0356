//! The topics of an installation.

/// A topic, or the family of those of all states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// What the loaders send.
    Sales,
    /// The topics of all states.
    States,
    /// What came back from the last store.
    Receipts,
    /// Records that are not valid sales, each with the reason in a header.
    Rejected,
    /// What each loader reserved, sent and had acknowledged.
    Blocks,
    /// The auditor's results and its checkpoint.
    Audit,
    /// How far roles have come with their input.
    Positions,
}

impl Topic {
    /// All topics: those of the flow first.
    pub const ALL: [Self; 7] =
        [Self::Sales, Self::States, Self::Receipts, Self::Rejected, Self::Blocks, Self::Audit, Self::Positions];

    /// The name behind the installation's prefix. That of a state's topic ends in the state's code.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sales => "sales",
            Self::States => "sales.",
            Self::Receipts => "receipts",
            Self::Rejected => "sales.rejected",
            Self::Blocks => "kapture.blocks",
            Self::Audit => "kapture.audit",
            Self::Positions => "kapture.positions",
        }
    }

    /// Whether records are written to it in transactions, so that markers lie between them.
    pub const fn is_transactional(self) -> bool {
        !matches!(self, Self::Sales)
    }
}
