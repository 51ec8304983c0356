//! The topics of an installation.

/// A topic, or the family of all state topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// What the loaders send.
    Sales,
    /// The topics of all states.
    States,
    /// The sales that came back from Postgres.
    Receipts,
    /// Records that are not valid sales, each with the reason in a header.
    Rejected,
    /// What each loader reserved, sent and had acknowledged.
    Blocks,
    /// The auditor's results and its checkpoint.
    Audit,
    /// How far the fan-out and the spout have read their input.
    Positions,
    /// The results of benchmarks.
    Results,
}

impl Topic {
    /// All topics, beginning with those of the flow.
    pub const ALL: [Self; 8] = [
        Self::Sales,
        Self::States,
        Self::Receipts,
        Self::Rejected,
        Self::Blocks,
        Self::Audit,
        Self::Positions,
        Self::Results,
    ];

    /// The name after the installation's prefix. The name of a state topic continues with the state's code.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sales => "sales",
            Self::States => "sales.",
            Self::Receipts => "receipts",
            Self::Rejected => "sales.rejected",
            Self::Blocks => "kapture.blocks",
            Self::Audit => "kapture.audit",
            Self::Positions => "kapture.positions",
            Self::Results => "kapture.results",
        }
    }
}
