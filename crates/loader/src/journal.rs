//! Writes the account to `kapture.blocks` and reads it back, in transactions that only the newest instance of a loader can
//! commit.

use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use kafka::blocks::{BlockRecord, Published};
use kafka::{Batches, BlockEntry, Config, read_committed};
use petstore::BlockId;
use tracing::warn;

use crate::opening::Past;

/// The longest that reading the topic may take. Other loaders' open transactions, which hide what comes after them, end
/// within 10 s.
const READ_LIMIT: Duration = Duration::from_secs(30);
/// Rest before the topic is read again because another loader's transaction hid its end.
const READ_REST: Duration = Duration::from_millis(100);

/// Writes a loader's records.
pub struct Journal {
    topic: String,
    batches: Batches,
}

/// Why records may not have been committed. The journal can't be used after it and must be opened again.
#[derive(Debug)]
pub enum Trouble {
    /// The producer was fenced: by a newer instance, or by Kafka itself after a long silence.
    Fenced(anyhow::Error),
    /// Anything else, such as a Kafka that is away.
    Other(anyhow::Error),
}

impl Journal {
    /// Becomes the only writer of this loader's records, and reads those written before. Blocks.
    pub fn open(config: &Config, loader: u32) -> anyhow::Result<(Self, Past)> {
        let id = config.names().transactional_id("loader", &loader.to_string());
        let topic = config.names().blocks();
        let journal = Self { batches: Batches::connect(config, &id, topic.clone())?, topic };
        // While another loader's older transaction is open, a reader of committed records stops before it, and perhaps before
        // earlier records of this loader. Once it sees a mark written now, it has seen all of them.
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

/// Reads the committed records of a loader without becoming their writer. Blocks.
pub fn look(config: &Config, loader: u32) -> anyhow::Result<Past> {
    read(config, loader, |_, _| {})
}

/// Reads the topic; key and value of what is not a block go to `other`.
fn read(config: &Config, loader: u32, mut other: impl FnMut(&[u8], &[u8])) -> anyhow::Result<Past> {
    let mut past = Past::of(loader);
    read_committed(config, &config.names().blocks(), READ_LIMIT, |record| match BlockEntry::read(record) {
        Some((id, BlockEntry::Is(block))) => past.see(Published { id, record: *block, offset: record.offset() }),
        Some((_, BlockEntry::Deleted)) => {}
        // Never resumed, and judged as cut once it is silent.
        Some((id, BlockEntry::OfAnotherModel)) => warn!(%id, "skipping a block of another model"),
        Some((_, BlockEntry::Unreadable(reason))) => warn!("skipping a block: {reason}"),
        None => other(record.key().unwrap_or_default(), record.payload().unwrap_or_default()),
    })?;
    Ok(past)
}
