//! What is written at once.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use petstore::Sale;

use crate::Partition;

/// Sales of one partition that are written together with the position behind them, or not at all.
#[derive(Clone, Debug)]
pub struct Part {
    /// Where the sales come from.
    pub partition: Partition,
    /// The position that the store must be at.
    pub expected: i64,
    /// The position that it will be at: one after the last offset that was read, which need not be a sale.
    pub next: i64,
    /// In the order of their offsets; may be empty.
    pub records: Vec<Record>,
}

/// What became of a [`Part`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All of it is stored.
    Written {
        /// How many of its sales were there already, from another offset.
        conflicts: u64,
    },
    /// Nothing of it is stored: the store is elsewhere. Normal after a rebalance, or if a store lost its last second.
    Moved {
        /// Where the store is.
        actual: i64,
    },
}

/// A sale as it came from Kafka, known to fit into every store.
#[derive(Clone, Debug)]
pub struct Record {
    sale: Sale,
    due: SystemTime,
    due_us: i64,
    offset: i64,
}

/// Why a sale can't be stored. Generated ones always can.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} of sale {id} can't be stored: {value}")]
pub struct Unstorable {
    id: String,
    field: &'static str,
    value: String,
}

/// The highest index in a block. A block has a few thousand sales; without a bound, one wrong id would make Redis
/// allocate half a gigabyte for its bitmap.
pub const MAX_INDEX: u32 = (1 << 20) - 1;

/// The end of the year 9999, in microseconds since 1970.
const MAX_DUE_US: i64 = 253_402_300_799_999_999;

impl Record {
    /// Takes a sale with its due time (unix microseconds) and offset, if every store can keep it unaltered.
    pub fn new(sale: Sale, due_us: i64, offset: i64) -> Result<Self, Unstorable> {
        let unstorable = |field, value: &dyn std::fmt::Display| {
            Err(Unstorable { id: sale.id.to_string(), field, value: value.to_string() })
        };
        for (field, number) in [("loader", sale.id.loader), ("block", sale.id.block)] {
            if i32::try_from(number).is_err() {
                return unstorable(field, &number);
            }
        }
        if sale.id.index > MAX_INDEX {
            return unstorable("index", &sale.id.index);
        }
        for (field, number) in [("time", sale.time), ("customer", sale.customer.id)] {
            if i64::try_from(number).is_err() {
                return unstorable(field, &number);
            }
        }
        for item in &sale.items {
            for text in [&item.category, &item.brand, &item.flavor, &item.size] {
                // PostgreSQL has no text with a zero byte.
                if text.contains('\0') {
                    return unstorable("items", &text.escape_default());
                }
            }
        }
        let due = u64::try_from(due_us).ok().filter(|_| due_us <= MAX_DUE_US);
        let Some(due) = due.map(|due| UNIX_EPOCH + Duration::from_micros(due)) else {
            return unstorable("due time", &due_us);
        };
        Ok(Self { sale, due, due_us, offset })
    }

    /// The sale.
    pub fn sale(&self) -> &Sale {
        &self.sale
    }

    /// When the schedule wanted it sent, in microseconds since 1970.
    pub fn due_us(&self) -> i64 {
        self.due_us
    }

    /// Where it stood in its partition.
    pub fn offset(&self) -> i64 {
        self.offset
    }

    pub(crate) fn due(&self) -> SystemTime {
        self.due
    }
}

/// A number that [`Record::new`] saw to fit.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).expect("a record's numbers fit")
}

#[cfg(test)]
mod tests {
    use super::*;
    use petstore::{BlockId, Parameters, Petstore};

    fn sale() -> Sale {
        let parameters = Parameters { seed: 1, ..Parameters::default() };
        let block = BlockId { run: 1, loader: 0, block: 0 };
        Petstore::new(parameters).unwrap().block(block).swap_remove(0)
    }

    fn refusal(change: impl Fn(&mut Sale)) -> String {
        let mut sale = sale();
        change(&mut sale);
        Record::new(sale, 1, 0).unwrap_err().to_string()
    }

    #[test]
    fn a_generated_sale_can_be_stored() {
        let record = Record::new(sale(), 1_700_000_000_000_001, 7).unwrap();
        assert_eq!((record.sale(), record.due_us(), record.offset()), (&sale(), 1_700_000_000_000_001, 7));
        assert_eq!(record.due().duration_since(UNIX_EPOCH).unwrap().as_micros(), 1_700_000_000_000_001);
    }

    #[test]
    fn what_does_not_fit_is_refused_by_name() {
        assert!(refusal(|sale| sale.id.index = MAX_INDEX + 1).starts_with("index of sale"));
        assert!(refusal(|sale| sale.id.block = u32::MAX).starts_with("block of sale"));
        assert!(refusal(|sale| sale.time = u64::MAX).ends_with(": 18446744073709551615"));
        assert!(refusal(|sale| sale.customer.id = u64::MAX).starts_with("customer of sale"));
        assert!(refusal(|sale| sale.items[0].brand = "a\0b".into()).ends_with("a\\u{0}b"));
        for due_us in [-1, MAX_DUE_US + 1] {
            assert!(Record::new(sale(), due_us, 0).unwrap_err().to_string().starts_with("due time"));
        }
    }
}
