//! Making topics: each by the program that owns it, idempotently, once Kafka is there.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use petstore::State;
use pipeline::Topic;
use rdkafka::admin::{
    AdminClient, AdminOptions, NewTopic, OwnedResourceSpecifier, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::metadata::{MetadataBroker, MetadataPartition, MetadataTopic};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use crate::dispose::Disposed;
use crate::fit::{self, Cluster, Existing, Misfits, Wanted};
use crate::{Config, results};

/// One request to Kafka.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Rest between tries: short at first, since all pods start together.
const RETRY: [Duration; 3] = [Duration::from_millis(300), Duration::from_secs(1), Duration::from_secs(2)];
const LONGEST_RETRY: Duration = Duration::from_secs(5);

/// Brokers that start together find each other within this; what they lack after it is worth a warning, and a topic that
/// can't be written is no longer waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// The setting of a topic for how many copies must have a record.
const MIN_INSYNC: &str = "min.insync.replicas";

/// The setting of a topic for the largest batch of records.
const MAX_BYTES: &str = "max.message.bytes";

/// How long a compacted topic keeps the record that a key was deleted by, and the marker of each transaction. A day by
/// default, which is two markers a second for each loader, read at every start; each read of a whole topic takes less than a
/// minute, and misses nothing that is kept for longer than it lasts.
const KEEP_DELETED_MS: u32 = 300_000;

/// A segment is deleted whole: four of them to a partition keep what is deleted small. Bounds in bytes.
const SEGMENT_BYTES: (i64, i64) = (1 << 20, 32 << 20);

struct Spec {
    name: String,
    partitions: i32,
    /// The value of the chart by which they were chosen.
    partitions_value: Option<&'static str>,
    settings: Vec<(&'static str, String)>,
}

impl Config {
    /// Makes the topics that are missing, and waits until the partitions of those have leaders.
    ///
    /// A Kafka that is away, or has too few brokers as yet, is waited for until `shutdown`; then this is an error. What
    /// does not fit, and will not by waiting, is logged: with other settings, or on fewer brokers, topics stay as they are.
    pub async fn ensure_topics(&self, topics: &[Topic], shutdown: &CancellationToken) -> anyhow::Result<()> {
        let specs: Arc<[Spec]> = topics.iter().flat_map(|topic| self.specs(*topic)).collect();
        let Some(first) = specs.first().map(|spec| spec.name.clone()) else { return Ok(()) };
        let (mut rests, begun) = (RETRY.into_iter(), Instant::now());
        loop {
            let (config, specs, runtime) = (self.clone(), Arc::clone(&specs), Handle::current());
            // A client's questions block, and so does its end: not a worker of the runtime.
            let tried = tokio::task::spawn_blocking(move || runtime.block_on(config.try_ensure(&specs)));
            let tried = tokio::select! {
                biased;
                () = shutdown.cancelled() => bail!("stopped while waiting for kafka"),
                tried = tried => tried.context("making topics").flatten(),
            };
            match tried {
                Ok(Misfits { unmade: None, unwritable: None, lesser }) => {
                    fit::say(&first, lesser);
                    return Ok(());
                }
                Ok(misfits) => {
                    let made = misfits.unmade.is_none();
                    let mut sentences: Vec<String> = misfits.unmade.into_iter().chain(misfits.unwritable).collect();
                    sentences.extend(misfits.lesser);
                    if begun.elapsed() < PATIENCE && !fit::is_said(&first, &sentences) {
                        info!("waiting for more of kafka's brokers: {}", sentences.join("; "));
                    } else {
                        fit::say(&first, sentences);
                        if made {
                            return Ok(());
                        }
                    }
                }
                Err(err) => info!("waiting for kafka to have its topics: {err:#}"),
            }
            tokio::select! {
                biased;
                () = shutdown.cancelled() => bail!("stopped while waiting for kafka"),
                () = tokio::time::sleep(rests.next().unwrap_or(LONGEST_RETRY)) => {}
            }
        }
    }

    async fn try_ensure(&self, specs: &[Spec]) -> anyhow::Result<Misfits> {
        let admin: AdminClient<DefaultClientContext> = self.client().create().context("making a client")?;
        let admin = Disposed::new(admin);
        let options =
            AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT)).operation_timeout(Some(REQUEST_TIMEOUT));
        let cluster = self.look(&admin, specs, &options).await?;
        let wanted: Vec<Wanted<'_>> = specs.iter().map(|spec| spec.wanted(self.replication_factor.get())).collect();
        let misfits = fit::misfits(&cluster, &wanted);
        let missing: Vec<&Spec> = specs.iter().filter(|spec| !cluster.topics.contains_key(&spec.name)).collect();
        if missing.is_empty() || misfits.unmade.is_some() {
            return Ok(misfits);
        }
        let new: Vec<NewTopic<'_>> = missing
            .iter()
            .map(|spec| {
                let copies = TopicReplication::Fixed(self.replication_factor.get());
                let topic = NewTopic::new(&spec.name, spec.partitions, copies);
                spec.settings.iter().fold(topic, |topic, (key, value)| topic.set(key, value))
            })
            .collect();
        for made in admin.create_topics(&new, &options).await.context("making topics")? {
            match made {
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((name, code)) => bail!("making topic {name}: {code}"),
            }
        }
        let now = cluster_of(&admin)?;
        for spec in specs {
            let led = |topic: &Existing| topic.leaders.iter().all(|leader| *leader >= 0);
            if !now.topics.get(&spec.name).is_some_and(led) {
                bail!("topic {} has no leader yet", spec.name);
            }
        }
        info!(topics = missing.len(), "made topics");
        Ok(misfits)
    }

    /// The brokers and the topics of `specs` that are there, with what a write to each of them needs.
    async fn look(
        &self,
        admin: &AdminClient<DefaultClientContext>,
        specs: &[Spec],
        options: &AdminOptions,
    ) -> anyhow::Result<Cluster> {
        let mut cluster = cluster_of(admin)?;
        cluster.topics.retain(|name, _| specs.iter().any(|spec| spec.name == *name));
        for topic in cluster.topics.values_mut() {
            topic.min_insync = usize::try_from(self.min_insync_replicas.get()).unwrap_or_default();
        }
        let names: Vec<String> = cluster.topics.keys().cloned().collect();
        let asked: Vec<ResourceSpecifier<'_>> = names.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
        if asked.is_empty() {
            return Ok(cluster);
        }
        match admin.describe_configs(&asked, options).await {
            Ok(answers) => {
                for answer in answers.into_iter().flatten() {
                    let OwnedResourceSpecifier::Topic(name) = &answer.specifier else { continue };
                    let value = answer.get(MIN_INSYNC).and_then(|entry| entry.value.as_deref()?.parse().ok());
                    if let (Some(topic), Some(value)) = (cluster.topics.get_mut(name), value) {
                        topic.min_insync = value;
                    }
                }
            }
            // Somebody else's Kafka may not allow it; what it was made with is most likely.
            Err(err) => debug!("asking for the settings of topics: {err}"),
        }
        Ok(cluster)
    }

    fn specs(&self, topic: Topic) -> Vec<Spec> {
        let names = self.names();
        match topic {
            Topic::Sales => vec![self.shared(names.sales(), self.sales_partition_bytes())],
            Topic::States => {
                State::ALL.iter().map(|state| self.log(names.state(*state), self.state_bytes(*state))).collect()
            }
            Topic::Receipts => vec![self.shared(names.receipts(), self.receipts_partition_bytes())],
            Topic::Rejected => vec![self.log(names.rejected(), self.retention_bytes.get() / 100)],
            Topic::Blocks => vec![self.compacted(names.blocks())],
            Topic::Audit => vec![self.compacted(names.audit())],
            Topic::Positions => vec![self.compacted(names.positions())],
            Topic::Results => vec![self.results(names.results())],
        }
    }

    /// A log of as many partitions as fan-outs may share.
    fn shared(&self, name: String, partition_bytes: i64) -> Spec {
        let mut spec = self.log(name, partition_bytes);
        spec.partitions = self.sales_partitions.get();
        spec.partitions_value = Some("kafka.salesPartitions");
        spec
    }

    fn log(&self, name: String, bytes: i64) -> Spec {
        let segment = (bytes / 4).clamp(SEGMENT_BYTES.0, SEGMENT_BYTES.1);
        // Kafka only deletes whole segments that are closed: the open one comes on top.
        let retention = (bytes - segment).max(segment);
        let mut spec = self.compacted(name);
        spec.settings.retain(|(key, _)| *key == MIN_INSYNC);
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
            partitions_value: None,
            settings: vec![
                (MIN_INSYNC, self.min_insync_replicas.to_string()),
                ("cleanup.policy", "compact".to_owned()),
                ("delete.retention.ms", KEEP_DELETED_MS.to_string()),
                ("segment.bytes", (8 << 20).to_string()),
            ],
        }
    }

    fn results(&self, name: String) -> Spec {
        let mut spec = self.compacted(name);
        spec.settings.push((MAX_BYTES, results::BATCH_BYTES.to_string()));
        spec
    }
}

impl Spec {
    fn wanted(&self, copies: i32) -> Wanted<'_> {
        Wanted { name: &self.name, partitions: self.partitions, value: self.partitions_value, copies }
    }
}

/// The brokers and all topics, by one request.
fn cluster_of(admin: &AdminClient<DefaultClientContext>) -> anyhow::Result<Cluster> {
    let metadata = admin.inner().fetch_metadata(None, Duration::from_secs(5)).context("reading the list of topics")?;
    let existing = |topic: &MetadataTopic| Existing {
        leaders: topic.partitions().iter().map(MetadataPartition::leader).collect(),
        replicas: topic.partitions().iter().map(|partition| partition.replicas().iter().copied().collect()).collect(),
        min_insync: 0,
    };
    Ok(Cluster {
        brokers: metadata.brokers().iter().map(MetadataBroker::id).collect(),
        topics: metadata.topics().iter().map(|topic| (topic.name().to_owned(), existing(topic))).collect(),
    })
}
