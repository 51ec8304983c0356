//! Turns the rate until the cluster gives way, and answers with a verdict: how much it takes, what gives way first, and
//! whether the answer can be trusted.
//!
//! What decides is pure, and is tested without a cluster: [`search`] chooses the next rate, [`judge`] whether it held,
//! [`diagnose`] what gave way, [`decide`] the verdict; [`elasticity`] says when the levels hold again after a jump of the load,
//! which a run can measure instead. [`run`] does it on a cluster, through the exporter's API and the
//! loaders' leased rates; [`job`] does that as a pod. Its record is the [`capsule`], which [`report`] shows, [`publish`] keeps in Kafka, and [`compare`] puts
//! beside another.
#![deny(missing_docs)]

pub mod capsule;
pub mod compare;
pub mod config;
pub mod decide;
pub mod diagnose;
pub mod elasticity;
pub mod job;
pub mod judge;
pub mod mode;
pub mod publish;
pub mod report;
pub mod run;
pub mod search;
pub mod statistics;
pub mod verdict;
