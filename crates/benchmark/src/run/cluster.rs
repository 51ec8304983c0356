//! What a run asks of a cluster.

use service::state::{Received, State};

use crate::judge::Partition;

/// A cluster under test: what the exporter knows of it, and the loaders' rates.
pub trait Cluster {
    /// What the exporter makes of all reports, at this moment.
    fn state(&self) -> impl Future<Output = anyhow::Result<State>> + Send;

    /// The last report of every instance.
    fn reports(&self) -> impl Future<Output = anyhow::Result<Vec<Received>>> + Send;

    /// What is known of each partition that is read.
    fn partitions(&self) -> impl Future<Output = anyhow::Result<Vec<Partition>>> + Send;

    /// Sets the rate of one loader, in sales per second, for the time of a lease. Said again, it renews the lease.
    fn offer(&self, loader: &str, rate: f64, step: &str) -> impl Future<Output = anyhow::Result<()>> + Send;

    /// Gives a loader its configured rate back.
    fn release(&self, loader: &str) -> impl Future<Output = anyhow::Result<()>> + Send;
}
