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

/// Asks for the commits of a role by its name; `reader` for logs alone.
pub(super) fn ask(kafka: &kafka::Config, role: &str) -> anyhow::Result<Logs> {
    Logs::new(kafka, role, LIMIT)
}

/// All partitions of `topics` from a time on (unix milliseconds).
pub(super) fn since(kafka: &kafka::Config, topics: &[String], since_ms: i64) -> anyhow::Result<Vec<Part>> {
    ask(kafka, "reader")?.since(topics, since_ms)
}

/// Reads all parts, as far as the deadline lets it.
pub(super) fn read(
    kafka: &kafka::Config,
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
    read_parts(kafka, parts, goes_on, each)
}

/// Waits until a role has committed the ends of all parts; the error explains why it has not in time.
pub(super) fn wait_for(kafka: &kafka::Config, role: &str, parts: &[Part], deadline: Instant) -> Result<(), String> {
    let logs = ask(kafka, role).map_err(|err| format!("{err:#}"))?;
    loop {
        let why = match has_passed(&logs, parts) {
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
