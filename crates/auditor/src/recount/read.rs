//! Reads all logs and stores into a [`Book`].

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use anyhow::ensure;
use kafka::SaleHeader;
use petstore::{BlockId, State};
use rdkafka::Message;
use rdkafka::message::BorrowedMessage;

use super::Passed;
use super::book::{Book, Record};
use super::judge::Strange;
use crate::check::scan::{self, Part};
use crate::config::Stores;
use crate::findings::Stage;
use crate::ledger::STORES;
use crate::store::{Page, Store};

/// How long is waited for a role to pass what it has to. What is missing then is late, not lost.
const PASSING: Duration = Duration::from_mins(1);
/// One topic, or family of them, in one pass.
const READING: Duration = Duration::from_mins(30);
/// Between two looks at how far a role is.
const REST: Duration = Duration::from_millis(500);
/// Conflicts of one block that are read.
const CONFLICTS: u32 = 1_000;

/// The highest offset of a sale on each state's topic: what the stores and the spout have to pass.
pub(super) type Highest = BTreeMap<State, i64>;

/// Reads `sales`, `sales.rejected` and the states' topics, these when the fan-out has passed the end of `sales`.
pub(super) async fn routed(
    kafka: &kafka::Config,
    mut book: Book,
    passed: &mut Passed,
) -> anyhow::Result<(Book, Highest)> {
    let names = kafka.names();
    let sales = parts(kafka, vec![names.sales()], 0).await?;
    let has_passed = wait(async || committed(kafka, "fan-out", sales.clone()).await).await?;
    note(passed, Stage::Routed, has_passed);
    let mut highest = Highest::new();
    for topics in [vec![names.sales()], vec![names.rejected()], names.states()] {
        (book, highest) = read(kafka, topics, book, highest).await?;
    }
    Ok((book, highest))
}

/// Reads `receipts` when the spout has passed what was routed.
pub(super) async fn returned(
    kafka: &kafka::Config,
    book: Book,
    highest: &Highest,
    passed: &mut Passed,
) -> anyhow::Result<Book> {
    let names = kafka.names();
    let part = |(state, offset): (&State, &i64)| {
        let topic = names.state(*state);
        Part { topic, partition: 0, start: 0, end: offset + 1, trimmed: false }
    };
    let ends: Vec<Part> = highest.iter().map(part).collect();
    let has_passed = wait(async || committed(kafka, "spout", ends.clone()).await).await?;
    note(passed, Stage::Returned, has_passed);
    Ok(read(kafka, vec![names.receipts()], book, Highest::new()).await?.0)
}

/// Asks until the answer is yes, for as long as that may take.
async fn wait(ask: impl AsyncFn() -> anyhow::Result<bool>) -> anyhow::Result<bool> {
    let deadline = Instant::now() + PASSING;
    loop {
        if ask().await? {
            return Ok(true);
        }
        if Instant::now() >= deadline {
            return Ok(false);
        }
        tokio::time::sleep(REST).await;
    }
}

/// Of several passes, all must have passed.
fn note(passed: &mut Passed, stage: Stage, has_passed: bool) {
    *passed.entry(stage).or_insert(true) &= has_passed;
}

async fn committed(kafka: &kafka::Config, role: &'static str, parts: Vec<Part>) -> anyhow::Result<bool> {
    let kafka = kafka.clone();
    tokio::task::spawn_blocking(move || Ok(parts.is_empty() || scan::committed(&kafka, role, &parts)?)).await?
}

async fn parts(kafka: &kafka::Config, topics: Vec<String>, since_ms: i64) -> anyhow::Result<Vec<Part>> {
    let kafka = kafka.clone();
    tokio::task::spawn_blocking(move || scan::parts(&kafka, &topics, since_ms)).await?
}

/// Reads topics to their ends as of now.
async fn read(
    kafka: &kafka::Config,
    topics: Vec<String>,
    mut book: Book,
    mut highest: Highest,
) -> anyhow::Result<(Book, Highest)> {
    let parts = parts(kafka, topics.clone(), book.since_us() / 1_000).await?;
    let kafka = kafka.clone();
    tokio::task::spawn_blocking(move || {
        let names = kafka.names();
        let (rejected, returned) = (names.rejected(), names.receipts());
        let read = scan::scan(&kafka, &parts, Instant::now() + READING, |message| {
            let topic = message.topic();
            match names.state_of(topic) {
                Some(state) => {
                    let known = highest.entry(state).or_default();
                    *known = message.offset().max(*known);
                    put(&mut book, Log::State(state), message);
                }
                None if topic == rejected => book.rejected(SaleHeader::id_in(message)),
                None if topic == returned => put(&mut book, Log::Receipts, message),
                None => put(&mut book, Log::Sales, message),
            }
        })?;
        ensure!(read.left == 0, "{} offsets of {} could not be read in time", read.left, topics.join(", "));
        if topics[0] != rejected {
            book.begin_at(read.begins_us);
        }
        Ok((book, highest))
    })
    .await?
}

