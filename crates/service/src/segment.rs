//! The part of a load that is under way, as a loader reports it.

use serde::{Deserialize, Serialize};

/// A part of a loader's timeline with one rate: the one in force, or one that has ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// Sales per second as planned; 0 is a pause.
    pub rate: f64,
    /// The name given with a rate that was set from outside; none for the configured rate.
    pub step: Option<String>,
    /// When it began, by the loader's own wall clock, in microseconds since 1970.
    pub t0_us: i64,
    /// Sales of it that were due so far.
    pub due: u64,
    /// Sales of it that were handed to the client so far.
    pub handed_over: u64,
    /// Sales of it that were due and not handed over when it ended; 0 as long as it is in force.
    pub not_offered: u64,
}
