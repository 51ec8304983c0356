//! Offsets of many partitions by one question: where their logs begin and end, and what a group has committed.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::Consumer;
use rdkafka::topic_partition_list::Offset;

use crate::{Asker, Partition};

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
        let asked = list(partitions, Offset::Invalid)?;
        if asked.count() == 0 {
            return Ok(BTreeMap::new());
        }
        let answer = self.ask(|client| client.committed_offsets(asked, limit))?;
        let committed = answer.elements().into_iter().map(|element| {
            let partition = (element.topic().to_owned(), element.partition());
            element.error().with_context(|| format!("{}/{}", partition.0, partition.1))?;
            let committed = match element.offset() {
                Offset::Offset(offset) => Some(offset),
                _ => None,
            };
            Ok((partition, committed))
        });
        committed.collect()
    }

    /// How many members the role's group has.
    pub fn members(&self, limit: Duration) -> anyhow::Result<usize> {
        let listed = self.ask(|client| client.fetch_group_list(Some(self.group()), limit))?;
        Ok(listed.groups().iter().map(|group| group.members().len()).sum())
    }

    /// Asks "by time", with the two times that stand for the edges of a log: one request to each broker, for all of its
    /// partitions.
    fn edges<'a>(
        &self,
        partitions: impl IntoIterator<Item = (&'a str, i32)>,
        which: Offset,
        limit: Duration,
    ) -> anyhow::Result<BTreeMap<Partition, i64>> {
        let asked = list(partitions, which)?;
        if asked.count() == 0 {
            return Ok(BTreeMap::new());
        }
        let answer = self.ask(|client| client.offsets_for_times(asked, limit))?;
        let told = answer.elements().into_iter().filter_map(|element| match (element.error(), element.offset()) {
            (Ok(()), Offset::Offset(offset)) => Some(((element.topic().to_owned(), element.partition()), offset)),
            _ => None,
        });
        Ok(told.collect())
    }
}

fn list<'a>(
    partitions: impl IntoIterator<Item = (&'a str, i32)>,
    offset: Offset,
) -> anyhow::Result<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for (topic, partition) in partitions {
        list.add_partition_offset(topic, partition, offset)
            .with_context(|| format!("asking for {topic}/{partition}"))?;
    }
    Ok(list)
}
