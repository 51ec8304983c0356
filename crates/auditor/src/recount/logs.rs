//! Reads parts of Kafka's logs by a deadline, and waits for a role to pass them. All of it blocks.

use std::time::{Duration, Instant};

use kafka::{Logs, Part, ReadParts, Record, read_parts};
use tracing::{debug, info};

/// One question to Kafka.
const LIMIT: Duration = Duration::from_secs(10);
/// Between two log lines about how far the reading is.
const PROGRESS: Duration = Duration::from_secs(10);
/// Between two looks at how far a role is.
pub(super) const REST: Duration = Duration::from_millis(250);

/// Kafka, as a recount asks and reads it. What only asks is kept: a new client takes several round trips to every broker
/// before its first answer.
pub(crate) struct Kafka {
    pub(super) config: kafka::Config,
    fan_out: Logs,
    spout: Logs,
}

impl Kafka {
    /// Makes the clients, without connecting them yet.
    pub(crate) fn new(config: &kafka::Config) -> anyhow::Result<Self> {
        let [fan_out, spout] = ["fan-out", "spout"].map(|role| Logs::new(config, role, LIMIT));
        Ok(Self { config: config.clone(), fan_out: fan_out?, spout: spout? })
    }

    /// All partitions of `topics` from a time on (unix milliseconds).
    pub(super) fn since(&self, topics: &[String], since_ms: i64) -> anyhow::Result<Vec<Part>> {
        self.fan_out.since(topics, since_ms)
    }

    /// Where the only partition of a topic ends.
    pub(super) fn end(&self, topic: &str) -> anyhow::Result<i64> {
        self.fan_out.end(topic)
    }

    /// Waits until the fan-out has committed the ends of all parts; the error explains why it has not in time.
    pub(super) fn fan_out_passes(&self, parts: &[Part], deadline: Instant) -> Result<(), String> {
        wait_for(&self.fan_out, "fan-out", parts, deadline)
    }

    /// The same for the spout.
    pub(super) fn spout_passes(&self, parts: &[Part], deadline: Instant) -> Result<(), String> {
        wait_for(&self.spout, "spout", parts, deadline)
    }

    /// Reads all parts, as far as the deadline lets it.
    pub(super) fn read(
        &self,
        parts: &[Part],
        deadline: Instant,
        each: impl FnMut(&Record<'_>),
    ) -> anyhow::Result<ReadParts> {
        let mut said = Instant::now();
        let goes_on = |left: i64| {
            if said.elapsed() >= PROGRESS {
                said = Instant::now();
                info!(topic = parts[0].partition.0, partitions = parts.len(), left, "reading");
            }
            Ok(Instant::now() < deadline)
        };
        read_parts(&self.config, parts, goes_on, each)
    }
}

fn wait_for(logs: &Logs, role: &str, parts: &[Part], deadline: Instant) -> Result<(), String> {
    loop {
        let why = match has_passed(logs, parts) {
            Ok(true) => {
                debug!("the {role} has passed the cut");
                return Ok(());
            }
            Ok(false) => format!("the {role} has not passed the cut"),
            // A coordinator that moves is silent for a while.
            Err(err) => format!("{err:#}"),
        };
        if Instant::now() >= deadline {
            return Err(why);
        }
        std::thread::sleep(REST);
    }
}

fn has_passed(logs: &Logs, parts: &[Part]) -> anyhow::Result<bool> {
    let parts = || parts.iter().filter(|part| part.end > 0);
    let partitions: Vec<_> = parts().map(|part| part.partition.clone()).collect();
    Ok(partitions.is_empty() || parts().zip(logs.committed(&partitions)?).all(|(part, next)| next >= part.end))
}
