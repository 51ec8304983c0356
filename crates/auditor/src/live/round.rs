//! One round of proof: what it waits for, in which order. Pure.

use crate::audit::Suspects;

/// See [`crate::audit`]'s module on what was routed for why this is a proof.
pub(super) struct Round {
    pub(super) suspects: Suspects,
    pub(super) step: Step,
}

/// What a round waits for.
pub(super) enum Step {
    /// The fan-out is to commit these offsets of `sales`: its ends after the suspects were named.
    FanOut(Vec<i64>),
    /// The auditor is to read up to these offsets of the states' topics: their ends after the fan-out had committed.
    Reading(Vec<i64>),
}

impl Round {
    pub(super) fn waiting_for(&self) -> &'static str {
        match self.step {
            Step::FanOut(_) => "the fan-out to commit what was accepted",
            Step::Reading(_) => "itself to read what was routed",
        }
    }
}

/// Whether every position has come to its end.
pub(super) fn passed(positions: &[i64], ends: &[i64]) -> bool {
    positions.len() == ends.len() && positions.iter().zip(ends).all(|(position, end)| position >= end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_passed_when_every_partition_has_passed_it() {
        assert!(passed(&[3, 0], &[3, 0]) && passed(&[4, 9], &[3, 0]) && passed(&[], &[]));
        assert!(!passed(&[2, 9], &[3, 0]) && !passed(&[3], &[3, 0]));
    }
}
