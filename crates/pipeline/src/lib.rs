//! The definition of the pipeline: its stages in the order of the flow, which component fills each of them from where, and
//! the topics between them. Pure.
//!
//! The programs derive from it the names of topics and groups, the roles of etl, the stages of the auditor, and what the
//! exporter counts and lists. Anything that is not Rust reads `pipeline.json`, which a test keeps equal to this crate.
//!
//! To add a stage, add a row to [`FLOW`] and the names in this crate; then the compiler shows where it must be handled.
#![deny(missing_docs)]

mod per_stage;
mod role;
mod stage;
mod topic;

pub use per_stage::PerStage;
pub use role::Role;
pub use stage::{Place, Stage, Store};
pub use topic::Topic;

/// A stage and everything that belongs to it.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Where a sale must be found.
    pub stage: Stage,
    /// The stage before it.
    pub after: Option<Stage>,
    /// Which component puts it there, and counts it: the loader, or a role of etl.
    pub component: &'static str,
    /// Where that component's settings are in the chart's values.
    pub values: &'static str,
    /// The role of etl, if one fills the stage; the loader fills the first.
    pub role: Option<Role>,
    /// Where it is put.
    pub place: Place,
}

/// All stages in the order of the flow.
pub const FLOW: &[Row] = &[
    Row {
        stage: Stage::Accepted,
        after: None,
        component: "loader",
        values: "loader",
        role: None,
        place: Place::Topic(Topic::Sales),
    },
    Row {
        stage: Stage::Routed,
        after: Some(Stage::Accepted),
        component: "etl-fan-out",
        values: "etl.fanOut",
        role: Some(Role::FanOut),
        place: Place::Topic(Topic::States),
    },
    Row {
        stage: Stage::Cached,
        after: Some(Stage::Routed),
        component: "etl-redis",
        values: "etl.redis",
        role: Some(Role::Redis),
        place: Place::Store(Store::Redis),
    },
    Row {
        stage: Stage::Stored,
        after: Some(Stage::Routed),
        component: "etl-postgres",
        values: "etl.postgres",
        role: Some(Role::Postgres),
        place: Place::Store(Store::Postgres),
    },
    Row {
        stage: Stage::Returned,
        after: Some(Stage::Stored),
        component: "etl-spout",
        values: "etl.spout",
        role: Some(Role::Spout),
        place: Place::Topic(Topic::Receipts),
    },
];
