//! The cut: what the loaders had acknowledged at one moment.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::Context;
use kafka::blocks::{Published, read_all};
use petstore::{Parameters, Petstore};

use super::sample::Sample;
use super::table::grouped;

/// Fewer sales prove nothing.
const ENOUGH: u64 = 100;
/// Loaders publish each second what was acknowledged: after this, they have.
const PUBLISHED: Duration = Duration::from_millis(1_500);
/// Reading the loaders' account.
const LIMIT: Duration = Duration::from_secs(10);
/// How long nothing must have been acknowledged for a loader to count as stopped: at one sale a second, some come.
const STILL: Duration = Duration::from_secs(4);

/// Why there is nothing to judge, and whose log says more.
pub(super) struct Nothing {
    pub(super) why: String,
    pub(super) component: &'static str,
}

/// Waits until there are enough sales, and takes all of them.
pub(super) async fn mark(kafka: &kafka::Config, deadline: Instant) -> Result<Sample, Nothing> {
    loop {
        let nothing = match account(kafka).await {
            Ok(blocks) if total(&blocks) < ENOUGH => Nothing {
                why: format!(
                    "nothing to judge: {} sales were acknowledged, {ENOUGH} are wanted; is loader.replicas 0?",
                    grouped(total(&blocks))
                ),
                component: "loader",
            },
            Ok(_) => match now(kafka).await {
                Ok(sample) => return Ok(sample),
                Err(err) => unreadable(&err),
            },
            Err(err) => unreadable(&err),
        };
        if Instant::now() >= deadline {
            return Err(nothing);
        }
        tokio::time::sleep(PUBLISHED).await;
    }
}

/// What is acknowledged now, once the loaders have said so.
async fn now(kafka: &kafka::Config) -> anyhow::Result<Sample> {
    tokio::time::sleep(PUBLISHED).await;
    let blocks = account(kafka).await?;
    tokio::task::spawn_blocking(move || sample(blocks)).await?
}

fn unreadable(err: &anyhow::Error) -> Nothing {
    Nothing { why: format!("nothing to judge: the loaders' account can't be read: {err:#}"), component: "kafka" }
}

/// Generates again what every block holds.
fn sample(blocks: Vec<Published>) -> anyhow::Result<Sample> {
    let mut chains: HashMap<Parameters, Petstore> = HashMap::new();
    Sample::new(blocks, |record, id| {
        if !chains.contains_key(&record.parameters) {
            let chain = Petstore::new(record.parameters.clone()).with_context(|| format!("generating block {id}"))?;
            chains.insert(record.parameters.clone(), chain);
        }
        let chain = chains.get(&record.parameters).context("a chain that was just opened")?;
        Ok(chain.block(id))
    })
}

/// Whether more is acknowledged than `before`, or will be in a moment.
pub(super) async fn is_sending(kafka: &kafka::Config, before: u64) -> bool {
    let grown = async || account(kafka).await.is_ok_and(|blocks| total(&blocks) > before);
    if grown().await {
        return true;
    }
    tokio::time::sleep(STILL).await;
    grown().await
}

/// The loaders' account as of now.
pub(super) async fn account(kafka: &kafka::Config) -> anyhow::Result<Vec<Published>> {
    let kafka = kafka.clone();
    tokio::task::spawn_blocking(move || read_all(&kafka, LIMIT)).await?
}

fn total(blocks: &[Published]) -> u64 {
    blocks.iter().map(|block| u64::from(block.record.acknowledged.len())).sum()
}
