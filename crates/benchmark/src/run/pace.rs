//! How fast a run goes: in a cluster by seconds, in tests by whatever the simulated pipeline calls a second.

use std::time::Duration;

use super::http::LEASE_S;
use crate::mode::{Mode, Times};

/// The times of a run.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// What a mode gives to each part.
    pub times: Times,
    /// How often the exporter is asked.
    pub tick: Duration,
    /// How often the loaders' leases are renewed.
    pub renew: Duration,
    /// How long a lease lasts.
    pub lease: Duration,
}

/// Three tries before a lease runs out.
const RENEW: Duration = Duration::from_secs(3);

impl Pace {
    /// That of a cluster.
    pub fn of(mode: Mode) -> Self {
        Self { times: mode.times(), tick: Duration::from_secs(1), renew: RENEW, lease: Duration::from_secs(LEASE_S) }
    }

    /// What a run takes at most, in seconds.
    pub fn total(&self) -> f64 {
        let Times { calibrate, warm_up, audit, search, .. } = self.times;
        (calibrate + warm_up + search + audit).as_secs_f64() / self.tick.as_secs_f64()
    }

    /// So many times as fast.
    #[must_use]
    pub fn faster(self, times: u32) -> Self {
        let Times { calibrate, warm_up, settle, ramp, measure, drain, audit, search } = self.times;
        let [calibrate, warm_up, settle, ramp] = [calibrate, warm_up, settle, ramp].map(|part| part / times);
        let [measure, drain, audit, search] = [measure, drain, audit, search].map(|part| part / times);
        Self {
            times: Times { calibrate, warm_up, settle, ramp, measure, drain, audit, search },
            tick: self.tick / times,
            renew: self.renew / times,
            lease: self.lease / times,
        }
    }
}
