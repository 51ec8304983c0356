//! Offsets of many partitions by one question: where their logs begin and end, and what a group has committed.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaResult;
use rdkafka::topic_partition_list::{Offset, TopicPartitionListElem};

use crate::Asker;
use crate::partitions::{Partition, list};

impl Asker {
    /// The first offset that is still there of each of these partitions. Those that Kafka doesn't tell are left out.
    pub fn beginnings<'a>(
        &self,
        partitions: impl IntoIterator<Item = (&'a str, i32)>,
        limit: Duration,
    ) -> anyhow::Result<BTreeMap<Partition, i64>> {
        self.edges(partitions, Offset::Beginning, limit)
    }

    /// The offset after the last record of each of these partitions. Those that Kafka doesn't tell are left out.
    pub fn ends<'a>(
        &self,
        partitions: impl IntoIterator<Item = (&'a str, i32)>,
        limit: Duration,
    ) -> anyhow::Result<BTreeMap<Partition, i64>> {
        self.edges(partitions, Offset::End, limit)
    }

    /// What the role's group has committed of each of these partitions; none where it has committed nothing.
    pub fn committed<'a>(
        &self,
        partitions: impl IntoIterator<Item = (&'a str, i32)>,
        limit: Duration,
    ) -> anyhow::Result<BTreeMap<Partition, Option<i64>>> {
        let asked = list(partitions.into_iter().map(|partition| (partition, Offset::Invalid)))?;
        if asked.count() == 0 {
            return Ok(BTreeMap::new());
        }
        let answers = answers(&self.ask(|client| client.committed_offsets(asked, limit))?);
        let told = answers.into_iter().map(|(partition, answer)| match answer {
            Ok(committed) => Ok((partition, committed)),
            Err(err) => Err(err).with_context(|| format!("{}/{}", partition.0, partition.1)),
        });
        told.collect()
    }

    /// How many members the role's group has.
    pub fn members(&self, limit: Duration) -> anyhow::Result<usize> {
        let listed = self.ask(|client| client.fetch_group_list(Some(self.group()), limit))?;
        Ok(listed.groups().iter().map(|group| group.members().len()).sum())
    }

    fn edges<'a>(
        &self,
        partitions: impl IntoIterator<Item = (&'a str, i32)>,
        which: Offset,
        limit: Duration,
    ) -> anyhow::Result<BTreeMap<Partition, i64>> {
        let answers = self.by_time(partitions, which, limit)?;
        Ok(answers.into_iter().filter_map(|(partition, answer)| Some((partition, answer.ok()??))).collect())
    }

    /// Asks "by time", by one request to each broker for all of its partitions: two times stand for the edges of a log.
    pub(crate) fn by_time<'a>(
        &self,
        partitions: impl IntoIterator<Item = (&'a str, i32)>,
        which: Offset,
        limit: Duration,
    ) -> anyhow::Result<Answers> {
        let asked = list(partitions.into_iter().map(|partition| (partition, which)))?;
        if asked.count() == 0 {
            return Ok(Answers::new());
        }
        Ok(answers(&self.ask(|client| client.offsets_for_times(asked, limit))?))
    }
}

/// An offset for each partition; none where there is none.
pub(crate) type Answers = BTreeMap<Partition, KafkaResult<Option<i64>>>;

fn answers(list: &TopicPartitionList) -> Answers {
    let of = |element: TopicPartitionListElem<'_>| {
        let offset = match element.offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        };
        ((element.topic().to_owned(), element.partition()), element.error().map(|()| offset))
    };
    list.elements().into_iter().map(of).collect()
}
