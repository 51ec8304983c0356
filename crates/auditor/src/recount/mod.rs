//! `kapture-auditor recount`: the whole account from scratch, of all blocks that the logs still hold whole.
//!
//! It reads the loaders' account, every log and every store anew, parses every body, and derives from that alone what
//! the live auditor has put together as it came. Of that one's code it uses nothing but the model and the readers of the
//! protocols, so that two programs would have to be wrong in the same way. When the pipeline is quiet they must agree.
//!
//! Blocks are counted [`PASS`] sales at a time, each pass reading the logs from the first of its blocks on. Order is
//! judged within a pass; content of a store that only counts can't be. Of blocks that Redis no longer keeps nothing is
//! said at cached.

mod book;
mod judge;
mod read;
mod report;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use anyhow::Context;
use kafka::blocks::{Published, read_all};
use petstore::{BlockId, Parameters, Petstore};

use crate::config::Stores;
use crate::findings::{Finding, Stage, Tallies};
use crate::store::Store;
use book::Book;
pub use report::Recount;

/// Sales in a pass: some 40 bytes each, so that half of the pod's 256 MiB is not exceeded.
const PASS: u64 = 3_000_000;
/// Reading the loaders' account.
const ACCOUNT: Duration = Duration::from_mins(1);

/// Recounts everything.
pub async fn run(kafka: &kafka::Config, mut stores: Stores) -> anyhow::Result<Recount> {
    let account = account(kafka).await?;
    let mut recount = Recount::default();
    let mut chains: HashMap<Parameters, Petstore> = HashMap::new();
    let known: HashSet<BlockId> = account.iter().map(|block| block.id).collect();
    let keeps = stores.redis.as_ref().and_then(Store::keeps);
    let redis_keeps_us = keeps.map_or(i64::MAX, |keeps| i64::try_from(keeps.as_micros()).unwrap_or(i64::MAX));
    let mut passed = Passed::new();
    let mut strange = judge::Strange::default();
    for (number, chunk) in chunks(account).into_iter().enumerate() {
        let mut book = Book::new(stores.watched(), redis_keeps_us, number == 0);
        for Published { id, record, .. } in chunk {
            if !chains.contains_key(&record.parameters) {
                let chain =
                    Petstore::new(record.parameters.clone()).with_context(|| format!("generating block {id}"))?;
                chains.insert(record.parameters.clone(), chain);
            }
            if let Some(chain) = chains.get(&record.parameters) {
                book.open(id, record, &chain.block(id));
            }
        }
        let (mut book, highest) = read::routed(kafka, book, &mut passed).await?;
        read::stored(kafka, &mut stores, &mut book, &highest, &mut passed).await?;
        if stores.returned {
            book = read::returned(kafka, book, &highest, &mut passed).await?;
        }
        read::look_again(kafka, &mut book).await?;
        book.set_aside();
        recount.add(judge::judge(&mut book, &passed, &mut strange), &book);
    }
    read::strange_blocks(&mut stores, &known, &mut strange).await?;
    // What was reserved meanwhile is not strange.
    let now = self::account(kafka).await?;
    strange.forget(|id| known.contains(&id) || now.iter().any(|block| block.id == id));
    recount.add_strange(&strange);
    Ok(recount.finish(stores.watched(), &passed))
}

/// Tallies and findings of one pass.
#[derive(Debug, Default)]
struct Judged {
    tallies: Tallies,
    findings: Vec<Finding>,
}

/// Which stages have provably passed all that was acknowledged before.
type Passed = BTreeMap<Stage, bool>;

async fn account(kafka: &kafka::Config) -> anyhow::Result<Vec<Published>> {
    let kafka = kafka.clone();
    tokio::task::spawn_blocking(move || read_all(&kafka, ACCOUNT)).await?.context("reading the loaders' account")
}

/// The blocks in the order in which they were reserved, as many at a time as have room.
fn chunks(mut account: Vec<Published>) -> Vec<Vec<Published>> {
    account.sort_unstable_by_key(|block| (block.record.reserved_at_us, block.id));
    let (mut chunks, mut sales) = (vec![Vec::new()], 0);
    for block in account {
        let acknowledged = u64::from(block.record.acknowledged.len());
        if sales + acknowledged > PASS && sales > 0 {
            chunks.push(Vec::new());
            sales = 0;
        }
        sales += acknowledged;
        if let Some(chunk) = chunks.last_mut() {
            chunk.push(block);
        }
    }
    chunks
}
