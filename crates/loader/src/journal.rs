//! The account's way to `kapture.blocks` and back, in transactions that only the newest instance of a loader can commit.

use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use kafka::blocks::{BlockRecord, decode};
use kafka::{Batches, Config, read_to_end};
use petstore::BlockId;
use rdkafka::Message;
use tracing::warn;

use crate::opening::Past;

/// Reading the topic. Transactions of other loaders, which hide what comes after them, end within 10 s.
const READ_LIMIT: Duration = Duration::from_secs(30);
/// Rest before the topic is read again because somebody's transaction hid its end.
const READ_REST: Duration = Duration::from_millis(100);

/// Writes a loader's records.
pub struct Journal {
    topic: String,
    batches: Batches,
}

/// Why records were not, or perhaps not, committed. The journal is of no more use then: open it again.
#[derive(Debug)]
pub enum Trouble {
    /// Kafka says that there is a newer instance. Maybe; after a long silence Kafka says the same by itself.
    Fenced(anyhow::Error),
    /// Anything else, such as a Kafka that is away.
    Other(anyhow::Error),
}

impl Journal {
    /// Becomes the one that writes for this loader, and reads what was written before. Blocks.
    pub fn open(config: &Config, loader: u32) -> anyhow::Result<(Self, Past)> {
        let id = config.names().transactional_id("loader", &loader.to_string());
        let topic = config.names().blocks();
        let journal = Self { batches: Batches::connect(config, &id, topic.clone())?, topic };
        // The end of what is committed may lie before an earlier record of ours, as long as another loader's older
        // transaction is open: only behind a mark of one's own is everything decided.
        let mark = format!("{:016x}", rand::random::<u64>());
        journal.batches.write([(id.as_str(), Some(mark.as_bytes()))]).context("marking the end")?;
        let deadline = Instant::now() + READ_LIMIT;
        loop {
            let mut marked = false;
            let past = read(config, loader, |key, value| marked |= key == id.as_bytes() && value == mark.as_bytes())?;
            if marked {
                return Ok((journal, past));
            }
            if Instant::now() > deadline {
                bail!("reading {}: another loader's transaction hides its end", journal.topic);
            }
            std::thread::sleep(READ_REST);
        }
    }

    /// Commits all of the records or none. Blocks.
    pub fn write(&self, records: &[(BlockId, BlockRecord)]) -> Result<(), Trouble> {
        let encode = |(id, record): &(BlockId, BlockRecord)| Ok((id.to_string(), serde_json::to_vec(record)?));
        let encoded: Vec<(String, Vec<u8>)> =
            records.iter().map(encode).collect::<anyhow::Result<_>>().context("encoding").map_err(Trouble::Other)?;
        let written = self.batches.write(encoded.iter().map(|(key, value)| (key.as_str(), Some(value.as_slice()))));
        written.map_err(|err| {
            let trouble = if self.batches.has_given_up() { Trouble::Fenced } else { Trouble::Other };
            trouble(anyhow!(err).context(format!("writing to {}", self.topic)))
        })
    }
}

/// Reads what is committed of a loader's past, without becoming the one that writes. Blocks.
pub fn look(config: &Config, loader: u32) -> anyhow::Result<Past> {
    read(config, loader, |_, _| {})
}

/// Reads the topic; what is no block is given to `other` as key and value.
fn read(config: &Config, loader: u32, mut other: impl FnMut(&[u8], &[u8])) -> anyhow::Result<Past> {
    let mut past = Past::of(loader);
    read_to_end(config, &config.names().blocks(), READ_LIMIT, |message| {
        match decode(message) {
            Ok(Some(published)) => past.see(published),
            Ok(None) => other(message.key().unwrap_or_default(), message.payload().unwrap_or_default()),
            // Of another release, whose parameters this one doesn't know: never resumed, and judged by its silence.
            Err(err) => warn!("passing over a block: {err:#}"),
        }
        Ok(())
    })?;
    Ok(past)
}
