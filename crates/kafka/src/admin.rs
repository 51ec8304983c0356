//! Making and deleting topics and groups one by one, as tools do. Programs make theirs by [`Config::ensure_topics`].

use std::time::Duration;

use anyhow::{Context, bail};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::RDKafkaErrorCode;

use crate::Config;
use crate::dispose::Disposed;

/// One request, and what the brokers need for it. Deleting many topics takes the longest.
const LIMIT: Duration = Duration::from_mins(1);

/// One request for a group. On a broker that has only just started, the client would wait in vain for the group's coordinator
/// until then: the caller asks again.
const GROUP_LIMIT: Duration = Duration::from_secs(5);

/// Changes what there is.
pub struct Admin(Disposed<AdminClient<DefaultClientContext>>);

impl Admin {
    /// Makes the client, without connecting it yet.
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        Ok(Self(Disposed::new(config.client().create().context("making a client")?)))
    }

    /// Makes topics with the brokers' own settings and one copy. Returns those that are there already, as one that is
    /// being deleted is for a moment.
    pub async fn make<'a>(&self, topics: &[&'a str], partitions: i32) -> anyhow::Result<Vec<&'a str>> {
        let new = |name: &&'a str| NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        let new: Vec<_> = topics.iter().map(new).collect();
        let mut present = Vec::new();
        for (name, made) in topics.iter().zip(self.0.create_topics(&new, &options()).await.context("making topics")?) {
            match made {
                Ok(_) => {}
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => present.push(*name),
                Err((_, code)) => bail!("making topic {name}: {code}"),
            }
        }
        Ok(present)
    }

    /// Deletes those of the topics that exist, and returns how many did.
    pub async fn delete(&self, topics: &[&str]) -> anyhow::Result<usize> {
        let mut deleted = 0;
        for topic in self.0.delete_topics(topics, &options()).await.context("deleting topics")? {
            match topic {
                Ok(_) => deleted += 1,
                Err((_, RDKafkaErrorCode::UnknownTopicOrPartition)) => {}
                Err((name, code)) => bail!("deleting topic {name}: {code}"),
            }
        }
        Ok(deleted)
    }

    /// Deletes what a group has committed, if there is such a group. An error while it has members.
    pub async fn delete_group(&self, group: &str) -> anyhow::Result<()> {
        let options = AdminOptions::new().request_timeout(Some(GROUP_LIMIT));
        match self.0.delete_groups(&[group], &options).await.context("deleting the group")?.into_iter().next() {
            None | Some(Ok(_) | Err((_, RDKafkaErrorCode::GroupIdNotFound))) => Ok(()),
            Some(Err((name, code))) => bail!("deleting group {name}: {code}"),
        }
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(LIMIT)).operation_timeout(Some(LIMIT))
}
