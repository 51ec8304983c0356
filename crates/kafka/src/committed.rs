//! What a group has committed, as far as its coordinator can be believed.
//!
//! A coordinator that begins twice in quick succession, as after a broker that stood still for longer than its session,
//! may answer before it has read its log: that nothing was committed, or something that is long past (seen with Kafka
//! 4.1.1, whose broker then says "Ignored load completion"; the rest of its log follows within seconds). Whoever begins
//! there does everything again. So an answer that is behind what this process knows is not believed, nor one about what it
//! does not know until it has been given twice.
//!
//! What still can go wrong: a process that knows nothing, and a coordinator that says the same wrong thing for longer
//! than [`SETTLED`].

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{Consumer, ConsumerContext};
use rdkafka::topic_partition_list::Offset;
use tracing::warn;

/// One question to the coordinator, or to a partition's leader.
const LIMIT: Duration = Duration::from_secs(10);
/// Between two answers that must be the same, where something was committed.
const TWICE: Duration = Duration::from_millis(250);
/// The same where nothing was, although there is something to be read.
const SETTLED: Duration = Duration::from_secs(3);
/// After so long it was not forgotten: somebody has set the group back.
const BELIEVED: Duration = Duration::from_secs(45);

/// A partition of a topic.
type Partition = (String, i32);

/// The positions of a group that this process knows.
#[derive(Debug, Default)]
pub struct Committed {
    known: HashMap<Partition, i64>,
    doubted: Option<Instant>,
}

impl Committed {
    /// Takes what this process has committed itself.
    pub fn moved(&mut self, partition: Partition, next: i64) {
        self.known.insert(partition, next);
    }

    /// The group's next offset of each of these, 0 where nothing was ever committed; waits for what is in a transaction
    /// still. After an error, ask again. Blocks.
    pub fn read<C: ConsumerContext, T: Consumer<C>>(
        &mut self,
        group: &T,
        partitions: &[Partition],
    ) -> anyhow::Result<Vec<i64>> {
        let answer = ask(group, partitions)?;
        if partitions.iter().any(|partition| !self.known.contains_key(partition)) {
            std::thread::sleep(if self.is_settled(group, partitions, &answer)? { TWICE } else { SETTLED });
            if ask(group, partitions)? != answer {
                bail!("the group's coordinator says one thing and then another: it is reading its log");
            }
        }
        let answer: Vec<i64> = answer.into_iter().map(Option::unwrap_or_default).collect();
        let behind = partitions.iter().zip(&answer).find_map(|(partition, next)| {
            let known = self.known.get(partition).filter(|known| *known > next)?;
            Some(format!("{known} of {}/{} was committed, and its coordinator says {next}", partition.0, partition.1))
        });
        if let Some(behind) = behind {
            let doubted = *self.doubted.get_or_insert_with(Instant::now);
            if doubted.elapsed() < BELIEVED {
                bail!("the group has forgotten: {behind}");
            }
            warn!("somebody has set the group back: {behind}");
        }
        self.doubted = None;
        self.known.extend(partitions.iter().cloned().zip(answer.iter().copied()));
        Ok(answer)
    }

    /// Whether all that is not known was committed, or has nothing that could have been.
    fn is_settled<C: ConsumerContext, T: Consumer<C>>(
        &self,
        group: &T,
        partitions: &[Partition],
        answer: &[Option<i64>],
    ) -> anyhow::Result<bool> {
        for (partition, next) in partitions.iter().zip(answer) {
            if next.is_some() || self.known.contains_key(partition) {
                continue;
            }
            let (topic, number) = partition;
            let (_, end) =
                group.fetch_watermarks(topic, *number, LIMIT).with_context(|| format!("asking for {topic}"))?;
            if end > 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn ask<C: ConsumerContext, T: Consumer<C>>(group: &T, partitions: &[Partition]) -> anyhow::Result<Vec<Option<i64>>> {
    let mut asked = TopicPartitionList::with_capacity(partitions.len());
    for (topic, number) in partitions {
        asked.add_partition(topic, *number);
    }
    let answer = group.committed_offsets(asked, LIMIT).context("reading committed offsets")?;
    let of = |(topic, number): &Partition| {
        let element = answer.find_partition(topic, *number).context("a partition has no answer")?;
        element.error().with_context(|| format!("reading the committed offset of {topic}/{number}"))?;
        Ok(if let Offset::Offset(offset) = element.offset() { Some(offset) } else { None })
    };
    partitions.iter().map(of).collect()
}