/// Looks again where the logs begin: what they have lost since they were read, the auditor may have deleted from Postgres
/// before that was.
pub(super) async fn look_again(kafka: &kafka::Config, book: &mut Book) -> anyhow::Result<()> {
    let names = kafka.names();
    let mut topics = names.states();
    topics.push(names.sales());
    topics.extend(book.watched.returned.then(|| names.receipts()));
    let mut parts = parts(kafka, topics, book.since_us() / 1_000).await?;
    parts.retain(|part| part.trimmed && part.start < part.end);
    for part in &mut parts {
        part.end = part.start + 1;
    }
    if parts.is_empty() {
        return Ok(());
    }
    let kafka = kafka.clone();
    let read =
        tokio::task::spawn_blocking(move || scan::scan(&kafka, &parts, Instant::now() + READING, |_| {})).await??;
    book.begin_at(read.begins_us);
    Ok(())
}

#[derive(Clone, Copy)]
enum Log {
    Sales,
    State(State),
    Receipts,
}

fn put(book: &mut Book, log: Log, message: &BorrowedMessage<'_>) {
    let (partition, offset) = (message.partition(), message.offset());
    match (SaleHeader::from_message(message), log) {
        (Ok(header), log) => {
            let record = Record { header, body: message.payload().unwrap_or_default() };
            match log {
                Log::Sales => book.accepted(record),
                Log::State(state) => book.routed(state, record),
                Log::Receipts => book.returned(record),
            }
        }
        (Err(malformed), Log::State(state)) => {
            book.garbage(Stage::Routed, format!("topic of {state}, offset {offset}"), malformed.reason);
        }
        (Err(malformed), Log::Receipts) => {
            let place = format!("receipts, partition {partition}, offset {offset}");
            book.garbage(Stage::Returned, place, malformed.reason);
        }
        // It is for the fan-out to reject it.
        (Err(_), Log::Sales) => {}
    }
}

/// Reads what the stores hold of the blocks, when each has passed what was routed.
pub(super) async fn stored(
    kafka: &kafka::Config,
    stores: &mut Stores,
    book: &mut Book,
    highest: &Highest,
    passed: &mut Passed,
) -> anyhow::Result<()> {
    let (names, installation) = (kafka.names(), crate::check::installation(kafka, Instant::now() + PASSING).await?);
    let ids: Vec<BlockId> = book.blocks.keys().copied().collect();
    for (number, store) in [&mut stores.redis, &mut stores.postgres].into_iter().enumerate() {
        let Some(store) = store else { continue };
        let deadline = Instant::now() + PASSING;
        let has_passed = loop {
            let positions = store.positions(&names, &installation).await?;
            let behind = highest.iter().any(|(state, offset)| positions.get(state).is_none_or(|next| next <= offset));
            if !behind || Instant::now() >= deadline {
                break !behind;
            }
            tokio::time::sleep(REST).await;
        };
        note(passed, STORES[number], has_passed);
        for id in &ids {
            hold(store, number, *id, book).await?;
        }
    }
    Ok(())
}

async fn hold(store: &mut Store, number: usize, id: BlockId, book: &mut Book) -> anyhow::Result<()> {
    let counts = store.counts(&[id]).await?;
    let repeated = counts.first().map_or(0, |counts| counts.conflicts);
    if let Some(page) = book.blocks.get_mut(&id) {
        page.repeated[number] = repeated;
    }
    if repeated > 0 {
        book.conflicts.extend(store.conflicts(id, CONFLICTS).await?);
    }
    let held = store.held(id).await?;
    for row in &held.rows {
        book.stored(id.sale(row.index), row.digest, row.receipt.as_ref().ok());
    }
    if matches!(store, Store::Redis(..)) {
        held.present.to_ranges().iter().for_each(|index| book.cached(id.sale(index)));
    }
    Ok(())
}

/// Looks for blocks in the stores that are not on the loaders' account.
pub(super) async fn strange_blocks(
    stores: &mut Stores,
    known: &HashSet<BlockId>,
    strange: &mut Strange,
) -> anyhow::Result<()> {
    for (stage, store) in [(Stage::Cached, &mut stores.redis), (Stage::Stored, &mut stores.postgres)] {
        let Some(store) = store else { continue };
        let mut page = Page::default();
        loop {
            let blocks = store.blocks(&mut page).await?;
            let unknown: Vec<BlockId> = blocks.into_iter().filter(|id| !known.contains(id)).collect();
            if !unknown.is_empty() {
                let counts = store.counts(&unknown).await?;
                let counts = unknown.into_iter().zip(counts).filter(|(_, counts)| counts.found > 0);
                strange.blocks.extend(counts.map(|(id, counts)| ((stage, id), counts.found)));
            }
            if page.is_at_start() {
                break;
            }
        }
    }
    Ok(())
}
