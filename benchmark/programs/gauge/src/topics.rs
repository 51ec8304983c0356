//! Recreates topics, and reads all of them at once.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use backon::{BlockingRetryable, ConstantBuilder, Retryable};
use kafka::{Admin, Logs, Part, Partition, Record, read_parts};
use petstore::State;
use serde_json::{Value, json};

/// Everything waited for here takes seconds; a static member that vanished is removed after ten.
pub(crate) const LIMIT: Duration = Duration::from_mins(1);
/// Between two tries.
const REST: Duration = Duration::from_millis(200);
const RETRIES: ConstantBuilder = ConstantBuilder::new().with_delay(REST).without_max_times();

/// The topics of all states: `{}` in `pattern` is the state's code.
pub(crate) fn of_states(pattern: &str) -> Vec<(State, String)> {
    State::ALL.into_iter().map(|state| (state, pattern.replace("{}", state.code()))).collect()
}

/// Recreates the topics of all states, with one partition each, and deletes the group's committed offsets.
pub(crate) async fn clear(kafka: &kafka::Config, group: &str, pattern: &str) -> anyhow::Result<Value> {
    let topics: Vec<String> = of_states(pattern).into_iter().map(|(_, topic)| topic).collect();
    recreate(kafka, &topics, 1).await?;
    delete(kafka, &[&kafka.names().positions()]).await?;
    let (admin, begun) = (Admin::new(kafka)?, Instant::now());
    // A member's session may not have expired yet, or the coordinator have only just started.
    (|| admin.delete_group(group)).retry(RETRIES).when(|_| begun.elapsed() < LIMIT).await?;
    Ok(json!({"topics": topics.len()}))
}

/// With the broker's defaults, so that all programs write to the same kind of topic.
pub(crate) async fn recreate(kafka: &kafka::Config, topics: &[String], partitions: i32) -> anyhow::Result<()> {
    let mut left: Vec<&str> = topics.iter().map(String::as_str).collect();
    delete(kafka, &left).await?;
    let (admin, begun) = (Admin::new(kafka)?, Instant::now());
    loop {
        // The old ones are still being deleted.
        left = admin.make(&left, partitions).await?;
        if left.is_empty() {
            return Ok(());
        }
        if begun.elapsed() >= LIMIT {
            bail!("topics were not deleted within {} s: {}", LIMIT.as_secs(), left.join(", "));
        }
        tokio::time::sleep(REST).await;
    }
}

/// Deletes those of the topics that exist.
pub(crate) async fn delete(kafka: &kafka::Config, topics: &[&str]) -> anyhow::Result<Value> {
    Ok(json!({"deleted": Admin::new(kafka)?.delete(topics).await?}))
}

/// All partitions of the topics, each with its end offset. A broker that is too busy to answer, or not yet the leader, is
/// asked again.
pub(crate) fn ends(kafka: &kafka::Config, topics: &[String]) -> anyhow::Result<Vec<(Partition, i64)>> {
    let (logs, begun) = (Logs::new(kafka, "reader", LIMIT)?, Instant::now());
    let ends = (|| try_ends(&logs, topics)).retry(RETRIES).when(|_| begun.elapsed() < LIMIT).call();
    ends.context("finding the ends of topics")
}

fn try_ends(logs: &Logs, topics: &[String]) -> anyhow::Result<Vec<(Partition, i64)>> {
    let mut partitions = Vec::new();
    for topic in topics {
        let of_topic = logs.partitions(topic)?;
        anyhow::ensure!(!of_topic.is_empty(), "there is no topic {topic}");
        partitions.extend(of_topic);
    }
    let ends = logs.ends(&partitions)?;
    Ok(partitions.into_iter().zip(ends).collect())
}

/// Calls `each` with every committed record of `topics`, until the end of each partition was reached.
pub(crate) fn read_all(
    kafka: &kafka::Config,
    topics: &[String],
    mut each: impl FnMut(&Record<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let part = |(partition, end)| Part { partition, start: 0, end, trimmed: false };
    let parts: Vec<Part> = ends(kafka, topics)?.into_iter().map(part).collect();
    let (mut failed, mut heard, mut before) = (None, Instant::now(), i64::MAX);
    let goes_on = |left| {
        if left < before {
            (before, heard) = (left, Instant::now());
        }
        Ok(heard.elapsed() < LIMIT)
    };
    let read = read_parts(kafka, &parts, goes_on, |record| {
        if failed.is_none() {
            failed = each(record).err();
        }
    })?;
    match failed {
        Some(err) => Err(err),
        None if read.left > 0 => bail!("{} offsets were not read: nothing came for {} s", read.left, LIMIT.as_secs()),
        None => Ok(()),
    }
}
