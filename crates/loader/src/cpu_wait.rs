//! For how long the sending thread was kept from a CPU: by the loader's own limit, or in the run queue, where it waits while
//! others have the CPU.

use std::fs::File;
use std::os::unix::fs::FileExt;

use service::resources::Reader;

/// How often the control group is looked at, since that takes some ten files; more often while sales are late.
const GROUP_EVERY_US: u64 = 100_000;
const GROUP_EVERY_LATE_US: u64 = 10_000;

/// Looks at the thread that asks: always the same one.
#[derive(Debug)]
pub(crate) struct CpuWait {
    looked_us: u64,
    own: Reader,
    schedstat: Option<File>,
    waited_us: Option<u64>,
    group_looked_us: u64,
    throttled_us: Option<u64>,
}

impl Default for CpuWait {
    fn default() -> Self {
        Self {
            looked_us: 0,
            own: Reader::own(),
            schedstat: None,
            waited_us: None,
            group_looked_us: 0,
            throttled_us: None,
        }
    }
}

impl CpuWait {
    /// Microseconds that this thread was kept from a CPU since it last asked, as far as the kernel tells: none, if it tells
    /// nothing, and that is the first answer.
    ///
    /// Some kernels count the time that a limit takes as time in the run queue too, so the larger of the two counts. A group
    /// adds up its throttled time over all CPUs: no more counts than has passed.
    pub(crate) fn grew(&mut self, now_us: u64, is_late: bool) -> Option<u64> {
        let passed = now_us.saturating_sub(self.looked_us);
        self.looked_us = now_us;
        let in_queue_us = self.run_queue();
        let waited = grew(&mut self.waited_us, in_queue_us);
        let group_every = if is_late { GROUP_EVERY_LATE_US } else { GROUP_EVERY_US };
        let throttled = if now_us >= self.group_looked_us + group_every {
            self.group_looked_us = now_us;
            grew(&mut self.throttled_us, self.own.read_groups().cpu_throttled_us)
        } else {
            None
        };
        waited.max(throttled).map(|grew| grew.min(passed))
    }

    /// When it last looked.
    pub(crate) fn looked_us(&self) -> u64 {
        self.looked_us
    }

    /// Time in the run queue so far.
    fn run_queue(&mut self) -> Option<u64> {
        if self.schedstat.is_none() {
            self.schedstat = File::open("/proc/thread-self/schedstat").ok();
        }
        let mut text = [0; 96];
        let length = self.schedstat.as_ref()?.read_at(&mut text, 0).ok()?;
        waited_us(str::from_utf8(&text[..length]).ok()?)
    }
}

/// By how much it has grown since it was last known.
fn grew(last: &mut Option<u64>, now: Option<u64>) -> Option<u64> {
    let before = std::mem::replace(last, now.or(*last));
    Some(now?.saturating_sub(before?))
}

/// The second of three numbers: nanoseconds that ran, nanoseconds in the run queue, times that it ran. All are 0 where
/// the kernel doesn't count.
fn waited_us(schedstat: &str) -> Option<u64> {
    let numbers: Vec<u64> = schedstat.split_whitespace().map(str::parse).collect::<Result<_, _>>().ok()?;
    match numbers[..] {
        [0, 0, 0] => None,
        [_, waited_ns, _] => Some(waited_ns / 1_000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_run_queue_is_the_second_number() {
        assert_eq!(waited_us("81 3782165 1\n"), Some(3_782));
        for unknown in ["0 0 0\n", "", "1 2", "1 x 3"] {
            assert_eq!(waited_us(unknown), None, "{unknown:?}");
        }
    }

    #[test]
    fn growth_is_known_from_the_second_look_on_and_never_negative() {
        let mut last = None;
        assert_eq!(grew(&mut last, Some(100)), None);
        assert_eq!(grew(&mut last, Some(130)), Some(30));
        assert_eq!(grew(&mut last, None), None);
        assert_eq!(grew(&mut last, Some(150)), Some(20));
        assert_eq!(grew(&mut last, Some(10)), Some(0));
    }

    #[test]
    fn no_more_counts_than_has_passed() {
        let mut wait = CpuWait::default();
        wait.grew(0, false);
        wait.waited_us = Some(0);
        assert!(wait.grew(7, true).is_none_or(|grew| grew <= 7));
    }
}
