//! How what is known is written to `kapture.audit`.

use anyhow::Context;
use serde::Serialize;

/// One record for `kapture.audit`: its key, and its value unless it is to be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// `checkpoint`, `loader/<run>/<loader>`, `block/<block id>` or `gone/<installation>`.
    pub(crate) key: String,
    pub(crate) value: Option<Vec<u8>>,
}

impl Entry {
    pub(super) fn new<T: Serialize>(key: String, value: Option<&T>) -> anyhow::Result<Self> {
        let value = value.map(serde_json::to_vec).transpose().with_context(|| format!("encoding {key}"))?;
        Ok(Self { key, value })
    }
}
