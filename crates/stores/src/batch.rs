//! What is written in one request.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use petstore::{Invalid, Sale};

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
    /// None of it is stored, because the store is at another position: normal after a rebalance, or when a store lost its last
    /// second.
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

impl Record {
    /// Takes a sale with its due time (unix microseconds) and offset, if it is a valid one.
    pub fn new(sale: Sale, due_us: i64, offset: i64) -> Result<Self, Invalid> {
        sale.check()?;
        petstore::check_due(due_us)?;
        let due = UNIX_EPOCH + Duration::from_micros(due_us.unsigned_abs());
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

    /// Its offset in its partition.
    pub fn offset(&self) -> i64 {
        self.offset
    }

    pub(crate) fn due(&self) -> SystemTime {
        self.due
    }
}

/// A number that [`Record::new`] has checked to fit.
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
        Petstore::new(parameters).unwrap().block(block).to_sales().swap_remove(0)
    }

    #[test]
    fn a_generated_sale_can_be_stored() {
        let record = Record::new(sale(), 1_700_000_000_000_001, 7).unwrap();
        assert_eq!((record.sale(), record.due_us(), record.offset()), (&sale(), 1_700_000_000_000_001, 7));
        assert_eq!(record.due().duration_since(UNIX_EPOCH).unwrap().as_micros(), 1_700_000_000_000_001);
    }

    #[test]
    fn what_is_not_a_valid_sale_is_refused() {
        let mut other = sale();
        other.items[0].brand = "a\0b".into();
        assert!(Record::new(other, 1, 0).unwrap_err().to_string().starts_with("items of the sale"));
        assert!(Record::new(sale(), -1, 0).unwrap_err().to_string().starts_with("due time"));
    }
}
