//! What Kafka tells of itself: its brokers, and the partitions of all topics.

use std::time::Duration;

use rdkafka::consumer::Consumer;

use crate::Asker;

/// Kafka's answer, as it came.
pub struct Metadata(rdkafka::metadata::Metadata);

/// A broker that is alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broker<'a> {
    /// Its number in the cluster.
    pub id: i32,
    /// The host that it tells clients to connect to.
    pub host: &'a str,
    /// The port there.
    pub port: i32,
}

/// A partition and the brokers that have a copy of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionMetadata<'a> {
    /// The topic that it is of.
    pub topic: &'a str,
    /// Its number in the topic.
    pub id: i32,
    /// The broker that leads it, if one does.
    pub leader: Option<i32>,
    /// The brokers that should have a copy. The first is the preferred leader.
    pub replicas: &'a [i32],
    /// Those of them whose copy is complete.
    pub in_sync: &'a [i32],
}

impl Asker {
    /// Asks which brokers and topics there are. Blocks.
    pub fn metadata(&self, limit: Duration) -> anyhow::Result<Metadata> {
        Ok(Metadata(self.ask(|client| client.fetch_metadata(None, limit))?))
    }
}

impl Metadata {
    /// The brokers that are alive.
    pub fn brokers(&self) -> impl Iterator<Item = Broker<'_>> {
        self.0.brokers().iter().map(|broker| Broker { id: broker.id(), host: broker.host(), port: broker.port() })
    }

    /// The partitions of all topics, topic by topic.
    pub fn partitions(&self) -> impl Iterator<Item = PartitionMetadata<'_>> {
        self.0.topics().iter().flat_map(|topic| {
            topic.partitions().iter().map(|partition| PartitionMetadata {
                topic: topic.name(),
                id: partition.id(),
                leader: Some(partition.leader()).filter(|leader| *leader >= 0),
                replicas: partition.replicas(),
                in_sync: partition.isr(),
            })
        })
    }
}
