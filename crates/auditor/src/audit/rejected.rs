//! What is on `sales.rejected`, with the fan-out's reasons.

pub use service::account::{Rejected, RejectedRecords};

use super::Audit;
use crate::audit::source::Source;

/// Records that are shown whole.
const SHOWN: usize = 20;
/// What is shown of a reason: the fan-out quotes bodies in it.
const SHORT: usize = 200;

impl Audit {
    /// Takes a record from `sales.rejected`.
    pub fn rejected(&mut self, mut record: Rejected) {
        if record.offset < self.counted.at(Source::Rejected) {
            return;
        }
        self.rejected.count += 1;
        if self.rejected.first.len() < SHOWN {
            if let Some((end, _)) = record.reason.char_indices().nth(SHORT) {
                record.reason.truncate(end);
            }
            self.rejected.first.push(record);
        }
    }
}
