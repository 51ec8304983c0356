//! How far a role has come with its input: by its transactions, and not by what a process remembers.
//!
//! Each transaction holds, beside what it sends, a record on `kapture.positions` for each partition that it reads from:
//! the position is with the data, as a sink's is. Key: role, topic and partition. Value, as JSON: the next offset and the
//! [`Installation`] in whose log it counts. Older records are the number alone.
//!
//! The rule, for one partition:
//!
//! 1. The *last* record of the key counts, even if an earlier one is higher. The owner of a partition has fenced the one
//!    before, so the last is of the last transaction that was committed; a lower one means that the log of the
//!    source was replaced, or that a person set it.
//! 2. A position of another installation is that of a log that is gone: it counts as 0, whatever the group has.
//! 3. The group's answer counts only where there is no record at all.
//!
//! A group's coordinator can't be believed against a record. It may lag: one that begins twice in quick succession, as
//! after a broker that stood still for longer than its session, may serve what it had read of its log by then, and never
//! read the rest (seen with Kafka 4.1.1, whose broker then logs "Ignored load completion"; a minute later it still did):
//! that nothing was committed, or something long past. It can't be ahead, since one transaction holds both, unless Kafka
//! lost the end of `kapture.positions`. Then some sales are copied again, which the stores refuse; by the group's answer
//! they might be left out, which nothing mends. Nor does a process add what it remembers of its own commits: they are in
//! the log, and where they are not, Kafka lost them.
//!
//! The group is still told, in the same transaction, and told again if it forgot: it refuses members that have lost their
//! share, and people and the auditor look there. Setting the group has no effect; writing a number to the key has.
//!
//! All roles share the topic's one partition, so a transaction that somebody else left open is waited for as well: for as
//! long as Kafka lets one last, and the second in which the chart's brokers look for those that lasted too long. A
//! partition for each role would save that wait, but the number of partitions is fixed when the topic is made, and a role
//! that looks in another one than its predecessor would find nothing.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::topic_partition_list::Offset;
use rdkafka::{Message, TopicPartitionList};
use serde::Deserialize;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::dispose::Disposed;
use crate::partitions::{borrowed, in_order};
use crate::transactions::{Failure, Outbox};
use crate::{Asker, Config, Headers, Installation, Partition};

/// One question to the coordinator, or to a partition's leader; a stop waits for the one that is asked.
const LIMIT: Duration = Duration::from_secs(5);
/// Reading the log of positions; a transaction of somebody who died is in its way for up to eleven seconds, after which
/// it is read again.
const READ_LIMIT: Duration = Duration::from_secs(10);
/// A wait for its next record.
const POLL: Duration = Duration::from_millis(20);

/// The positions of a role, as far as the log was read.
#[derive(Debug)]
pub struct Committed {
    config: Config,
    role: String,
    installation: String,
    known: HashMap<Partition, i64>,
    /// How far the log of positions was read.
    read: Option<i64>,
}

/// The value of a record.
#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Position {
    /// The first offset that was not handled.
    next: i64,
    /// The Kafka in which it counts. Records of earlier releases don't have it: it is the one that they are in.
    #[serde(default)]
    installation: Option<String>,
}

impl Position {
    /// Reads a record's value: JSON, or the number alone.
    fn parse(value: &[u8]) -> Option<Self> {
        let text = str::from_utf8(value).ok()?.trim();
        let alone = || text.parse().ok().map(|next| Self { next, installation: None });
        alone().or_else(|| serde_json::from_str(text).ok())
    }
}

impl Committed {
    /// Knows nothing yet. `role`: by its name, such as `fan-out`.
    pub fn new(config: &Config, role: &str, installation: &Installation) -> Self {
        let installation = installation.to_string();
        Self { config: config.clone(), role: role.to_owned(), installation, known: HashMap::new(), read: None }
    }

