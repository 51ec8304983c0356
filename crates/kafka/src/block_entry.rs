//! What a record of `kapture.blocks` says of a block.

use petstore::{BlockId, MODEL};
use serde::Deserialize;

use crate::Record;
use crate::blocks::BlockRecord;

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

/// Whether a record that can't be read is a block's of another model, which only the release that wrote it can generate
/// again.
fn has_another_model(value: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Record {
        parameters: Model,
    }
    #[derive(Deserialize)]
    struct Model {
        model: u32,
    }
    serde_json::from_slice(value).is_ok_and(|record: Record| record.parameters.model != MODEL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_another_model_is_told_from_one_that_is_broken() {
        let of =
            |model: u32| format!(r#"{{"incarnation":1,"parameters":{{"model":{model},"of":"later"}},"phase":"new"}}"#);
        assert!(has_another_model(of(MODEL + 1).as_bytes()));
        assert!(!has_another_model(of(MODEL).as_bytes()) && !has_another_model(b"{}") && !has_another_model(b"x"));
    }
}
