//! What the group has given to this instance, and how far it is in each of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use kafka::transactions::{Events, Failure, Transactions};
use kafka::{Committed, Member, Polled, Watch};
use service::Ready;
use stores::Partition;
use stores::postgres::Span;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{IDLE, Metrics};

pub(super) struct Shares {
    watch: Watch,
    member: Member,
    /// What was assigned, and the next offset of it; none if that must be asked for.
    positions: BTreeMap<Partition, Option<i64>>,
    /// How far the role is in each, whichever instance has it now.
    committed: Committed,
    /// Kafka was away, and may have come back as another one.
    unsure: bool,
    metrics: Arc<Metrics>,
    ready: Ready,
}

impl Shares {
    /// Joins the group. `watch`: of the Kafka whose sales are brought back.
    pub(super) fn join(
        kafka: &kafka::Config,
        watch: Watch,
        metrics: Arc<Metrics>,
        ready: Ready,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            member: Member::of_states(kafka, "spout")?,
            positions: BTreeMap::new(),
            committed: Committed::new(kafka, "spout", watch.installation()),
            watch,
            unsure: false,
            metrics,
            ready,
        })
    }

    /// Serves the group for so long, or until a stop.
    pub(super) fn listen(&mut self, wait: Duration, shutdown: &CancellationToken) -> anyhow::Result<()> {
        let until = Instant::now() + wait;
        while !shutdown.is_cancelled() {
            match self.member.poll(until.saturating_duration_since(Instant::now()).min(IDLE)) {
                // Nothing is fetched.
                Polled::Nothing | Polled::Record(_) | Polled::OutOfRange => {}
                Polled::AllBrokersDown => {
                    if !self.unsure {
                        warn!("kafka is away");
                        self.ready.missing("no broker can be reached");
                    }
                    self.unsure = true;
                    self.watch.doubt();
                    self.metrics.spout.kafka_errors.inc();
                }
                Polled::Fatal(err) => return Err(err).context("listening to the group"),
                Polled::Error(_) => drop(self.metrics.spout.kafka_errors.inc()),
            }
            if let Some(partitions) = self.member.rebalanced() {
                self.assign(partitions);
            }
            if Instant::now() >= until {
                break;
            }
        }
        self.member.check()
    }

    fn assign(&mut self, partitions: Vec<Partition>) {
        if !partitions.is_empty() {
            Events::count(&self.metrics.transactions.rebalances);
            info!(partitions = partitions.len(), "assigned");
            self.ready.set(true);
        }
        self.watch.doubt();
        self.positions = partitions.into_iter().map(|partition| (partition, None)).collect();
    }

    /// Whether Kafka is there and the one that it was; an error if it is another one, or was emptied: what is stored is
    /// not its own.
    pub(super) fn is_sure(&mut self) -> anyhow::Result<bool> {
        let is_sure = self.watch.is_sure()?;
        if is_sure && self.unsure {
            info!("kafka is back");
            self.unsure = false;
            self.ready.set(true);
        }
        Ok(is_sure)
    }

    /// How far this instance is in each of its partitions, as far as that is known: what was committed is asked for.
    pub(super) fn positions(&mut self, shutdown: &CancellationToken) -> Vec<(Partition, i64)> {
        let unknown = self.positions.iter().filter(|(_, at)| at.is_none());
        let unknown: Vec<Partition> = unknown.map(|(partition, _)| partition.clone()).collect();
        if !unknown.is_empty() {
            match self.member.committed(&mut self.committed, &unknown, shutdown) {
                Ok(offsets) => self.positions.extend(unknown.into_iter().zip(offsets.into_iter().map(Some))),
                Err(err) => {
                    self.metrics.spout.kafka_errors.inc();
                    info!("asking for the own positions again: {err:#}");
                }
            }
        }
        self.positions.iter().filter_map(|(partition, at)| Some((partition.clone(), (*at)?))).collect()
    }

    /// Whether all of these begin where this instance is: not any more, once the group has spoken.
    pub(super) fn hold(&self, spans: &[Span]) -> bool {
        !self.unsure && spans.iter().all(|(partition, (low, _))| self.positions.get(partition) == Some(&Some(*low)))
    }

    /// Commits the transaction, and goes on from the positions that it reaches.
    pub(super) fn commit(
        &mut self,
        transactions: &mut Transactions,
        reached: Vec<(Partition, i64)>,
    ) -> Result<(), Failure> {
        transactions.commit(&reached, &self.committed, self.member.membership())?;
        self.positions.extend(reached.into_iter().map(|(partition, next)| (partition, Some(next))));
        Ok(())
    }

    /// What was committed must be asked for again, of a Kafka that is still the same.
    pub(super) fn forget(&mut self) {
        self.watch.doubt();
        self.positions.values_mut().for_each(|position| *position = None);
    }

    /// Leaves the group, if that can be done.
    pub(super) fn leave(self) {
        if self.unsure { self.member.abandon() } else { self.member.leave() }
    }
}
