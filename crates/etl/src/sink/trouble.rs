//! What a sink does when Kafka is away, or has not what the store's position asks for.

use std::time::{Duration, Instant};

use anyhow::bail;
use tracing::{error, info, warn};

use super::gather::{CHECK_AFTER, Gather};

/// A position may be beyond a log's end for a moment, while a new leader doesn't know the end yet.
const BEYOND_LIMIT: Duration = Duration::from_secs(15);

impl Gather<'_> {
    /// No broker answers. Nothing more is written until it is known that Kafka is still the same.
    pub(super) fn doubt(&mut self) -> anyhow::Result<()> {
        self.sink.metrics.sink.kafka_errors.inc();
        if !self.unsure {
            warn!("kafka is away");
            self.unsure = true;
            self.kafka_ready.missing("no broker can be reached");
            self.shares.forget();
            self.member.fetch(&[])?;
            self.sink.identify_kafka(&self.replies.0);
        }
        Ok(())
    }

    /// Goes over what Kafka deleted before it was read, and stops where the store is ahead of Kafka.
    pub(super) fn check_positions(&mut self) -> anyhow::Result<()> {
        self.check_at = None;
        // A broker answers a connection in order: behind a fetch that waits for records, each answer takes half a second.
        self.member.fetch(&[])?;
        let mut beyond = None;
        for (partition, next) in self.shares.known() {
            match self.member.ends(&partition) {
                Ok((first, _)) if next < first => {
                    let topic = &partition.0;
                    error!(topic, from = next, to = first, "kafka deleted sales before they were stored");
                    self.sink.metrics.sink.gap.inc_by((first - next).unsigned_abs());
                    self.shares.skip_to(&partition, first);
                }
                Ok((_, end)) if next > end => beyond = Some((partition, next, end)),
                Ok(_) => {}
                Err(err) => {
                    info!("waiting to learn where kafka's logs begin and end: {err}");
                    self.check_at = Some(Instant::now() + CHECK_AFTER);
                    return Ok(());
                }
            }
        }
        self.stale();
        let Some(((topic, _), next, end)) = beyond else {
            self.beyond_since = None;
            return Ok(());
        };
        if self.beyond_since.get_or_insert_with(Instant::now).elapsed() > BEYOND_LIMIT {
            bail!(
                "the store is at offset {next} of {topic}, but kafka's log ends at {end}: kafka lost what was stored, and \
                 new records at those offsets would be left out. To begin anew, delete what the store holds: {}",
                self.reset
            );
        }
        self.check_at = Some(Instant::now() + CHECK_AFTER);
        Ok(())
    }
}
