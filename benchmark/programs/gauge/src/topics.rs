//! Recreates topics, and reads all of them at once.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use petstore::State;
use rdkafka::TopicPartitionList;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::topic_partition_list::Offset;
use serde_json::{Value, json};

/// Everything waited for here takes seconds; a static member that vanished is removed after ten.
pub(crate) const LIMIT: Duration = Duration::from_mins(1);

/// The topics of all states: `{}` in `pattern` is the state's code.
pub(crate) fn of_states(pattern: &str) -> Vec<(State, String)> {
    State::ALL.into_iter().map(|state| (state, pattern.replace("{}", state.code()))).collect()
}

/// Recreates the topics of all states, with one partition each, and deletes the group's committed offsets.
pub(crate) async fn clear(kafka: &kafka::Config, group: &str, pattern: &str) -> anyhow::Result<Value> {
    let topics: Vec<String> = of_states(pattern).into_iter().map(|(_, topic)| topic).collect();
    make_anew(kafka, &topics, 1).await?;
    delete(kafka, &[&kafka.names().positions()]).await?;
    let admin: AdminClient<DefaultClientContext> = kafka.client().create().context("making a client")?;
    let options = AdminOptions::new().request_timeout(Some(Duration::from_secs(5)));
    let begun = Instant::now();
    loop {
        let deleted = admin.delete_groups(&[group], &options).await.context("deleting the group")?;
        match deleted.into_iter().next() {
            None | Some(Ok(_) | Err((_, RDKafkaErrorCode::GroupIdNotFound))) => break,
            // A member's session has not expired yet, or the coordinator has only just started.
            Some(Err(_)) if begun.elapsed() < LIMIT => tokio::time::sleep(Duration::from_millis(200)).await,
            Some(Err((name, code))) => bail!("deleting group {name}: {code}"),
        }
    }
    Ok(json!({"topics": topics.len()}))
}

/// With the broker's defaults, so that all programs write to the same kind of topic.
pub(crate) async fn make_anew(kafka: &kafka::Config, topics: &[String], partitions: i32) -> anyhow::Result<()> {
    let mut left: Vec<&str> = topics.iter().map(String::as_str).collect();
    delete(kafka, &left).await?;
    let admin: AdminClient<DefaultClientContext> = kafka.client().create().context("making a client")?;
    let options = AdminOptions::new().operation_timeout(Some(LIMIT));
    let begun = Instant::now();
    while !left.is_empty() {
        let new: Vec<NewTopic<'_>> =
            left.iter().map(|name| NewTopic::new(name, partitions, TopicReplication::Fixed(1))).collect();
        let made = admin.create_topics(&new, &options).await.context("making topics")?;
        let mut again = Vec::new();
        for (name, made) in left.iter().zip(made) {
            match made {
                Ok(_) => {}
                // The old one is still being deleted.
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) if begun.elapsed() < LIMIT => again.push(*name),
                Err((_, code)) => bail!("making topic {name}: {code}"),
            }
        }
        left = again;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// Deletes those of the topics that exist.
pub(crate) async fn delete(kafka: &kafka::Config, topics: &[&str]) -> anyhow::Result<Value> {
    let admin: AdminClient<DefaultClientContext> = kafka.client().create().context("making a client")?;
    let options = AdminOptions::new().operation_timeout(Some(LIMIT));
    let mut deleted = 0;
    for topic in admin.delete_topics(topics, &options).await.context("deleting topics")? {
        match topic {
            Ok(_) => deleted += 1,
            Err((_, RDKafkaErrorCode::UnknownTopicOrPartition)) => {}
            Err((name, code)) => bail!("deleting topic {name}: {code}"),
        }
    }
    Ok(json!({"deleted": deleted}))
}

/// The partitions of a topic, each with its end offset. A broker that is too busy to answer, or not yet the leader, is asked
/// again.
pub(crate) fn ends(consumer: &BaseConsumer, topic: &str) -> anyhow::Result<Vec<(i32, i64)>> {
    let begun = Instant::now();
    loop {
        match try_ends(consumer, topic) {
            Err(_) if begun.elapsed() < LIMIT => std::thread::sleep(Duration::from_millis(200)),
            answer => return answer.with_context(|| format!("finding the end of {topic}")),
        }
    }
}

fn try_ends(consumer: &BaseConsumer, topic: &str) -> Result<Vec<(i32, i64)>, KafkaError> {
    let metadata = consumer.fetch_metadata(Some(topic), LIMIT)?;
    let partitions = metadata.topics().first().map(rdkafka::metadata::MetadataTopic::partitions).unwrap_or_default();
    let end = |partition: i32| Ok((partition, consumer.fetch_watermarks(topic, partition, LIMIT)?.1));
    partitions.iter().map(|partition| end(partition.id())).collect()
}

/// Calls `each` with every committed record of `topics`, until the end of each partition was reached.
pub(crate) fn read_all(
    kafka: &kafka::Config,
    topics: &[String],
    mut each: impl FnMut(&BorrowedMessage<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let consumer: BaseConsumer =
        kafka.reader().set("enable.partition.eof", "true").create().context("making a reader")?;
    let mut starts = TopicPartitionList::new();
    for topic in topics {
        for (partition, _) in ends(&consumer, topic)? {
            starts.add_partition_offset(topic, partition, Offset::Beginning)?;
        }
    }
    let mut open = starts.count();
    consumer.assign(&starts).context("assigning")?;
    let mut heard = Instant::now();
    while open > 0 {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => each(&message)?,
            Some(Err(KafkaError::PartitionEOF(_))) => open -= 1,
            Some(Err(err)) => return Err(err).context("reading topics"),
            None if heard.elapsed() > LIMIT => bail!("{open} partitions were not read to their end"),
            None => continue,
        }
        heard = Instant::now();
    }
    Ok(())
}
