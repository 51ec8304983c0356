//! Finds out, sale by sale, why the sending thread is late.

use crate::blame::{Blame, LATE_US, Lateness};
use crate::cpu_wait::CpuWait;
use crate::rate::CatchUp;

/// Within a turn of the loop, the kernel is asked again no sooner: a turn at a high rate lasts some milliseconds.
const LOOK_US: u64 = 1_000;

/// What the sending thread is told of.
#[derive(Debug)]
pub(crate) struct Causes {
    blame: Blame,
    cpu: CpuWait,
}

impl Causes {
    /// `catch_up` is what the schedule follows.
    pub(crate) fn new(catch_up: CatchUp) -> Self {
        Self { blame: Blame::new(catch_up), cpu: CpuWait::default() }
    }

    /// The loop turns, and the next sale is so much late already. Returns for how long the thread was kept from a CPU, if the
    /// kernel tells.
    pub(crate) fn turn(&mut self, now_us: u64, late_us: u64) -> Option<u64> {
        let grew = self.cpu.grew(now_us, late_us > LATE_US);
        self.blame.throttled(grew.unwrap_or(0), late_us);
        grew
    }

    /// See [`Blame::blocked`].
    pub(crate) fn blocked(&mut self, now_us: u64, late_us: u64) -> u64 {
        self.blame.blocked(now_us, late_us)
    }

    /// See [`Blame::handed`]. The third is for how long the thread was kept from a CPU since it was last asked.
    pub(crate) fn handed(&mut self, now_us: u64, late_us: u64) -> (Lateness, u64, Option<u64>) {
        let mut grew = None;
        if late_us > LATE_US && now_us >= self.cpu.looked_us() + LOOK_US {
            grew = self.turn(now_us, late_us);
        }
        let (lateness, blocked_us) = self.blame.handed(now_us, late_us);
        (lateness, blocked_us, grew)
    }
}
