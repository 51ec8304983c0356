//! What Kafka answers to each sale, as the client reports it.

use std::fmt::Display;
use std::sync::Arc;

use kafka::Deliveries;
use tracing::warn;

use crate::running::Load;
use crate::seldom::Seldom;

/// Books every answer in the account of the load.
pub struct Acks {
    load: Arc<Load>,
    /// Of sales that Kafka did not take.
    logged: Seldom,
}

impl Acks {
    /// Books the answers to the sales of `load`.
    pub fn new(load: Arc<Load>) -> Self {
        Self { load, logged: Seldom::default() }
    }

    fn now_us(&self) -> u64 {
        self.load.clock().map_or(0, crate::clock::Clock::elapsed_us)
    }
}

/// The tag of a sale is its block and index: see [`pack`].
impl Deliveries for Acks {
    fn acknowledged(&self, tag: usize) {
        let (block, index) = unpack(tag);
        let now_us = self.now_us();
        let Some(mut account) = self.load.account() else { return };
        let number = account.acknowledged(block, index);
        drop(account);
        self.load.metrics.accepted.inc();
        if let Some(due_us) = number.and_then(|number| self.load.due_at(number)) {
            let signed = |us| i64::try_from(us).unwrap_or(i64::MAX);
            self.load.metrics.accepted_latency.record(signed(due_us), signed(now_us));
        }
    }

    fn failed(&self, tag: usize, reason: &dyn Display) {
        let (block, index) = unpack(tag);
        let Some(mut account) = self.load.account() else { return };
        account.failed(block);
        drop(account);
        self.load.metrics.unknown.inc();
        if self.logged.is_due() {
            warn!(block, index, "kafka did not take a sale: {reason}");
        }
    }
}

/// Block and index of a sale as one word.
pub fn pack(block: u32, index: u32) -> usize {
    const { assert!(usize::BITS == 64, "block and index need 64 bits") };
    ((block as usize) << 32) | index as usize
}

fn unpack(word: usize) -> (u32, u32) {
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
    let index = word as u32;
    #[expect(clippy::cast_possible_truncation, reason = "32 bits are left")]
    let block = (word >> 32) as u32;
    (block, index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_and_index_survive_their_word() {
        for (block, index) in [(0, 0), (0, 1), (1, 0), (u32::MAX, u32::MAX), (7, 4_000)] {
            assert_eq!(unpack(pack(block, index)), (block, index));
        }
    }
}
