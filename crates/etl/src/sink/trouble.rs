//! What a sink does when Kafka is away, or has not what the store's position asks for.

use anyhow::anyhow;
use kafka::Checked;
use tracing::{error, info, warn};

use super::gather::{Fetch, Gather};

impl Gather<'_> {
    /// No broker answers. Nothing more is written until it is known that Kafka is still the same.
    pub(super) fn doubt(&mut self) -> anyhow::Result<()> {
        self.sink.metrics.sink.kafka_errors.inc();
        self.watch.doubt();
        if !self.unsure {
            warn!("kafka is away");
            self.unsure = true;
            self.kafka_ready.missing("no broker can be reached");
            self.shares.forget();
            self.member.fetch(&[])?;
        }
        Ok(())
    }

    /// Ends the process if Kafka is another one; goes on once it is known to be the same.
    pub(super) fn look_at_kafka(&mut self) -> anyhow::Result<()> {
        if self.watch.is_sure()? && self.unsure {
            info!("kafka is back");
            self.unsure = false;
            self.kafka_ready.set(true);
        }
        Ok(())
    }

    /// Goes over what Kafka deleted before it was read, and stops where the store is ahead of Kafka.
    pub(super) fn check_positions(&mut self) -> anyhow::Result<()> {
        if !self.watch.is_sure()? {
            return Ok(());
        }
        // A broker answers a connection in order: behind a fetch that waits for records, each answer takes half a second.
        self.member.fetch(&[])?;
        if self.fetch == Fetch::Right {
            self.fetch = Fetch::Stale;
        }
        let checked = self.range.check(&self.shares.known(), |partition| self.member.ends(partition));
        let checked = checked.map_err(|beyond| {
            anyhow!("the store {beyond}. To start over, delete what the store holds: {}", self.reset)
        })?;
        if let Checked::Gaps(gaps) = checked {
            for gap in gaps {
                let topic = &gap.partition.0;
                error!(topic, from = gap.from, to = gap.to, "kafka deleted sales before they were stored");
                self.sink.metrics.sink.gap.inc_by(gap.offsets());
                self.shares.skip_to(&gap.partition, gap.to);
            }
        }
        Ok(())
    }
}