    /// Puts the positions that a transaction reaches into it, before it is committed.
    pub fn put(&self, outbox: &mut Outbox<'_>, moved: &[(Partition, i64)]) -> Result<(), Failure> {
        let topic = self.config.names().positions();
        for (partition, next) in moved {
            outbox.send(&topic, self.key(partition).as_bytes(), self.value(*next).as_bytes(), Headers::default())?;
        }
        Ok(())
    }

    /// The shell command that has the role go on at `next`, for a person to decide on. The process that reads must end
    /// before.
    pub fn set_command(&self, partition: &Partition, next: i64) -> String {
        let (key, topic) = (self.key(partition), self.config.names().positions());
        format!(
            "echo '{key}={next}' | kafka-console-producer.sh --bootstrap-server {} --topic {topic} \
             --property parse.key=true --property key.separator==",
            self.config.bootstrap_servers.as_str()
        )
    }

    fn key(&self, (source, number): &Partition) -> String {
        format!("{} {source} {number}", self.role)
    }

    /// As [`Position`] reads it.
    fn value(&self, next: i64) -> String {
        json!({"next": next, "installation": self.installation}).to_string()
    }

    /// The role's next offset of each of these, 0 where nothing was ever committed; waits for what is in a transaction
    /// still. `group`: a member of the role's. After an error, of which a stop is one, ask again. Blocks.
    pub(crate) fn read<C: ConsumerContext>(
        &mut self,
        group: &BaseConsumer<C>,
        partitions: &[Partition],
        shutdown: &CancellationToken,
    ) -> anyhow::Result<Vec<i64>> {
        // What is in transactions still is waited for in the log: a coordinator was seen to wait for one that had ended
        // until the broker died, a minute and a half later. An `Asker` doesn't have it wait.
        let asker = Asker::new(&self.config, &self.role)?;
        let answers = asker.committed(borrowed(partitions), LIMIT).context("reading committed offsets")?;
        let answer = in_order(partitions, &answers).context("reading committed offsets")?;
        self.read_log(&asker, shutdown)?;
        let mut forgotten = TopicPartitionList::new();
        let mut found = Vec::with_capacity(partitions.len());
        for (partition, told) in partitions.iter().zip(answer) {
            let told = told.unwrap_or_default();
            let next = self.known.get(partition).copied().unwrap_or(told);
            found.push(next);
            if next == told {
                continue;
            }
            let ((topic, number), role) = (partition, &self.role);
            warn!("the group of {role} has offset {told} of {topic}/{number}, but {next} was committed");
            if told < next {
                forgotten.add_partition_offset(topic, *number, Offset::Offset(next))?;
            }
        }
        if forgotten.count() > 0 {
            // For those who look there: where nothing more comes, nothing more would be committed.
            group.commit(&forgotten, CommitMode::Async).context("telling the group again")?;
        }
        Ok(found)
    }

    /// Reads on in the log of positions, to where it ends now: behind transactions that are open as yet.
    fn read_log(&mut self, asker: &Asker, shutdown: &CancellationToken) -> anyhow::Result<()> {
        let topic = self.config.names().positions();
        let deadline = Instant::now() + READ_LIMIT;
        let (_, end) = asker
            .ask(|client| client.fetch_watermarks(&topic, 0, LIMIT))
            .with_context(|| format!("finding the end of {topic}"))?;
        if self.read.is_some_and(|read| read > end) {
            // It is another log, or has lost its end: what was read there no longer counts.
            (self.read, self.known) = (None, HashMap::new());
        }
        if self.read.unwrap_or_default() >= end {
            return Ok(());
        }
        let consumer: BaseConsumer = self.config.reader().create().context("making a reader")?;
        let consumer = Disposed::new(consumer);
        let mut start = TopicPartitionList::new();
        start.add_partition_offset(&topic, 0, self.read.map_or(Offset::Beginning, Offset::Offset))?;
        consumer.assign(&start).context("assigning")?;
        while !shutdown.is_cancelled() {
            match consumer.poll(POLL) {
                Some(Ok(message)) => {
                    self.take(&message);
                    // The own position is looked at where it may be the end, and not for each record.
                    if message.offset() + 1 < end && Instant::now() < deadline {
                        continue;
                    }
                }
                Some(Err(KafkaError::MessageConsumptionFatal(code))) => bail!("reading {topic}: {code}"),
                // librdkafka reconnects; the deadline bounds how long that is waited for.
                Some(Err(err)) => debug!("reading {topic}: {err}"),
                None => {}
            }
            // It moves past the markers of transactions, too.
            let position = consumer.position().context("asking for the own position")?;
            if let Some(Offset::Offset(next)) = position.find_partition(&topic, 0).map(|found| found.offset()) {
                self.read = Some(next);
                if next >= end {
                    return Ok(());
                }
            }
            if Instant::now() >= deadline {
                bail!("reading {topic}: its end at {end} was not reached within {} s", READ_LIMIT.as_secs());
            }
        }
        bail!("stopped while reading {topic}")
    }

