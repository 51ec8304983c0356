//! What the auditor can find wrong, and the exporter shows.

use serde::{Deserialize, Serialize};

/// What went wrong. Where a sale is lost, the stage says by whom: `accepted` by Kafka, `routed` by the fan-out, `cached`,
/// `stored` and `returned` by the role that fills that store or topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It was there at the stage before, the stage has provably passed it, and it is not there.
    Lost,
    /// A generated sale lies on `sales.rejected`.
    Rejected,
    /// It is there more than once.
    Duplicate,
    /// It is there, and a field of it is not what was sent.
    Altered,
    /// It lies on the topic of a state that is not its own.
    Misrouted,
    /// A later sale of the same loader and store lies before it.
    OutOfOrder,
    /// Nobody sent it: its block is not on the loaders' account, or does not reach so far.
    NeverSent,
    /// A record that is no sale.
    Malformed,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 8] = [
        Self::Lost,
        Self::Rejected,
        Self::Duplicate,
        Self::Altered,
        Self::Misrouted,
        Self::OutOfOrder,
        Self::NeverSent,
        Self::Malformed,
    ];

    /// The name that stands in metrics, JSON and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Rejected => "rejected",
            Self::Duplicate => "duplicate",
            Self::Altered => "altered",
            Self::Misrouted => "misrouted",
            Self::OutOfOrder => "out_of_order",
            Self::NeverSent => "never_sent",
            Self::Malformed => "malformed",
        }
    }
}
