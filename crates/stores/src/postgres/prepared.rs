//! Statements that are prepared once per connection.

use tokio::sync::OnceCell;
use tokio_postgres::{Client, Error, Statement};

/// The statements of the guarded write, each prepared at its first use.
#[derive(Default)]
pub(super) struct Statements {
    pub(super) lock: OnceCell<Statement>,
    pub(super) advance: OnceCell<Statement>,
    pub(super) copy: OnceCell<Statement>,
}

/// The statement in a cell, prepared from `sql` if it is not there yet.
pub(super) async fn prepared<'a>(
    client: &Client,
    cell: &'a OnceCell<Statement>,
    sql: &str,
) -> Result<&'a Statement, Error> {
    cell.get_or_try_init(|| client.prepare(sql)).await
}
