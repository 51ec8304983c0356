//! Waits until the stages have passed the cut, and reads all logs and stores into a [`Book`].

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use kafka::{Malformed, Part};
use petstore::{BlockId, State};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::book::{Book, Record};
use super::cut::Cut;
use super::logs::{Kafka, has_passed, wait};
use crate::audit::STORES;
use crate::audit::findings::Stage;
use crate::config::Stores;
use crate::store::Store;

/// Conflicts of one block that are read.
const CONFLICTS: u32 = 1_000;

/// How long is waited.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Limit {
    /// For each thing that is waited for.
    Each(Duration),
    /// For everything together.
    Until(Instant),
}

/// The limits of one pass.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// For a stage to pass the cut. What is missing there then is late, not lost.
    pub(crate) pass: Limit,
    /// For a topic, or a family of them, to be read.
    pub(crate) read: Limit,
    /// How far the clocks of two pods may differ: a record's time is its producer's.
    pub(crate) clocks: Duration,
}

/// Why what is missing at a stage need not be lost.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gaps {
    /// It has not passed the cut in time.
    pub(crate) behind: BTreeMap<Stage, String>,
    /// It could not be read.
    pub(crate) unread: BTreeMap<Stage, String>,
}

/// The highest offset of a sale that is judged on each state's topic: what the stores and the spout have to pass.
type Highest = BTreeMap<State, i64>;

/// Reads what one cut covers. Blocks: to be used where blocking is allowed, and within a runtime.
pub(crate) struct Reader<'a> {
    pub(crate) kafka: &'a Kafka,
    pub(crate) stores: &'a mut Stores,
    pub(crate) cut: &'a Cut,
    pub(crate) limits: Limits,
}

impl Limit {
    pub(crate) fn deadline(self) -> Instant {
        match self {
            Self::Each(time) => Instant::now() + time,
            Self::Until(deadline) => deadline,
        }
    }
}

impl Gaps {
    /// Whether what is missing at a stage will not come.
    pub(crate) fn has_passed(&self, stage: Stage) -> bool {
        !self.behind.contains_key(&stage) && !self.unread.contains_key(&stage)
    }

    /// Adds those of another pass.
    pub(crate) fn add(&mut self, other: Self) {
        self.behind.extend(other.behind);
        self.unread.extend(other.unread);
    }

    fn note(&mut self, stage: Stage, passed: Result<(), String>) {
        if let Err(why) = passed {
            self.behind.insert(stage, why);
        }
    }

    fn read<T: Default>(&mut self, stage: Stage, read: anyhow::Result<T>) -> T {
        read.unwrap_or_else(|err| {
            self.unread.entry(stage).or_insert_with(|| format!("{err:#}"));
            T::default()
        })
    }
}

