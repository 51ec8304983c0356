//! How far a role has come with its input: what it says itself, in its transactions, or its group, whichever is further.
//!
//! A group's coordinator alone can't be believed. One that begins twice in quick succession, as after a broker that stood
//! still for longer than its session, may serve what it had read of its log by then, and never read the rest (seen with
//! Kafka 4.1.1, whose broker then says "Ignored load completion"; a minute later it still did): that nothing was
//! committed, or something long past. Whoever begins there does everything again.
//!
//! So each transaction holds, beside what it sends, a record on `kapture.positions` for each partition that it reads from:
//! the position lies with the data, as a sink's does. The group is still told, in the same transaction, and told again if
//! it forgot: it refuses members that have lost their share, and people and the auditor look there.
//!
//! It follows that setting the group back has no effect: to have everything done again, begin with an empty Kafka.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, OwnedHeaders};
use rdkafka::topic_partition_list::Offset;
use rdkafka::{Message, TopicPartitionList};
use tracing::{debug, warn};

use crate::transactions::{Failure, Outbox};
use crate::{Asker, Config};

/// One question to the coordinator, or to a partition's leader.
const LIMIT: Duration = Duration::from_secs(10);
/// Reading the log of positions; a transaction of somebody who died is in its way for up to twenty seconds, after which
/// it is read again.
const READ_LIMIT: Duration = Duration::from_secs(10);
/// A wait for its next record.
const POLL: Duration = Duration::from_millis(20);

/// A partition of a topic.
type Partition = (String, i32);

/// The positions of a role, as far as this process knows them.
#[derive(Debug)]
pub struct Committed {
    config: Config,
    role: String,
    known: HashMap<Partition, i64>,
    /// How far the log of positions was read.
    read: Option<i64>,
}

impl Committed {
    /// Knows nothing yet. `role`: by its name, such as `fan-out`.
    pub fn new(config: &Config, role: &str) -> Self {
        Self { config: config.clone(), role: role.to_owned(), known: HashMap::new(), read: None }
    }

    /// Puts the positions that a transaction reaches into it, before it is committed.
    pub fn put(&self, outbox: &mut Outbox<'_>, moved: &[(Partition, i64)]) -> Result<(), Failure> {
        let topic = self.config.names().positions();
        for ((source, number), next) in moved {
            let key = format!("{} {source} {number}", self.role);
            outbox.send(&topic, key.as_bytes(), next.to_string().as_bytes(), OwnedHeaders::new())?;
        }
        Ok(())
    }

    /// Takes what this process has committed itself. A position never goes back.
    pub fn moved(&mut self, partition: Partition, next: i64) {
        let known = self.known.entry(partition).or_default();
        *known = next.max(*known);
    }

    /// The role's next offset of each of these, 0 where nothing was ever committed; waits for what is in a transaction
    /// still. `group`: a member of the role's. After an error, ask again. Blocks.
    pub fn read<C: ConsumerContext, T: Consumer<C>>(
        &mut self,
        group: &T,
        partitions: &[Partition],
    ) -> anyhow::Result<Vec<i64>> {
        // What is in transactions still is waited for in the log: a coordinator was seen to wait for one that had ended
        // until the broker died, a minute and a half later. An `Asker` doesn't have it wait.
        let asker = Asker::new(&self.config, &self.role)?;
        let answer = asker.ask(|client| client.committed_offsets(list(partitions), LIMIT));
        let answer = next_of(partitions, &answer.context("reading committed offsets")?)?;
        self.read_log(&asker)?;
        let mut forgotten = TopicPartitionList::new();
        for (partition, next) in partitions.iter().zip(answer) {
            self.moved(partition.clone(), next);
            let known = self.known[partition];
            if next < known {
                warn!(
                    "the group of {} says {next} of {}/{}, and {known} was committed",
                    self.role, partition.0, partition.1
                );
                forgotten.add_partition_offset(&partition.0, partition.1, Offset::Offset(known))?;
            }
        }
        if forgotten.count() > 0 {
            // For those who look there: where nothing more comes, nothing more would be committed.
            group.commit(&forgotten, CommitMode::Async).context("telling the group again")?;
        }
        Ok(partitions.iter().map(|partition| self.known[partition]).collect())
    }

    /// Reads on in the log of positions, to where it ends now: behind transactions that are open as yet.
    fn read_log(&mut self, asker: &Asker) -> anyhow::Result<()> {
        let topic = self.config.names().positions();
        let deadline = Instant::now() + READ_LIMIT;
        let (_, end) = asker
            .ask(|client| client.fetch_watermarks(&topic, 0, LIMIT))
            .with_context(|| format!("finding the end of {topic}"))?;
        if self.read.unwrap_or_default() >= end {
            return Ok(());
        }
        let consumer: BaseConsumer = self.config.reader().create().context("making a reader")?;
        let mut start = TopicPartitionList::new();
        start.add_partition_offset(&topic, 0, self.read.map_or(Offset::Beginning, Offset::Offset))?;
        consumer.assign(&start).context("assigning")?;
        loop {
            match consumer.poll(POLL) {
                Some(Ok(message)) => {
                    self.take(&message);
                    // The own position is looked at where it may be the end, and not for each record.
                    if message.offset() + 1 < end && Instant::now() < deadline {
                        continue;
                    }
                }
                Some(Err(KafkaError::MessageConsumptionFatal(code))) => bail!("reading {topic}: {code}"),
                // librdkafka reconnects by itself; the deadline bounds how long.
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
    }

    fn take(&mut self, message: &BorrowedMessage<'_>) {
        let (Some(key), Some(value)) = (text(message.key()), text(message.payload())) else { return };
        let Some((source, number)) =
            key.strip_prefix(&self.role).and_then(|rest| rest.strip_prefix(' ')?.rsplit_once(' '))
        else {
            return;
        };
        if let (Ok(number), Ok(next)) = (number.parse(), value.parse()) {
            self.moved((source.to_owned(), number), next);
        }
    }
}

fn text(bytes: Option<&[u8]>) -> Option<&str> {
    str::from_utf8(bytes?).ok()
}

fn list(partitions: &[Partition]) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for (topic, number) in partitions {
        list.add_partition(topic, *number);
    }
    list
}

/// What an answer says of each; 0 where nothing was committed.
fn next_of(partitions: &[Partition], answer: &TopicPartitionList) -> anyhow::Result<Vec<i64>> {
    let of = |(topic, number): &Partition| {
        let element = answer.find_partition(topic, *number).context("a partition has no answer")?;
        element.error().with_context(|| format!("reading the committed offset of {topic}/{number}"))?;
        Ok(if let Offset::Offset(offset) = element.offset() { offset } else { 0 })
    };
    partitions.iter().map(of).collect()
}
