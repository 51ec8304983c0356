//! Reads parts of Kafka's logs by a deadline, and tells whether a role has passed them. All of it blocks.

use std::time::{Duration, Instant};

use kafka::{Logs, Part, ReadParts, Record, read_parts};
use tracing::info;

/// One question to Kafka.
const LIMIT: Duration = Duration::from_secs(10);
/// Between two log lines about how far the reading is.
const PROGRESS: Duration = Duration::from_secs(10);
/// Between two looks at how far a role is.
const REST: Duration = Duration::from_millis(250);

/// Kafka, as a recount asks and reads it. What only asks is kept: a new client takes several round trips to every broker
/// before its first answer.
pub(crate) struct Kafka {
    pub(super) config: kafka::Config,
    /// Asks where logs begin and end as well.
    pub(super) fan_out: Logs,
    pub(super) spout: Logs,
}

impl Kafka {
    /// Makes the clients, without connecting them yet.
    pub(crate) fn new(config: &kafka::Config) -> anyhow::Result<Self> {
        let [fan_out, spout] = ["fan-out", "spout"].map(|role| Logs::new(config, role, LIMIT));
        Ok(Self { config: config.clone(), fan_out: fan_out?, spout: spout? })
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

/// Looks again until nothing speaks against it any more; what still does when the time is over.
pub(super) fn wait(deadline: Instant, mut look: impl FnMut() -> Result<(), String>) -> Result<(), String> {
    loop {
        let looked = look();
        if looked.is_ok() || Instant::now() >= deadline {
            return looked;
        }
        std::thread::sleep(REST);
    }
}

/// Whether a role has committed the ends of all parts; the error explains why it has not.
pub(super) fn has_passed(role: &str, logs: &Logs, parts: &[Part]) -> Result<(), String> {
    let parts = || parts.iter().filter(|part| part.end > 0);
    let partitions: Vec<_> = parts().map(|part| part.partition.clone()).collect();
    if partitions.is_empty() {
        return Ok(());
    }
    // A coordinator that moves is silent for a while.
    let committed = logs.committed(&partitions).map_err(|err| format!("{err:#}"))?;
    let passed = parts().zip(committed).all(|(part, next)| next >= part.end);
    if passed { Ok(()) } else { Err(format!("the {role} has not passed the cut")) }
}
