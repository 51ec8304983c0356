//! Partitions, and the client's list of them.

use std::collections::BTreeMap;

use anyhow::Context;
use rdkafka::TopicPartitionList;
use rdkafka::error::KafkaResult;
use rdkafka::topic_partition_list::Offset;

/// A topic and one of its partitions.
pub type Partition = (String, i32);

/// Partitions as the client takes them, each with an offset.
pub(crate) fn list<'a>(
    partitions: impl IntoIterator<Item = ((&'a str, i32), Offset)>,
) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for ((topic, number), offset) in partitions {
        list.add_partition_offset(topic, number, offset)?;
    }
    Ok(list)
}

/// Positions as the client takes them.
pub(crate) fn list_of(positions: &[(Partition, i64)]) -> KafkaResult<TopicPartitionList> {
    list(positions.iter().map(|((topic, number), next)| ((topic.as_str(), *number), Offset::Offset(*next))))
}

/// Partitions without a copy of their topics' names.
pub(crate) fn borrowed(partitions: &[Partition]) -> impl Iterator<Item = (&str, i32)> {
    partitions.iter().map(|(topic, number)| (topic.as_str(), *number))
}

/// What `answers` has of each, in the order of `partitions`. Each must be there.
pub(crate) fn in_order<T: Clone>(partitions: &[Partition], answers: &BTreeMap<Partition, T>) -> anyhow::Result<Vec<T>> {
    let of = |partition: &Partition| {
        answers.get(partition).cloned().with_context(|| format!("{}/{} has no answer", partition.0, partition.1))
    };
    partitions.iter().map(of).collect()
}