    fn take(&mut self, message: &BorrowedMessage<'_>) {
        let key = message.key().and_then(|key| str::from_utf8(key).ok()).unwrap_or_default();
        self.take_record(key, message.payload());
    }

    /// Takes the next record of the log, in its order; those of other roles are passed over.
    fn take_record(&mut self, key: &str, value: Option<&[u8]>) {
        let rest = key.strip_prefix(&self.role).and_then(|rest| rest.strip_prefix(' '));
        let Some((source, number)) = rest.and_then(|rest| rest.rsplit_once(' ')) else { return };
        let Ok(number) = number.parse() else { return };
        let partition = (source.to_owned(), number);
        let Some(value) = value else {
            self.known.remove(&partition);
            return;
        };
        let Some(position) = Position::parse(value) else { return };
        let is_ours = position.installation.is_none_or(|theirs| theirs == self.installation);
        self.known.insert(partition, if is_ours { position.next } else { 0 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing() -> Committed {
        let config = serde_json::from_value(json!({"bootstrap_servers": "a:1"})).unwrap();
        let installation = Installation { cluster_id: "c".to_owned(), mark: "new".to_owned() };
        Committed::new(&config, "fan-out", &installation)
    }

    /// What is known of `sales/3` after these records of the log.
    fn known(records: &[(&str, Option<&str>)]) -> Option<i64> {
        let mut committed = nothing();
        for (key, value) in records {
            committed.take_record(key, value.map(str::as_bytes));
        }
        committed.known.get(&("sales".to_owned(), 3)).copied()
    }

    const KEY: &str = "fan-out sales 3";
    const OLD: &str = r#"{"next":1000,"installation":"c/old"}"#;
    const NEW: &str = r#"{"next":300,"installation":"c/new"}"#;

    #[test]
    fn the_last_record_counts_and_not_the_highest() {
        assert_eq!(known(&[(KEY, Some("1000")), (KEY, Some(NEW))]), Some(300));
        assert_eq!(known(&[(KEY, Some(NEW)), (KEY, Some("7"))]), Some(7), "what an earlier release wrote, or a person");
        assert_eq!(known(&[(KEY, Some(NEW)), (KEY, None)]), None);
    }

    #[test]
    fn a_position_of_another_installation_counts_as_nothing() {
        assert_eq!(known(&[(KEY, Some(OLD))]), Some(0), "and the group is not asked");
        assert_eq!(known(&[(KEY, Some(OLD)), (KEY, Some(NEW))]), Some(300));
    }

    #[test]
    fn what_others_wrote_is_passed_over() {
        for other in ["spout sales 3", "fan-out sales 4", "fan-out other 3", "fan-outsales 3", "fan-out sales x", ""] {
            assert_eq!(known(&[(KEY, Some(NEW)), (other, Some("9"))]), Some(300), "{other}");
        }
        assert_eq!(known(&[(KEY, Some(NEW)), (KEY, Some("soon"))]), Some(300));
    }

    #[test]
    fn a_record_reads_as_it_was_written() {
        let position = Position { next: 5, installation: Some("c/new".to_owned()) };
        assert_eq!(Position::parse(nothing().value(5).as_bytes()), Some(position));
    }
}
