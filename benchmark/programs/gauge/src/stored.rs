//! Reads what Redis or Postgres has stored.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use petstore::{BlockId, Sale, SaleId, State, digest};
use serde_json::{Value, json};
use stores::{Counts, Positions, postgres, redis};

use crate::truth::{Tally, Truth};

const LOOK_EVERY: Duration = Duration::from_millis(20);
const STORE_LIMIT: Duration = Duration::from_mins(5);
/// Blocks requested at once.
const BLOCKS: usize = 100;

enum Reader {
    Redis(Box<redis::Reader>),
    Postgres(Box<postgres::Reader>),
}

impl Reader {
    fn new(store: &str) -> anyhow::Result<Self> {
        Ok(match store {
            "redis" => Self::Redis(Box::new(redis::Reader::new(service::from_env("REDIS_")?))),
            "postgres" => Self::Postgres(Box::new(postgres::Reader::new(service::from_env("POSTGRES_")?))),
            _ => bail!("{store:?} is not a store: use redis or postgres"),
        })
    }

    /// `None` if the store was never written to.
    async fn positions(&mut self) -> Positions {
        match self {
            Self::Redis(reader) => reader.positions().await,
            Self::Postgres(reader) => reader.positions().await,
        }
        .unwrap_or_default()
    }

    async fn counts(&mut self, blocks: &[BlockId]) -> Result<Vec<Counts>, stores::Error> {
        match self {
            Self::Redis(reader) => reader.counts(blocks).await,
            Self::Postgres(reader) => reader.counts(blocks).await,
        }
    }

    /// Each stored index, with the digest of the sale if the store keeps one.
    async fn present(&mut self, block: BlockId) -> Result<Vec<(u32, Option<u64>)>, stores::Error> {
        Ok(match self {
            Self::Redis(reader) => reader.present(block).await?.into_iter().map(|index| (index, None)).collect(),
            Self::Postgres(reader) => {
                reader.present(block).await?.into_iter().map(|(index, digest)| (index, Some(digest))).collect()
            }
        })
    }
}

/// Waits until the store's positions add up to `sum`. Reports when they first were above 0 and when they reached it.
pub(crate) async fn wait(store: &str, sum: i64) -> anyhow::Result<Value> {
    let mut reader = Reader::new(store)?;
    let begun = Instant::now();
    let mut first = None;
    while begun.elapsed() < STORE_LIMIT {
        let done: i64 = reader.positions().await.next.values().sum();
        let at_us = service::unix_us();
        if done > 0 {
            let (first_us, first_done) = *first.get_or_insert((at_us, done));
            if done >= sum {
                return Ok(json!({"first_us": first_us, "first": first_done, "last_us": at_us, "last": done}));
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    bail!("{store} did not reach {sum} within {} s", STORE_LIMIT.as_secs())
}

/// Checks that every sale of `sales` is stored once, with its digest if the store keeps one; in Redis, also the totals of each state.
pub(crate) async fn compare(kafka: &kafka::Config, store: &str) -> anyhow::Result<Value> {
    let mut digests: HashMap<SaleId, u64> = HashMap::new();
    let mut totals: HashMap<State, redis::Total> = HashMap::new();
    let mut truth = Truth::read(kafka, |record| {
        let sale: Sale = serde_json::from_slice(record.payload().unwrap_or_default()).context("reading a sale")?;
        digests.insert(sale.id, digest(&sale));
        let total = totals.entry(sale.state()).or_default();
        total.sales += 1;
        total.cents += u64::from(sale.cents);
        Ok(())
    })?;

    let mut reader = Reader::new(store)?;
    let mut tally = Tally::default();
    let blocks: Vec<BlockId> = truth.blocks.keys().copied().collect();
    let mut conflicts = 0;
    for blocks in blocks.chunks(BLOCKS) {
        conflicts += reader.counts(blocks).await?.iter().map(|counts| counts.conflicts).sum::<u64>();
    }
    for block in blocks {
        for (index, digest) in reader.present(block).await? {
            let id = block.sale(index);
            let Some(entry) = truth.find(id) else {
                tally.unknown += 1;
                continue;
            };
            entry.times_found += 1;
            tally.found += 1;
            tally.altered += u64::from(digest.is_some_and(|digest| digests.get(&id) != Some(&digest)));
        }
    }
    if let Reader::Redis(reader) = &mut reader {
        for (state, total) in State::ALL.iter().zip(reader.totals(&State::ALL).await?) {
            tally.misrouted += u64::from(total != totals.remove(state).unwrap_or_default());
        }
    }
    let mut answer = tally.json(&truth);
    answer["conflicts"] = json!(conflicts);
    if conflicts > 0 {
        answer["well"] = json!(false);
    }
    Ok(answer)
}
