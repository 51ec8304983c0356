//! The four answers a benchmark can give, and what goes with one.

use std::fmt;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Verdict {
    /// The cluster carries the target, or without one: this much.
    Pass,
    /// It does not carry it.
    Fail,
    /// The measurement can't be trusted.
    Invalid,
    /// There was nothing to measure.
    CouldNotRun,
}

impl Verdict {
    /// Its name, which can't be mistaken for its opposite.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Fail => "FAIL",
            Self::Invalid => "INVALID",
            Self::CouldNotRun => "COULD_NOT_RUN",
        }
    }

    /// The process's exit code.
    pub const fn code(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Fail => 1,
            Self::Invalid => 2,
            Self::CouldNotRun => 3,
        }
    }
}

impl From<Verdict> for ExitCode {
    fn from(verdict: Verdict) -> Self {
        Self::from(verdict.code())
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A verdict, why, and if it is not about the cluster what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The answer.
    pub verdict: Verdict,
    /// The sentence that decided it.
    pub reason: String,
    /// What to do, of INVALID and COULD NOT RUN.
    pub remedy: Option<String>,
}

impl Decision {
    /// There was nothing to measure.
    pub fn could_not_run(reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { verdict: Verdict::CouldNotRun, reason: reason.into(), remedy: Some(remedy.into()) }
    }

    /// The measurement can't be trusted.
    pub(crate) fn invalid(reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { verdict: Verdict::Invalid, reason: reason.into(), remedy: Some(remedy.into()) }
    }

    /// The cluster does not carry what is asked.
    pub(crate) fn fail(reason: impl Into<String>) -> Self {
        Self { verdict: Verdict::Fail, reason: reason.into(), remedy: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_has_its_exit_code_and_name() {
        let all = [Verdict::Pass, Verdict::Fail, Verdict::Invalid, Verdict::CouldNotRun];
        assert_eq!(all.map(Verdict::code), [0, 1, 2, 3]);
        for verdict in all {
            assert_eq!(serde_json::to_value(verdict).unwrap(), verdict.name());
        }
    }
}
