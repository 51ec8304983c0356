//! `kapture-auditor recount`: the whole account from scratch, of all blocks that the logs still hold whole.
//!
//! It reads the loaders' account, every log and every store again, parses every body, and derives from that alone what
//! the live auditor has put together as it came. Of that one's code it uses nothing but the model, the readers of the
//! protocols, what a store takes, and the names of findings, so that two programs would have to be wrong in the same way.
//! When the pipeline is quiet they must agree.
//!
//! # On a running pipeline
//!
//! It takes a [`Cut`]: what was acknowledged, by the account, and then where `sales` ends. Only that is judged. Each stage
//! is read when it has provably passed what was found at the stage before it; one that has not in time is late with what
//! is missing there. What was sent after the cut is left alone: a sale that the account did not have then is looked up in
//! the account as it is when everything has been read, and is a finding only if it was not sent by that account either.
//!
//! # Bounds
//!
//! Blocks are counted [`PASS`] sales at a time, each pass reading the logs from the first of its blocks on. Order is
//! judged within a pass; content of a store that only counts can't be. Blocks that Redis no longer keeps are not
//! judged at cached, nor is anything that a store holds of an earlier Kafka, whose loaders' account is gone: it is only
//! counted. [`crate::helm_test`] does one pass, over the newest blocks.

mod account;
mod book;
mod cut;
mod judge;
mod logs;
mod outcome;
mod read;
mod strange;
#[cfg(test)]
mod tests;

use std::iter::Peekable;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use kafka::blocks::BlockRecord;
use petstore::BlockId;

use crate::audit::findings::Stage;
use crate::config::Stores;
use crate::model::Chains;
use crate::store::Store;
pub(crate) use account::{Account, Reach};
use book::Book;
pub(crate) use cut::Cut;
pub(crate) use judge::Missing;
pub(crate) use logs::Kafka;
pub use outcome::Recount;
pub(crate) use outcome::grouped;
use read::Reader;
pub(crate) use read::{Limit, Limits};
use strange::{Strange, strange_blocks};

/// Sales in a pass, acknowledged or not: some 40 bytes each, so that half of the pod's 256 MiB is not exceeded.
const PASS: u64 = 3_000_000;
/// Reading the loaders' account.
const ACCOUNT: Duration = Duration::from_mins(1);
/// Of the newest blocks, sales that are held for one that is acknowledged: a loader that is killed again and again leaves
/// blocks of which little was sent.
const ROOM: u64 = 20;
/// For each stage to pass the cut.
const PASSING: Duration = Duration::from_mins(1);
/// For each topic, or family of them, to be read.
const READING: Duration = Duration::from_mins(30);
/// How far the clocks of two pods may differ at the most.
const CLOCKS: Duration = Duration::from_secs(30);
/// How far they usually differ at the most.
const CLOSE_CLOCKS: Duration = Duration::from_secs(3);

/// Recounts everything.
pub async fn run(kafka: &kafka::Config, stores: Stores) -> anyhow::Result<Recount> {
    let kafka = kafka.clone();
    tokio::task::spawn_blocking(move || everything(&kafka, stores)).await?
}

fn everything(kafka: &kafka::Config, mut stores: Stores) -> anyhow::Result<Recount> {
    let kafka = &Kafka::new(kafka)?;
    let cut = Cut::take(kafka, Reach::Whole, Instant::now() + ACCOUNT)?;
    let limits = Limits { pass: Limit::Each(PASSING), read: Limit::Each(READING), clocks: CLOCKS };
    let mut counting = Counting::new(kafka, &mut stores, &cut, limits);
    let mut blocks = cut.blocks().into_iter().peekable();
    loop {
        counting.pass(&mut blocks, PASS)?;
        if let Some((stage, why)) = counting.recount.gaps.unread.first_key_value() {
            bail!("reading what is {}: {why}", stage.name());
        }
        if blocks.peek().is_none() {
            break;
        }
    }
    strange_blocks(kafka, counting.reader.stores, &cut.account, &mut counting.strange)?;
    let after = counting.account_now()?;
    let Strange { blocks, earlier, .. } = &mut counting.strange;
    for strange in [blocks, earlier] {
        strange.retain(|(_, id), _| after.is_settled && !after.has_reserved(*id));
    }
    Ok(counting.finish())
}

