//! A sale, or the receipt of one, as it was read from a log.

use petstore::{SaleId, State};

use crate::audit::source::Source;
use crate::model::Body;

/// Tells records of one sale apart by their content: body, and state in the header.
pub fn fingerprint(body: Body<'_>, state: State) -> u64 {
    body.hash().rotate_left(8) ^ state.index() as u64
}

/// What is judged of a record.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Which sale its header names.
    pub id: SaleId,
    /// Where it belongs according to its header.
    pub state: State,
    /// Where it was read.
    pub source: Source,
    /// And at which offset.
    pub offset: i64,
    /// Its content.
    pub body: Body<'a>,
}
