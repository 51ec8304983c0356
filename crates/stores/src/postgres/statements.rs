//! Statements that are prepared once a connection.

use tokio::sync::OnceCell;
use tokio_postgres::{Client, Error, Statement};

/// What the write repeats, each prepared when first needed.
#[derive(Default)]
pub(super) struct Statements {
    pub(super) lock: OnceCell<Statement>,
    pub(super) advance: OnceCell<Statement>,
    pub(super) copy: OnceCell<Statement>,
}

/// The statement of a cell, which is prepared from `sql` if it isn't yet.
pub(super) async fn prepared<'a>(
    client: &Client,
    cell: &'a OnceCell<Statement>,
    sql: &str,
) -> Result<&'a Statement, Error> {
    cell.get_or_try_init(|| client.prepare(sql)).await
}