impl Reader<'_> {
    /// Goes through the stages in the order of the flow, each being read when it has passed what was found at the one
    /// before it.
    pub(crate) fn read(&mut self, book: &mut Book<'_>) -> Gaps {
        let mut gaps = Gaps::default();
        let names = self.kafka.config.names();
        let accepted = self.accepted(book);
        gaps.read(Stage::Accepted, accepted);
        let passed = || has_passed("fan-out", &self.kafka.fan_out, &self.cut.sales);
        gaps.note(Stage::Routed, wait(self.limits.pass.deadline(), passed));
        let mut topics = names.states();
        topics.push(names.rejected());
        let routed = self.topics(&topics, book);
        let highest = gaps.read(Stage::Routed, routed);
        self.stored(book, &highest, &mut gaps);
        if self.stores.returned {
            let part = |(state, offset): (&State, &i64)| Part {
                partition: (names.state(*state), 0),
                start: 0,
                end: offset + 1,
                trimmed: false,
            };
            let routed: Vec<Part> = highest.iter().map(part).collect();
            let passed = || has_passed("spout", &self.kafka.spout, &routed);
            gaps.note(Stage::Returned, wait(self.limits.pass.deadline(), passed));
            let returned = self.topics(&[names.receipts()], book);
            gaps.read(Stage::Returned, returned);
        }
        let begins = self.look_again(book);
        gaps.read(Stage::Accepted, begins);
        debug!("read where the logs begin");
        book.set_aside();
        gaps
    }

    /// The time before which no record of a sale in the book was written: unix time, milliseconds.
    fn since_ms(&self, book: &Book<'_>) -> i64 {
        book.since_us() / 1_000 - i64::try_from(self.limits.clocks.as_millis()).unwrap_or(i64::MAX)
    }

    /// Reads `sales`, no further than to the cut.
    fn accepted(&self, book: &mut Book<'_>) -> anyhow::Result<()> {
        let mut parts = self.kafka.fan_out.since(&[self.kafka.config.names().sales()], self.since_ms(book))?;
        for (part, cut) in parts.iter_mut().zip(&self.cut.sales) {
            part.end = cut.end;
            part.start = part.start.min(part.end);
        }
        self.parts(&parts, book)?;
        Ok(())
    }

    /// Reads topics to their ends as of now.
    fn topics(&self, topics: &[String], book: &mut Book<'_>) -> anyhow::Result<Highest> {
        let mut parts = self.kafka.fan_out.since(topics, self.since_ms(book))?;
        // Where `sales.rejected` begins says nothing of what the others still hold.
        let rejected = self.kafka.config.names().rejected();
        parts.iter_mut().filter(|part| part.partition.0 == rejected).for_each(|part| part.trimmed = false);
        self.parts(&parts, book)
    }

    fn parts(&self, parts: &[Part], book: &mut Book<'_>) -> anyhow::Result<Highest> {
        let names = self.kafka.config.names();
        let (rejected, returned) = (names.rejected(), names.receipts());
        let mut highest = Highest::new();
        let read = self.kafka.read(parts, self.limits.read.deadline(), |record| {
            let (topic, offset) = (record.topic(), record.offset());
            if topic == rejected {
                return book.rejected(record.sale_id());
            }
            let sale = record.sale().map(|header| Record { header, body: record.payload().unwrap_or_default() });
            match (names.state_of(topic), sale) {
                (Some(state), Ok(sale)) => {
                    if book.routed(state, sale) {
                        let known = highest.entry(state).or_default();
                        *known = offset.max(*known);
                    }
                }
                (Some(state), Err(Malformed { reason })) => {
                    book.garbage(Stage::Routed, format!("topic of {state}, offset {offset}"), reason);
                }
                (None, Ok(sale)) if topic == returned => book.returned(sale),
                (None, Err(Malformed { reason })) if topic == returned => {
                    let place = format!("receipts, partition {}, offset {offset}", record.partition());
                    book.garbage(Stage::Returned, place, reason);
                }
                (None, Ok(sale)) => book.accepted(sale),
                // On `sales`: it is for the fan-out to reject it.
                (None, Err(_)) => {}
            }
        })?;
        let topic = parts.first().map_or("", |part| part.partition.0.as_str());
        let offsets: i64 = parts.iter().map(|part| part.end - part.start).sum();
        debug!(topic, partitions = parts.len(), offsets, "read");
        ensure!(read.left == 0, "{} offsets could not be read in time, of {topic} and its like", read.left);
        book.begin_at(read.begins_us);
        Ok(highest)
    }

    /// Looks again where the logs begin: what they have lost since they were read, the auditor may have deleted from
    /// Postgres before that was.
    fn look_again(&self, book: &mut Book<'_>) -> anyhow::Result<()> {
        let names = self.kafka.config.names();
        let mut topics = names.states();
        topics.push(names.sales());
        topics.extend(book.watched[Stage::Returned].then(|| names.receipts()));
        let mut parts = self.kafka.fan_out.since(&topics, self.since_ms(book))?;
        parts.retain(|part| part.trimmed && part.start < part.end);
        for part in &mut parts {
            part.end = part.start + 1;
        }
        if !parts.is_empty() {
            book.begin_at(self.kafka.read(&parts, self.limits.read.deadline(), |_| {})?.begins_us);
        }
        Ok(())
    }

    /// Reads what the stores hold of the blocks, when each has passed what was routed.
    fn stored(&mut self, book: &mut Book<'_>, highest: &Highest, gaps: &mut Gaps) {
        let names = self.kafka.config.names();
        let installation = installation(&self.kafka.config, self.limits.pass.deadline());
        let ids: Vec<BlockId> = book.blocks.keys().copied().collect();
        for (number, store) in [&mut self.stores.redis, &mut self.stores.postgres].into_iter().enumerate() {
            let Some(store) = store else { continue };
            let passed = match &installation {
                // If there is nothing to pass, it may not have adopted this Kafka yet.
                Ok(_) if highest.is_empty() => Ok(()),
                Ok(installation) => {
                    wait(self.limits.pass.deadline(), || has_stored(store, &names, installation, highest))
                }
                Err(err) => Err(format!("{err:#}")),
            };
            debug!(?passed, "reading what is {}", STORES[number].name());
            gaps.note(STORES[number], passed);
            let deadline = self.limits.read.deadline();
            let held = ids.iter().try_for_each(|id| {
                ensure!(Instant::now() < deadline, "not all of it could be read in time");
                hold(store, number, *id, book)
            });
            gaps.read(STORES[number], held);
        }
    }
}

/// Whether a store's position has passed these offsets; the error explains why it has not.
fn has_stored(store: &mut Store, names: &kafka::Names, installation: &str, highest: &Highest) -> Result<(), String> {
    let asked = Handle::current().block_on(store.positions(names, installation));
    let positions = asked.map_err(|err| format!("{err:#}"))?;
    let is_behind = |(state, offset): &(&State, &i64)| positions.get(state).is_none_or(|next| next <= offset);
    match highest.iter().filter(is_behind).count() {
        0 => Ok(()),
        behind => Err(format!("has not passed {behind} of {} topics", highest.len())),
    }
}

fn hold(store: &mut Store, number: usize, id: BlockId, book: &mut Book<'_>) -> anyhow::Result<()> {
    let runtime = Handle::current();
    let counts = runtime.block_on(store.counts(&[id]))?;
    let repeated = counts.first().map_or(0, |counts| counts.conflicts);
    if let Some(page) = book.blocks.get_mut(&id) {
        page.repeated[number] = repeated;
    }
    if repeated > 0 {
        book.conflicts.extend(runtime.block_on(store.conflicts(id, CONFLICTS))?);
    }
    let held = runtime.block_on(store.held(id, true))?;
    for row in &held.rows {
        book.stored(id.sale(row.index), row.digest, row.receipt.as_ref().ok());
    }
    if matches!(store, Store::Redis(..)) {
        held.present.to_ranges().iter().for_each(|index| book.cached(id.sale(index)));
    }
    Ok(())
}

/// Which Kafka this is, as the stores keep it with their positions.
pub(super) fn installation(kafka: &kafka::Config, deadline: Instant) -> anyhow::Result<String> {
    let shutdown = CancellationToken::new();
    let asked = async { tokio::time::timeout_at(deadline.into(), kafka.installation(&shutdown)).await };
    let answer = Handle::current().block_on(asked);
    Ok(answer.context("asking which kafka this is: no answer in time")??.to_string())
}
