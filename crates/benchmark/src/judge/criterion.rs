//! A row of the report: what was asked, what was measured, and whether it is met.

use serde::{Deserialize, Serialize};

/// Whether a criterion is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Met {
    /// It is.
    Yes,
    /// It is not.
    No,
    /// Nobody can say.
    Unknown,
}

impl Met {
    /// Yes or no.
    pub fn from(met: bool) -> Self {
        if met { Self::Yes } else { Self::No }
    }
}

/// A service level, or a condition of trusting the measurement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Criterion {
    /// What is looked at.
    pub name: String,
    /// What is asked, with its unit.
    pub limit: String,
    /// What was measured, with its unit; `?` if nothing was.
    pub measured: String,
    /// Whether it is met.
    pub met: Met,
    /// If it is not met: what to do. Of conditions only; what to do about a service level is the diagnosis.
    pub remedy: Option<String>,
}

impl Criterion {
    pub(crate) fn new(name: &str, limit: impl Into<String>, measured: impl Into<String>, met: Met) -> Self {
        Self { name: name.to_owned(), limit: limit.into(), measured: measured.into(), met, remedy: None }
    }

    pub(crate) fn unknown(name: &str, limit: impl Into<String>, why: &str) -> Self {
        Self::new(name, limit, format!("? ({why})"), Met::Unknown)
    }

    /// Adds what to do if it is not met.
    pub(crate) fn or(self, remedy: impl Into<String>) -> Self {
        let remedy = (self.met != Met::Yes).then(|| remedy.into());
        Self { remedy, ..self }
    }
}
