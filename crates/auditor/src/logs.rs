//! Questions about logs: where they begin and end, and how far a role has come.

use std::time::Duration;

use anyhow::{Context, bail};
use kafka::Asker;
use rdkafka::consumer::Consumer;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

/// A topic and some of its partitions, counted from 0.
pub(crate) type Partitions = [(String, i32)];

/// Asks; reads no record and joins no group.
pub(crate) struct Logs {
    asker: Asker,
    /// One question.
    limit: Duration,
}

impl Logs {
    /// Asks for a role's commits by its name, such as `fan-out`. Each question may take `limit`.
    pub(crate) fn new(kafka: &kafka::Config, role: &str, limit: Duration) -> anyhow::Result<Self> {
        Ok(Self { asker: Asker::new(kafka, role)?, limit })
    }

    /// How many partitions a topic has; none if there is no such topic.
    pub(crate) fn partitions(&self, topic: &str) -> anyhow::Result<i32> {
        let asked = self.asker.ask(|client| client.fetch_metadata(Some(topic), self.limit));
        let metadata = asked.with_context(|| format!("asking for {topic}"))?;
        let found = metadata.topics().iter().find(|found| found.name() == topic && found.error().is_none());
        Ok(found.map_or(0, |found| i32::try_from(found.partitions().len()).unwrap_or(i32::MAX)))
    }

    /// The offset after the last record of each partition.
    pub(crate) fn ends(&self, partitions: &Partitions) -> anyhow::Result<Vec<i64>> {
        self.offsets(partitions, Offset::End).context("asking where logs end")
    }

    /// The first offset that is still there of each partition.
    pub(crate) fn beginnings(&self, partitions: &Partitions) -> anyhow::Result<Vec<i64>> {
        self.offsets(partitions, Offset::Beginning).context("asking where logs begin")
    }

    /// The first offset whose record is not older than `time_ms` (unix time); the end where there is none.
    pub(crate) fn at_time(&self, partitions: &Partitions, time_ms: i64) -> anyhow::Result<Vec<i64>> {
        let ends = self.ends(partitions)?;
        let at = self.query(partitions, Offset::Offset(time_ms.max(0))).context("asking where a time is in logs")?;
        Ok(at.into_iter().zip(ends).map(|(at, end)| at.unwrap_or(end)).collect())
    }

    /// What the role has committed of each partition; where that is nothing, or is no longer there, the beginning.
    pub(crate) fn committed_or_beginning(&self, partitions: &Partitions) -> anyhow::Result<Vec<i64>> {
        let beginnings = self.beginnings(partitions)?;
        let committed = self.committed(partitions)?;
        Ok(committed.into_iter().zip(beginnings).map(|(at, beginning)| at.max(beginning)).collect())
    }

    /// What the role has committed of each partition; 0 where that is nothing.
    pub(crate) fn committed(&self, partitions: &Partitions) -> anyhow::Result<Vec<i64>> {
        let asked = list(partitions, Offset::Invalid)?;
        let answer = self.asker.ask(|client| client.committed_offsets(asked, self.limit));
        let answer = answer.context("asking what was committed")?;
        let committed = read(partitions, &answer).context("asking what was committed")?;
        Ok(committed.into_iter().map(Option::unwrap_or_default).collect())
    }

    fn offsets(&self, partitions: &Partitions, which: Offset) -> anyhow::Result<Vec<i64>> {
        let answer = self.query(partitions, which)?;
        answer.into_iter().map(|offset| offset.context("a partition has no answer")).collect()
    }

    /// One question for all partitions, since Kafka takes "the end" and "the beginning" for times as well. None where no record is as young.
    pub(crate) fn query(&self, partitions: &Partitions, which: Offset) -> anyhow::Result<Vec<Option<i64>>> {
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        let asked = list(partitions, which)?;
        read(partitions, &self.asker.ask(|client| client.offsets_for_times(asked, self.limit))?)
    }
}

fn list(partitions: &Partitions, offset: Offset) -> anyhow::Result<TopicPartitionList> {
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for (topic, partition) in partitions {
        list.add_partition_offset(topic, *partition, offset)?;
    }
    Ok(list)
}

/// Offsets in the order of `partitions`.
fn read(partitions: &Partitions, answer: &TopicPartitionList) -> anyhow::Result<Vec<Option<i64>>> {
    let of = |(topic, partition): &(String, i32)| {
        let Some(element) = answer.find_partition(topic, *partition) else {
            bail!("{topic}/{partition} has no answer");
        };
        element.error().with_context(|| format!("{topic}/{partition}"))?;
        match element.offset() {
            Offset::Offset(offset) => Ok(Some(offset)),
            _ => Ok(None),
        }
    };
    partitions.iter().map(of).collect()
}
