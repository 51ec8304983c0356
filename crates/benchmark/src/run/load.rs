//! The rate in force: set on all loaders, renewed as long as the run lives, and given back at its end.

use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::time::Instant;
use tracing::{debug, warn};

use super::cluster::Cluster;

/// The loaders and what they were told.
#[derive(Debug)]
pub(super) struct Load<'a, C> {
    cluster: &'a C,
    loaders: Vec<String>,
    /// How often a lease is renewed.
    renew: Duration,
    /// After so long without renewal, the configured rate is back and the step is spoilt.
    lease: Duration,
    /// Sales per second of each loader, the name of the step, and when a loader last failed to be told: none if all were.
    wanted: Option<(f64, String)>,
    renewed: Option<Instant>,
}

impl<'a, C: Cluster> Load<'a, C> {
    pub(super) fn new(cluster: &'a C, loaders: Vec<String>, renew: Duration, lease: Duration) -> Self {
        Self { cluster, loaders, renew, lease, wanted: None, renewed: None }
    }

    pub(super) fn loaders(&self) -> usize {
        self.loaders.len()
    }

    /// Offers a rate, shared out evenly, until another is offered. All loaders must take it.
    pub(super) async fn offer(&mut self, rate: f64, step: impl Into<String>) -> anyhow::Result<()> {
        let step = step.into();
        self.wanted = Some((rate / self.loaders.len().max(1) as f64, step.clone()));
        ensure!(!self.loaders.is_empty(), "there is no loader");
        self.tell().await.with_context(|| format!("setting the rate of {step}"))?;
        self.renewed = Some(Instant::now());
        Ok(())
    }

    /// Renews the lease if it is time. One that can't be told may be busy: only when its lease must have run out is that an
    /// error.
    pub(super) async fn keep(&mut self) -> anyhow::Result<()> {
        let Some(renewed) = self.renewed.filter(|renewed| renewed.elapsed() >= self.renew) else { return Ok(()) };
        match self.tell().await {
            Ok(()) => self.renewed = Some(Instant::now()),
            Err(err) if renewed.elapsed() < self.lease => debug!(err = format!("{err:#}"), "renewing the rate"),
            Err(err) => return Err(err).context("renewing the rate: its lease has run out"),
        }
        Ok(())
    }

    /// All loaders at once, so that a slow one does not hold the others up.
    async fn tell(&self) -> anyhow::Result<()> {
        let Some((rate, step)) = &self.wanted else { return Ok(()) };
        all(self.loaders.iter().map(|loader| self.cluster.offer(loader, *rate, step))).await
    }

    /// Gives the loaders their configured rate back. One that can't be told has it when its lease runs out.
    pub(super) async fn release(&mut self) {
        self.wanted = None;
        self.renewed = None;
        if let Err(err) = all(self.loaders.iter().map(|loader| self.cluster.release(loader))).await {
            warn!(err = format!("{err:#}"), "giving a rate back: it is restored when its lease runs out");
        }
    }
}

/// Awaits all of them together; the first error is the answer.
async fn all(asked: impl Iterator<Item = impl Future<Output = anyhow::Result<()>>>) -> anyhow::Result<()> {
    let mut pending: Vec<_> = asked.map(|one| Some(Box::pin(one))).collect();
    let mut first = Ok(());
    std::future::poll_fn(|context| {
        for slot in &mut pending {
            if let Some(one) = slot
                && let std::task::Poll::Ready(done) = one.as_mut().poll(context)
            {
                *slot = None;
                if first.is_ok() {
                    first = done;
                }
            }
        }
        if pending.iter().all(Option::is_none) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    first
}
