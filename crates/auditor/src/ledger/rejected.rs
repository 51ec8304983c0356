//! What lies on `sales.rejected`, as the fan-out said why.

use petstore::SaleId;
use serde::{Deserialize, Serialize};

use super::Ledger;
use crate::source::Source;

/// Records that are shown whole.
const SHOWN: usize = 20;
/// What is shown of a reason: the fan-out quotes bodies in it.
const SHORT: usize = 200;

/// All records on `sales.rejected`. They are no findings: the finding is a generated sale that is there *instead* of on
/// its state's topic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectedRecords {
    /// How many.
    pub count: u64,
    /// The first of them.
    pub first: Vec<Rejected>,
}

/// One record on `sales.rejected`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    /// Where it lies there.
    pub offset: i64,
    /// Topic, partition and offset that it came from, as the fan-out says.
    pub source: String,
    /// Why it is no sale.
    pub reason: String,
    /// How long its body was.
    pub bytes: String,
    /// The sale that its header names, if that can be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sale: Option<SaleId>,
}

impl Ledger {
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
