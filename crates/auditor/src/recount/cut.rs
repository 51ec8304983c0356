//! The cut: what the loaders had acknowledged at one moment. It alone is judged.

use std::time::Instant;

use kafka::Part;
use kafka::blocks::BlockRecord;
use petstore::BlockId;

use super::account::{Account, Reach};
use super::logs::Kafka;

/// The loaders' account, and where `sales` ended after it was read: what is acknowledged by that account is before that.
pub(crate) struct Cut {
    pub(crate) account: Account,
    pub(super) sales: Vec<Part>,
}

impl Cut {
    /// Takes the cut now. Blocks.
    pub(crate) fn take(kafka: &Kafka, reach: Reach, deadline: Instant) -> anyhow::Result<Self> {
        let mut account = Account::read(kafka, reach, deadline)?;
        account.cut_silent(service::unix_us());
        let sales = kafka.fan_out.since(&[kafka.config.names().sales()], 0)?;
        Ok(Self { account, sales })
    }

    /// All blocks in the order in which they were reserved.
    pub(super) fn blocks(&self) -> Vec<(BlockId, &BlockRecord)> {
        let mut blocks: Vec<_> = self.account.blocks.iter().map(|(id, record)| (*id, record)).collect();
        blocks.sort_unstable_by_key(|(id, record)| (record.reserved_at_us, *id));
        blocks
    }

    /// The newest blocks of which something is acknowledged, newest first, while they have no more than `sales`.
    pub(crate) fn newest(&self, sales: u64) -> Vec<(BlockId, &BlockRecord)> {
        let mut blocks = self.blocks();
        blocks.retain(|(_, record)| !record.acknowledged.is_empty());
        let mut sum = 0;
        let fits = |(_, record): &&(BlockId, &BlockRecord)| {
            let first = sum == 0;
            sum += u64::from(record.acknowledged.len());
            first || sum <= sales
        };
        blocks.iter().rev().take_while(fits).copied().collect()
    }
}
