//! Making topics: each by the program that owns it, idempotently, once Kafka is there.

use std::time::Duration;

use anyhow::{Context, bail};
use petstore::State;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::RDKafkaErrorCode;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::Config;

/// A topic, or a family of them, that a program owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// What the loaders send.
    Sales,
    /// The topics of all states.
    States,
    /// What came back from the last store.
    Receipts,
    /// What was no sale.
    Rejected,
    /// The loaders' account.
    Blocks,
    /// The auditor's account.
    Audit,
    /// How far roles have come with their input.
    Positions,
}

/// One request to Kafka.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Rest between tries: short at first, since all pods start together.
const RETRY: [Duration; 3] = [Duration::from_millis(300), Duration::from_secs(1), Duration::from_secs(2)];
const LONGEST_RETRY: Duration = Duration::from_secs(5);

/// A segment is deleted whole: four of them to a partition keep what is deleted small. Bounds in bytes.
const SEGMENT_BYTES: (i64, i64) = (1 << 20, 32 << 20);

struct Spec {
    name: String,
    partitions: i32,
    settings: Vec<(&'static str, String)>,
}

impl Config {
    /// Makes the topics that are missing and waits until each has a leader.
    ///
    /// A Kafka that is away, or has too few brokers as yet, is waited for until `shutdown`; then this is an error.
    pub async fn ensure_topics(&self, topics: &[Topic], shutdown: &CancellationToken) -> anyhow::Result<()> {
        let specs: Vec<Spec> = topics.iter().flat_map(|topic| self.specs(*topic)).collect();
        let mut rests = RETRY.into_iter();
        loop {
            match self.try_ensure(&specs).await {
                Ok(()) => return Ok(()),
                Err(err) => info!("waiting for kafka to have its topics: {err:#}"),
            }
            tokio::select! {
                biased;
                () = shutdown.cancelled() => bail!("stopped while waiting for kafka"),
                () = tokio::time::sleep(rests.next().unwrap_or(LONGEST_RETRY)) => {}
            }
        }
    }

    async fn try_ensure(&self, specs: &[Spec]) -> anyhow::Result<()> {
        let admin: AdminClient<DefaultClientContext> = self.client().create().context("making a client")?;
        let missing: Vec<&Spec> = {
            let existing = leaders(&admin)?;
            specs
                .iter()
                .filter(|spec| match existing.iter().find(|(name, _)| *name == spec.name) {
                    Some((_, leaders)) => {
                        let partitions = i32::try_from(leaders.len()).unwrap_or(i32::MAX);
                        if partitions != spec.partitions {
                            warn!(
                                topic = spec.name,
                                partitions,
                                wanted = spec.partitions,
                                "partitions are set when a topic is made, and stay"
                            );
                        }
                        false
                    }
                    None => true,
                })
                .collect()
        };
        if missing.is_empty() {
            return Ok(());
        }
        let new: Vec<NewTopic<'_>> = missing
            .iter()
            .map(|spec| {
                let topic =
                    NewTopic::new(&spec.name, spec.partitions, TopicReplication::Fixed(self.replication_factor));
                spec.settings.iter().fold(topic, |topic, (key, value)| topic.set(key, value))
            })
            .collect();
        let options =
            AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT)).operation_timeout(Some(REQUEST_TIMEOUT));
        for made in admin.create_topics(&new, &options).await.context("making topics")? {
            match made {
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((name, code)) => bail!("making topic {name}: {code}"),
            }
        }
        let now = leaders(&admin)?;
        for spec in specs {
            let led = now.iter().any(|(name, leaders)| *name == spec.name && leaders.iter().all(|leader| *leader >= 0));
            if !led {
                bail!("topic {} has no leader yet", spec.name);
            }
        }
        info!(topics = missing.len(), "made topics");
        Ok(())
    }

    fn specs(&self, topic: Topic) -> Vec<Spec> {
        let names = self.names();
        match topic {
            Topic::Sales => vec![self.log(names.sales(), self.sales_partitions, self.sales_partition_bytes())],
            Topic::States => {
                State::ALL.iter().map(|state| self.log(names.state(*state), 1, self.state_bytes(*state))).collect()
            }
            Topic::Receipts => {
                vec![self.log(names.receipts(), self.sales_partitions, self.receipts_partition_bytes())]
            }
            Topic::Rejected => vec![self.log(names.rejected(), 1, self.retention_bytes / 100)],
            Topic::Blocks => vec![self.compacted(names.blocks())],
            Topic::Audit => vec![self.compacted(names.audit())],
            Topic::Positions => vec![self.compacted(names.positions())],
        }
    }

    fn log(&self, name: String, partitions: i32, bytes: i64) -> Spec {
        let segment = (bytes / 4).clamp(SEGMENT_BYTES.0, SEGMENT_BYTES.1);
        // Kafka only deletes whole segments that are closed: the open one comes on top.
        let retention = (bytes - segment).max(segment);
        let mut spec = self.compacted(name);
        spec.partitions = partitions;
        spec.settings.retain(|(key, _)| *key == "min.insync.replicas");
        spec.settings.extend([
            ("cleanup.policy", "delete".to_owned()),
            ("segment.bytes", segment.to_string()),
            ("retention.bytes", retention.to_string()),
        ]);
        spec
    }

    fn compacted(&self, name: String) -> Spec {
        Spec {
            name,
            partitions: 1,
            settings: vec![
                ("min.insync.replicas", self.min_insync_replicas.to_string()),
                ("cleanup.policy", "compact".to_owned()),
                ("segment.bytes", (8 << 20).to_string()),
            ],
        }
    }
}

/// Each topic's leader by partition; -1 where there is none.
fn leaders(admin: &AdminClient<DefaultClientContext>) -> anyhow::Result<Vec<(String, Vec<i32>)>> {
    let metadata = admin.inner().fetch_metadata(None, Duration::from_secs(5)).context("reading the list of topics")?;
    Ok(metadata
        .topics()
        .iter()
        .map(|topic| {
            let leaders = topic.partitions().iter().map(rdkafka::metadata::MetadataPartition::leader).collect();
            (topic.name().to_owned(), leaders)
        })
        .collect())
}
