//! What Kafka answers to each sale, as the client reports it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rdkafka::ClientContext;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::ProducerContext;
use tracing::warn;

use crate::load::Load;

/// Books every answer. Called on the client's polling thread.
pub struct Acks {
    load: Arc<Load>,
    /// How many refusals were logged as of when; one a second is enough.
    logged: AtomicU64,
}

impl Acks {
    /// Books the answers to the sales of `load`.
    pub fn new(load: Arc<Load>) -> Self {
        Self { load, logged: AtomicU64::new(0) }
    }

    fn now_us(&self) -> u64 {
        self.load.clock().map_or(0, crate::clock::Clock::elapsed_us)
    }
}

impl ClientContext for Acks {}

impl ProducerContext for Acks {
    /// Block and index in one machine word: nothing is allocated for a sale's way to Kafka and back.
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, word: usize) {
        let (block, index) = unpack(word);
        let now_us = self.now_us();
        let Some(mut account) = self.load.account() else { return };
        match result {
            Ok(_) => {
                let number = account.acknowledged(block, index);
                drop(account);
                self.load.metrics.accepted.inc();
                if let Some(number) = number {
                    let due_us = self.load.plan().due_at(number);
                    let signed = |us| i64::try_from(us).unwrap_or(i64::MAX);
                    self.load.metrics.accepted_latency.record(signed(due_us), signed(now_us));
                }
            }
            Err((err, _)) => {
                account.failed(block);
                drop(account);
                self.load.metrics.unknown.inc();
                if now_us >= self.logged.load(Ordering::Relaxed) + 1_000_000 {
                    self.logged.store(now_us, Ordering::Relaxed);
                    warn!(block, index, "kafka did not take a sale: {err}");
                }
            }
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
