//! A sale, or the receipt of one, as it was read from a log.

use petstore::{SaleId, State};

use crate::audit::source::Source;
use crate::model::Body;

/// Tells records of one sale apart by their content: body, and state in the header.
pub(crate) fn fingerprint(body: Body<'_>, state: State) -> u64 {
    body.hash.rotate_left(8) ^ state.index() as u64
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    /// Which sale its header names.
    pub(crate) id: SaleId,
    /// Where it belongs according to its header.
    pub(crate) state: State,
    pub(crate) source: Source,
    pub(crate) offset: i64,
    pub(crate) body: Body<'a>,
}
