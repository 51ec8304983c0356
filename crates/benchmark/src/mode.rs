//! How long a benchmark may take, and what it does in that time.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How thorough a benchmark is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Under three minutes: a bracket.
    Smoke,
    /// About half an hour: to 5 %.
    #[default]
    Default,
    /// Up to two hours: to 5 %, with at least six repeats of each confirming step.
    Certificate,
}

/// The times of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// Each loader alone at its most.
    pub calibrate: Duration,
    /// Before the first step. Long, since brokers are JVMs.
    pub warm_up: Duration,
    /// At the beginning of each step, before anything counts.
    pub settle: Duration,
    /// What counts of a step of the ramp.
    pub ramp: Duration,
    /// What counts of a step of the search.
    pub measure: Duration,
    /// How long a step may take to empty its queues.
    pub drain: Duration,
    /// How long the auditor may take at the end.
    pub audit: Duration,
    /// The whole search: no step begins that may not end within it.
    pub search: Duration,
}

impl Mode {
    /// Its name in values and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Smoke => "smoke",
            Self::Default => "default",
            Self::Certificate => "certificate",
        }
    }

    /// Its times. They add up to less than the mode promises.
    pub const fn times(self) -> Times {
        let [calibrate, warm_up, settle, ramp, measure, drain, audit, search] = match self {
            Self::Smoke => [8, 8, 2, 8, 8, 6, 30, 115],
            Self::Default => [20, 120, 10, 20, 60, 30, 120, 1_680],
            Self::Certificate => [30, 300, 15, 30, 120, 60, 300, 6_300],
        };
        Times {
            calibrate: Duration::from_secs(calibrate),
            warm_up: Duration::from_secs(warm_up),
            settle: Duration::from_secs(settle),
            ramp: Duration::from_secs(ramp),
            measure: Duration::from_secs(measure),
            drain: Duration::from_secs(drain),
            audit: Duration::from_secs(audit),
            search: Duration::from_secs(search),
        }
    }

    /// How wide the interval between the rate that held and the one that failed may be in the end, as a share of the lower.
    pub const fn width(self) -> f64 {
        match self {
            // What the ramp, which doubles, leaves.
            Self::Smoke => 1.0,
            Self::Default | Self::Certificate => 0.05,
        }
    }

    /// How many fresh steps confirm the rate that held, and how many the rate one width above.
    pub const fn confirming(self) -> (u32, u32) {
        match self {
            Self::Smoke => (0, 0),
            Self::Default => (5, 3),
            Self::Certificate => (6, 6),
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mode_keeps_within_the_time_it_promises() {
        for (mode, minutes) in [(Mode::Smoke, 3), (Mode::Default, 34), (Mode::Certificate, 120)] {
            let times = mode.times();
            // The baseline settles, measures and drains.
            let all = times.calibrate + times.warm_up + times.settle * 2 + times.drain + times.search + times.audit;
            assert!(all < Duration::from_mins(minutes), "{mode}: {all:?}");
        }
    }

    #[test]
    fn a_certificate_has_enough_repeats_for_95_percent() {
        let (repeats, above) = Mode::Certificate.confirming();
        assert!(crate::statistics::range_holds_median(repeats.min(above) as usize) > 0.95);
    }
}
