//! From a row to a receipt.

use petstore::{Item, Receipt, SaleId};
use tokio_postgres::Row;

/// The columns that [`receipt`] reads, in their order.
macro_rules! receipt_columns {
    () => {
        "time, state, store, customer, items::text, cents"
    };
}
pub(super) use receipt_columns;

/// Reads the columns from number `first` on. The error names the column whose value no receipt can have: somebody may have
/// changed the row.
pub(super) fn receipt(id: SaleId, row: &Row, first: usize) -> Result<Receipt, String> {
    let state: &str = row.get(first + 1);
    Ok(Receipt {
        id,
        time: number(row, first, "time")?,
        state: state.parse().map_err(|_| format!("state is {state:?}"))?,
        store: number(row, first + 2, "store")?,
        customer: number(row, first + 3, "customer")?,
        items: serde_json::from_str::<Vec<Item>>(items(row, first))
            .map_err(|err| format!("items is not valid JSON for a sale: {err}"))?,
        cents: number(row, first + 5, "cents")?,
    })
}

/// The items as text, of the columns from number `first` on.
pub(super) fn items(row: &Row, first: usize) -> &str {
    row.get(first + 4)
}

/// A number, if it fits the type.
pub(super) fn number<T: TryFrom<i64>>(row: &Row, column: usize, name: &str) -> Result<T, String> {
    let number: i64 = row.get(column);
    T::try_from(number).map_err(|_| format!("{name} is {number}"))
}
