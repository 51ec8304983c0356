//! What a record of `kapture.blocks` says of a block.

use petstore::BlockId;

use crate::Record;
use crate::blocks::{BlockRecord, has_another_model};

/// See the module.
#[derive(Debug)]
pub enum BlockEntry {
    /// All that is known of it.
    Is(Box<BlockRecord>),
    /// It was deleted: nobody will ask for it again. Its older record may still be there.
    Deleted,
    /// It is of another model, and only the release that wrote it can generate it again.
    OfAnotherModel,
    /// It can't be read, for this reason.
    Unreadable(String),
}

impl BlockEntry {
    /// Reads a record; `None` if it is something else than a block, such as an installation's mark.
    pub fn read(record: &Record<'_>) -> Option<(BlockId, Self)> {
        let id = str::from_utf8(record.key()?).ok()?.parse().ok()?;
        let Some(value) = record.payload() else { return Some((id, Self::Deleted)) };
        let entry = match serde_json::from_slice(value) {
            Ok(block) => Self::Is(block),
            Err(_) if has_another_model(value) => Self::OfAnotherModel,
            Err(err) => {
                Self::Unreadable(format!("reading the record of block {id} at offset {}: {err}", record.offset()))
            }
        };
        Some((id, entry))
    }
}
