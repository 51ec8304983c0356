//! Putting a result on `kapture.results`.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{BATCH_BYTES, Fit, KEPT, RunName, RunResult};
use crate::installation::{Receipt, send_one};
use crate::{Config, Topic, read_committed};

/// The least that sending and deleting get: what came before may have taken nearly all of the time.
const LEAST: Duration = Duration::from_secs(2);

/// Puts the result of a run on the topic, with as much of it as fits, and deletes those beyond the newest [`KEPT`]. Takes
/// `limit` and a few seconds at most. An error if Kafka has not acknowledged it.
pub async fn publish(config: &Config, name: &RunName, result: RunResult, limit: Duration) -> anyhow::Result<Fit> {
    let deadline = Instant::now() + limit;
    let (value, fit) = result.fitted(name)?;
    let topic = config.names().results();
    // A stop has been asked for already, perhaps: the limit alone ends it.
    let never = CancellationToken::new();
    let Ok(made) = tokio::time::timeout(limit, config.ensure_topics(&[Topic::Results], &never)).await else {
        bail!("kafka did not have the topic within {} s", limit.as_secs());
    };
    made.with_context(|| format!("making the topic {topic}"))?;
    let (config, name) = (config.clone(), name.clone());
    tokio::task::spawn_blocking(move || send(&config, &name, &value, deadline)).await.context("publishing")??;
    Ok(fit)
}

fn remaining(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now()).max(LEAST)
}

fn send(config: &Config, name: &RunName, value: &[u8], deadline: Instant) -> anyhow::Result<()> {
    let limit = remaining(deadline);
    let mut settings = config.idempotent_producer();
    settings.set("message.max.bytes", BATCH_BYTES.to_string());
    let topic = config.names().results();
    let record = BaseRecord::to(&topic).key(name.as_str()).payload(value);
    let producer = send_one(settings, record, limit).with_context(|| format!("sending to {topic}"))?;
    if let Err(err) = prune(config, &topic, &producer, remaining(deadline)) {
        // The next run does it.
        warn!(err = format!("{err:#}"), "deleting old results");
    }
    Ok(())
}

/// Deletes the results beyond the newest.
fn prune(config: &Config, topic: &str, producer: &BaseProducer<Receipt>, limit: Duration) -> anyhow::Result<()> {
    let mut last: HashMap<Vec<u8>, i64> = HashMap::new();
    read_committed(config, topic, limit, |record| {
        let key = record.key().unwrap_or_default();
        match record.payload() {
            Some(_) => drop(last.insert(key.to_owned(), record.offset())),
            None => drop(last.remove(key)),
        }
    })?;
    let mut by_age: Vec<(i64, Vec<u8>)> = last.into_iter().map(|(key, offset)| (offset, key)).collect();
    by_age.sort_unstable();
    let old = by_age.len().saturating_sub(KEPT);
    if old == 0 {
        return Ok(());
    }
    for (_, key) in &by_age[..old] {
        producer.send(BaseRecord::<_, ()>::to(topic).key(key)).map_err(|(err, _)| err).context("sending")?;
    }
    producer.flush(LEAST).context("sending")
}