/// Recounts the newest blocks of a cut: about so many sales, in so much memory. Blocks.
///
/// It takes the pods' clocks to be close, so as not to read half a minute of sales before the first of its own. If that
/// seems to have gone wrong, it counts once more. Each of the limits holds for both.
pub(crate) fn newest(
    kafka: &Kafka,
    stores: &mut Stores,
    cut: &Cut,
    sales: u64,
    (pass, read): (Instant, Instant),
) -> anyhow::Result<Recount> {
    let mut count = |clocks| {
        let limits = Limits { pass: Limit::Until(pass), read: Limit::Until(read), clocks };
        let mut counting = Counting::new(kafka, stores, cut, limits);
        counting.pass(&mut cut.newest(sales).into_iter().peekable(), ROOM * sales)?;
        anyhow::Ok(counting.finish())
    };
    let close = count(CLOSE_CLOCKS)?;
    if close.stages.is_clean() { Ok(close) } else { count(CLOCKS) }
}

/// A recount that is going on.
struct Counting<'a> {
    reader: Reader<'a>,
    chains: Chains,
    strange: Strange,
    is_first: bool,
    recount: Recount,
}

impl<'a> Counting<'a> {
    fn new(kafka: &'a Kafka, stores: &'a mut Stores, cut: &'a Cut, limits: Limits) -> Self {
        let reader = Reader { kafka, stores, cut, limits };
        let (chains, strange) = (Chains::default(), Strange::default());
        Self { reader, chains, strange, is_first: true, recount: Recount::default() }
    }

    /// Counts as many of the blocks as have room.
    fn pass<'b>(
        &mut self,
        blocks: &mut Peekable<impl Iterator<Item = (BlockId, &'b BlockRecord)>>,
        room: u64,
    ) -> anyhow::Result<()> {
        let Reader { stores, cut, .. } = &self.reader;
        let keeps = stores.redis.as_ref().and_then(Store::keeps);
        let redis_keeps_us = keeps.map_or(i64::MAX, |keeps| i64::try_from(keeps.as_micros()).unwrap_or(i64::MAX));
        let is_first = std::mem::take(&mut self.is_first);
        let mut book = Book::new(&cut.account, stores.watched(), redis_keeps_us, is_first);
        self.chains.open(&mut book, blocks, room)?;
        let mut gaps = self.reader.read(&mut book);
        let after = self.account_after(&book).unwrap_or_else(|err| {
            gaps.unread.insert(Stage::Accepted, format!("{err:#}"));
            Account::default()
        });
        let Self { chains, strange, recount, .. } = self;
        judge::judge(&mut book, &after, |id| chains.length(&after, id), &gaps, strange, recount);
        recount.add(&book, gaps);
        Ok(())
    }

    /// The account as it is now, with all blocks that there may be sales of.
    fn account_after(&self, book: &Book<'_>) -> anyhow::Result<Account> {
        let after = self.account_now()?;
        // A loader that has written nothing of late is known further back alone.
        let is_known = |(_, id): &(Stage, BlockId)| after.has_reserved(*id);
        if after.is_whole || book.strangers.keys().all(is_known) {
            return Ok(after);
        }
        let whole = Account::read(self.reader.kafka, Reach::Written, self.account_deadline());
        whole.context("reading the whole account of the loaders")
    }

    fn account_now(&self) -> anyhow::Result<Account> {
        let after = self.reader.cut.account.read_on(self.reader.kafka, self.account_deadline());
        after.context("reading on in the loaders' account")
    }

    fn account_deadline(&self) -> Instant {
        (Instant::now() + ACCOUNT).min(self.reader.limits.read.deadline())
    }

    fn finish(mut self) -> Recount {
        self.recount.add_strange(&self.strange);
        self.recount.finish(self.reader.stores.watched())
    }
}

impl Chains {
    /// Opens blocks while there is room for their sales.
    fn open<'b>(
        &mut self,
        book: &mut Book<'_>,
        blocks: &mut Peekable<impl Iterator<Item = (BlockId, &'b BlockRecord)>>,
        room: u64,
    ) -> anyhow::Result<()> {
        let mut length = 0;
        while let Some((id, record)) = blocks.next_if(|_| length < room) {
            let block = self.block(&record.parameters, id)?;
            length += block.len() as u64;
            book.open(id, record.clone(), &block);
        }
        Ok(())
    }

    /// How many sales a block of an account holds.
    fn length(&mut self, account: &Account, id: BlockId) -> Option<u32> {
        let block = self.block(&account.blocks.get(&id)?.parameters, id).ok()?;
        u32::try_from(block.len()).ok()
    }
}
