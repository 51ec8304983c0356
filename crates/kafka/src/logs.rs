//! Questions about logs: where they begin and end, and how far a role has come with them. All of it blocks.

use std::time::Duration;

use anyhow::{Context, bail};
use rdkafka::consumer::Consumer;
use rdkafka::metadata::Metadata;
use rdkafka::topic_partition_list::Offset;

use crate::partitions::{Partition, borrowed, in_order};
use crate::{Asker, Config};

/// Asks; reads no record and joins no group.
pub struct Logs {
    asker: Asker,
    /// One question.
    limit: Duration,
}

/// A part of the log of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Where it is.
    pub partition: Partition,
    /// Its first offset.
    pub start: i64,
    /// The offset after its last one.
    pub end: i64,
    /// The log begins here, and once began earlier: older records were deleted.
    pub trimmed: bool,
}

impl Logs {
    /// Asks for a role's commits by its name, such as `fan-out`. Each question may take `limit`.
    pub fn new(config: &Config, role: &str, limit: Duration) -> anyhow::Result<Self> {
        Ok(Self { asker: Asker::new(config, role)?, limit })
    }

    /// The partitions of a topic; none if the topic does not exist.
    pub fn partitions(&self, topic: &str) -> anyhow::Result<Vec<Partition>> {
        let asked = self.asker.ask(|client| client.fetch_metadata(Some(topic), self.limit));
        Ok(partitions_in(&asked.with_context(|| format!("asking for {topic}"))?, topic))
    }

    /// The partitions of topics that must exist: one question, however many topics.
    fn partitions_of(&self, topics: &[String]) -> anyhow::Result<Vec<Partition>> {
        let one = if let [topic] = topics { Some(topic.as_str()) } else { None };
        let asked = self.asker.ask(|client| client.fetch_metadata(one, self.limit));
        let metadata = asked.context("asking for topics")?;
        let mut partitions = Vec::new();
        for topic in topics {
            let found = partitions_in(&metadata, topic);
            if found.is_empty() {
                bail!("topic {topic} does not exist");
            }
            partitions.extend(found);
        }
        Ok(partitions)
    }

    /// The offset after the last record of each partition, whether or not its transaction has ended.
    pub fn ends(&self, partitions: &[Partition]) -> anyhow::Result<Vec<i64>> {
        self.all(partitions, Offset::End).context("asking where logs end")
    }

    /// The same for the only partition of a topic.
    pub fn end(&self, topic: &str) -> anyhow::Result<i64> {
        Ok(self.ends(&[(topic.to_owned(), 0)])?[0])
    }

    /// The first offset that each partition still has.
    pub fn beginnings(&self, partitions: &[Partition]) -> anyhow::Result<Vec<i64>> {
        self.all(partitions, Offset::Beginning).context("asking where logs begin")
    }

    /// All partitions of `topics`, from the first record that is not older than `since_ms` (unix time) to where they end
    /// now, open transactions included.
    pub fn since(&self, topics: &[String], since_ms: i64) -> anyhow::Result<Vec<Part>> {
        let partitions = self.partitions_of(topics)?;
        // The beginnings come first: the reader notices what is deleted after that.
        let beginnings = self.beginnings(&partitions)?;
        let starts =
            self.ask(&partitions, Offset::Offset(since_ms.max(0))).context("asking where a time is in logs")?;
        let ends = self.ends(&partitions)?;
        let bounds = beginnings.into_iter().zip(starts).zip(ends);
        let part = |(partition, ((beginning, start), end)): (Partition, ((i64, Option<i64>), i64))| {
            let start = start.unwrap_or(end);
            if start > end {
                bail!("the new leader of {}/{} does not know yet where it ends", partition.0, partition.1);
            }
            Ok(Part { partition, start, end, trimmed: start <= beginning && beginning > 0 })
        };
        partitions.into_iter().zip(bounds).map(part).collect()
    }

    /// What the role has committed of each partition, or where the log begins if that is later.
    pub fn committed_or_beginning(&self, partitions: &[Partition]) -> anyhow::Result<Vec<i64>> {
        let beginnings = self.beginnings(partitions)?;
        Ok(self.committed(partitions)?.into_iter().zip(beginnings).map(|(at, beginning)| at.max(beginning)).collect())
    }

    /// What the role has committed of each partition; 0 where that is nothing.
    pub fn committed(&self, partitions: &[Partition]) -> anyhow::Result<Vec<i64>> {
        let doing = "asking for committed offsets";
        let answers = self.asker.committed(borrowed(partitions), self.limit).context(doing)?;
        let committed = in_order(partitions, &answers).context(doing)?;
        Ok(committed.into_iter().map(Option::unwrap_or_default).collect())
    }

    fn all(&self, partitions: &[Partition], which: Offset) -> anyhow::Result<Vec<i64>> {
        let answer = self.ask(partitions, which)?;
        answer.into_iter().map(|offset| offset.context("a partition has no answer")).collect()
    }

    /// One question for all partitions: Kafka takes "the end" and "the beginning" as times. None where no record is as
    /// young as that.
    fn ask(&self, partitions: &[Partition], which: Offset) -> anyhow::Result<Vec<Option<i64>>> {
        let answers = in_order(partitions, &self.asker.by_time(borrowed(partitions), which, self.limit)?)?;
        let told = partitions.iter().zip(answers);
        told.map(|((topic, number), answer)| answer.with_context(|| format!("{topic}/{number}"))).collect()
    }
}

fn partitions_in(metadata: &Metadata, topic: &str) -> Vec<Partition> {
    let found = metadata.topics().iter().find(|found| found.name() == topic && found.error().is_none());
    let count = found.map_or(0, |found| i32::try_from(found.partitions().len()).unwrap_or(i32::MAX));
    (0..count).map(|partition| (topic.to_owned(), partition)).collect()
}
