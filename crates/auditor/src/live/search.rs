//! Who lost a sale: Kafka, if it isn't on `sales`; the fan-out, if it is.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use kafka::SaleHeaders;
use petstore::BlockId;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use service::Beat;
use tokio_util::sync::CancellationToken;

use super::logs::{Logs, Partitions};
use crate::bits::Bits;
use crate::block::Fate;
use crate::ledger::Missing;

/// A search reads `sales` from the time at which the oldest of the missing was reserved. Beyond this it is given up,
/// and who lost them is left open.
const LIMIT: Duration = Duration::from_mins(2);
/// A record's time is its loader's, or its broker's: how far the two clocks may differ.
const CLOCKS_MS: i64 = 30_000;

/// Where sales were found that are missing on their states' topics.
#[derive(Default)]
struct Found {
    on_sales: Bits,
    on_rejected: Bits,
}

/// Says of each missing sale what became of it.
pub(super) fn search(
    kafka: &kafka::Config,
    logs: &Logs,
    missing: &[Missing],
    beat: &Beat,
    shutdown: &CancellationToken,
) -> anyhow::Result<Vec<(BlockId, u32, Fate)>> {
    let mut wanted: HashMap<BlockId, (&Missing, Found)> =
        missing.iter().map(|missing| (missing.id, (missing, Found::default()))).collect();
    let since_ms = missing.iter().map(|missing| missing.reserved_at_us / 1_000).min().unwrap_or(0) - CLOCKS_MS;
    let scan = Scan { kafka, logs, since_ms, beat, shutdown };
    let names = kafka.names();
    let whole = scan.topic(&names.sales(), |id| {
        if let Some((missing, found)) = wanted.get_mut(&id.block_id())
            && missing.indices.contains(id.index)
        {
            found.on_sales.insert(id.index);
        }
    })?;
    scan.topic(&names.rejected(), |id| {
        if let Some((missing, found)) = wanted.get_mut(&id.block_id())
            && missing.indices.contains(id.index)
        {
            found.on_rejected.insert(id.index);
        }
    })?;
    let fates = wanted.into_values().flat_map(|(missing, found)| {
        missing.indices.iter().map(move |index| {
            let fate = match (found.on_rejected.contains(index), found.on_sales.contains(index), whole) {
                (true, _, _) => Fate::Rejected,
                (false, true, _) => Fate::LostByFanOut,
                (false, false, true) => Fate::LostByKafka,
                (false, false, false) => Fate::Lost,
            };
            (missing.id, index, fate)
        })
    });
    Ok(fates.collect())
}

struct Scan<'a> {
    kafka: &'a kafka::Config,
    logs: &'a Logs,
    since_ms: i64,
    beat: &'a Beat,
    shutdown: &'a CancellationToken,
}

impl Scan<'_> {
    /// Reads a topic from the time on; false if it does not reach back so far, or is too long to read.
    fn topic(&self, topic: &str, mut each: impl FnMut(petstore::SaleId)) -> anyhow::Result<bool> {
        let begun = Instant::now();
        let partitions: Vec<(String, i32)> =
            (0..self.logs.partitions(topic)?).map(|partition| (topic.to_owned(), partition)).collect();
        let ends = self.logs.ends(&partitions)?;
        let beginnings = self.logs.beginnings(&partitions)?;
        let starts = self.logs.at_time(&partitions, self.since_ms)?;
        let reaches_back =
            starts.iter().zip(&beginnings).all(|(start, beginning)| start > beginning || *beginning == 0);

        let consumer = self.reader(&partitions, &starts)?;
        let mut next = starts;
        while next.iter().zip(&ends).any(|(next, end)| next < end) {
            self.beat.turned();
            if self.shutdown.is_cancelled() {
                bail!("stopped while searching {topic}");
            }
            if begun.elapsed() > LIMIT {
                return Ok(false);
            }
            // Many at a time: the positions, which move past what is no record, cost more than a record.
            let mut wait = Duration::from_millis(100);
            for _ in 0..2_000 {
                match consumer.poll(wait) {
                    Some(Ok(message)) => SaleHeaders::from_message(&message).into_iter().for_each(|sale| each(sale.id)),
                    Some(Err(KafkaError::MessageConsumptionFatal(code))) => bail!("searching {topic}: {code}"),
                    Some(Err(_)) => {}
                    None => break,
                }
                wait = Duration::ZERO;
            }
            let positions = consumer.position().context("asking for the own position")?;
            for ((topic, partition), next) in partitions.iter().zip(&mut next) {
                let position = positions.find_partition(topic, *partition).map(|element| element.offset());
                if let Some(Offset::Offset(position)) = position {
                    *next = position.max(*next);
                }
            }
        }
        Ok(reaches_back)
    }

    fn reader(&self, partitions: &Partitions, starts: &[i64]) -> anyhow::Result<BaseConsumer> {
        let consumer: BaseConsumer = self.kafka.reader().create().context("making a consumer")?;
        let mut assignment = TopicPartitionList::with_capacity(partitions.len());
        for ((topic, partition), start) in partitions.iter().zip(starts) {
            assignment.add_partition_offset(topic, *partition, Offset::Offset(*start))?;
        }
        consumer.assign(&assignment).context("beginning to search")?;
        Ok(consumer)
    }
}
