//! The contents of `sales`, which every later stage must have, each sale once.

use std::collections::HashMap;

use anyhow::Context;
use kafka::{Record, SaleHeader};
use petstore::{BlockId, SaleId, State};
use serde_json::{Value, json};
use xxhash_rust::xxh3::Xxh3;

use crate::topics;

/// All sales of the topic `sales`.
pub(crate) struct Truth {
    pub(crate) blocks: HashMap<BlockId, Vec<Option<Entry>>>,
    pub(crate) sales: u64,
}

/// One sale of it.
pub(crate) struct Entry {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) state: State,
    /// A digest of key, header and body.
    pub(crate) hash: u64,
    pub(crate) times_found: u32,
}

impl Truth {
    /// Reads the topic; `each` sees every record.
    pub(crate) fn read(
        kafka: &kafka::Config,
        mut each: impl FnMut(&Record<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<Self> {
        let mut truth = Self { blocks: HashMap::new(), sales: 0 };
        topics::read_all(kafka, &[kafka.names().sales()], |record| {
            let header = header(record)?;
            let block = truth.blocks.entry(header.id.block_id()).or_default();
            let index = header.id.index as usize;
            if block.len() <= index {
                block.resize_with(index + 1, || None);
            }
            let entry = Entry {
                partition: record.partition(),
                offset: record.offset(),
                state: header.state,
                hash: hash(record, &header),
                times_found: 0,
            };
            anyhow::ensure!(block[index].replace(entry).is_none(), "sale {} is in sales twice", header.id);
            truth.sales += 1;
            each(record)
        })?;
        Ok(truth)
    }

    pub(crate) fn find(&mut self, id: SaleId) -> Option<&mut Entry> {
        self.blocks.get_mut(&id.block_id())?.get_mut(id.index as usize)?.as_mut()
    }

    /// Entries of sales that were not found, and how often one was found again.
    pub(crate) fn lost_and_repeated(&self) -> (u64, u64) {
        let entries = self.blocks.values().flatten().flatten();
        entries.fold((0, 0), |(lost, repeated), entry| {
            (lost + u64::from(entry.times_found == 0), repeated + u64::from(entry.times_found.saturating_sub(1)))
        })
    }
}

/// What was found at a stage.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) found: u64,
    pub(crate) unknown: u64,
    pub(crate) altered: u64,
    pub(crate) misrouted: u64,
    pub(crate) out_of_order: u64,
}

impl Tally {
    pub(crate) fn json(&self, truth: &Truth) -> Value {
        let (lost, duplicate) = truth.lost_and_repeated();
        let Self { found, unknown, altered, misrouted, out_of_order } = self;
        let well = lost + duplicate + unknown + altered + misrouted + out_of_order == 0;
        json!({
            "well": well, "expected": truth.sales, "found": found, "lost": lost, "duplicate": duplicate,
            "altered": altered, "misrouted": misrouted, "out_of_order": out_of_order, "unknown": unknown,
        })
    }
}

pub(crate) fn header(record: &Record<'_>) -> anyhow::Result<SaleHeader> {
    record
        .sale()
        .map_err(|malformed| anyhow::anyhow!("{}", malformed.reason))
        .with_context(|| format!("{}/{}/{}", record.topic(), record.partition(), record.offset()))
}

pub(crate) fn hash(record: &Record<'_>, header: &SaleHeader) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(record.key().unwrap_or_default());
    hash.update(&header.due_us.to_le_bytes());
    hash.update(record.payload().unwrap_or_default());
    hash.digest()
}
