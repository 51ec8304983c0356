//! The pipeline, written down once: its stages in the order of the flow, who fills each of them from where, and the
//! topics between them. Pure.
//!
//! Programs follow from it: names of topics and groups, the roles of etl, the stages of the auditor, what the exporter
//! counts and lists. What is not Rust reads `pipeline.json`, which a test holds to this crate.
//!
//! To add a stage, add a row to [`FLOW`] and its names here; then the compiler shows where the stage must be handled.
#![deny(missing_docs)]

mod per_stage;
mod role;
mod stage;
mod topic;

pub use per_stage::PerStage;
pub use role::Role;
pub use stage::{Place, Stage, Store};
pub use topic::Topic;

/// A stage with all that belongs to it.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Where a sale must be found.
    pub stage: Stage,
    /// Where it was before.
    pub after: Option<Stage>,
    /// Which component puts it there, and counts it: the loader, or a role of etl.
    pub component: &'static str,
    /// The role, unless it is the loader's doing.
    pub role: Option<Role>,
    /// Where it is put.
    pub place: Place,
}

/// All stages in the order of the flow, which is that of [`Stage::ALL`].
pub const FLOW: [Row; 5] = [
    Row { stage: Stage::Accepted, after: None, component: "loader", role: None, place: Place::Topic(Topic::Sales) },
    Row {
        stage: Stage::Routed,
        after: Some(Stage::Accepted),
        component: "etl-fan-out",
        role: Some(Role::FanOut),
        place: Place::Topic(Topic::States),
    },
    Row {
        stage: Stage::Cached,
        after: Some(Stage::Routed),
        component: "etl-redis",
        role: Some(Role::Redis),
        place: Place::Store(Store::Redis),
    },
    Row {
        stage: Stage::Stored,
        after: Some(Stage::Routed),
        component: "etl-postgres",
        role: Some(Role::Postgres),
        place: Place::Store(Store::Postgres),
    },
    Row {
        stage: Stage::Returned,
        after: Some(Stage::Stored),
        component: "etl-spout",
        role: Some(Role::Spout),
        place: Place::Topic(Topic::Receipts),
    },
];
