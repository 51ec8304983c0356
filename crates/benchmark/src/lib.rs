//! Turns the rate until the cluster gives way, and answers with a verdict: how much it takes, what gives way first, and
//! whether the answer can be trusted.
#![deny(missing_docs)]

pub mod capsule;
pub mod compare;
pub mod config;
pub mod decide;
pub mod diagnose;
pub mod judge;
pub mod mode;
pub mod report;
pub mod run;
pub mod search;
pub mod statistics;
pub mod verdict;
