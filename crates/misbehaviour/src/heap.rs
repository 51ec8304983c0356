//! Memory that nobody needs, growing and falling like a heap whose garbage is collected late.

use std::time::{Duration, Instant};

use anyhow::Context;
use tokio_util::sync::CancellationToken;

use crate::goes_on;

/// From empty to full.
const PERIOD: Duration = Duration::from_mins(1);
/// Between two bites.
const STEP: Duration = Duration::from_millis(250);
/// Taken at a time. Large enough that an allocator gives it back when it is freed.
const BITE: usize = 1 << 20;

/// Takes up to `most` bytes until `shutdown`, on a thread of its own.
pub(crate) fn start(most: u64, shutdown: CancellationToken) -> anyhow::Result<()> {
    let hoard = move || {
        let (mut heap, begun) = (Heap::default(), Instant::now());
        while goes_on(STEP, &shutdown) {
            heap.become_of(wanted(most, begun.elapsed()));
        }
    };
    std::thread::Builder::new()
        .name("hoard".to_owned())
        .spawn(hoard)
        .context("starting the thread that takes memory")?;
    Ok(())
}

/// How much is to be held after so long.
fn wanted(most: u64, elapsed: Duration) -> u64 {
    let periods = elapsed.as_secs_f64() / PERIOD.as_secs_f64();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of an u64 is an u64")]
    let bytes = (most as f64 * periods.fract()) as u64;
    bytes
}

#[derive(Default)]
struct Heap(Vec<Vec<u8>>);

impl Heap {
    /// Grows to so many bytes, or lets go of all and begins again.
    fn become_of(&mut self, bytes: u64) {
        let wanted = usize::try_from(bytes).unwrap_or(usize::MAX) / BITE;
        if wanted < self.0.len() {
            self.0 = Vec::new();
        }
        // Written to, or the kernel would give none of it.
        self.0.resize_with(wanted, || vec![1; BITE]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_to_its_most_and_falls() {
        let at = |seconds| wanted(600, Duration::from_secs(seconds));
        assert_eq!([0, 6, 30, 59, 60, 90, 119].map(at), [0, 60, 300, 590, 0, 300, 590]);
    }

    #[test]
    fn the_memory_is_really_taken_and_given_back() {
        let resident_kib = || {
            let status = std::fs::read_to_string("/proc/self/status").unwrap();
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
            line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
        };
        let mut heap = Heap::default();
        let before = resident_kib();
        heap.become_of(64 << 20);
        let full = resident_kib();
        heap.become_of(1 << 20);
        let after = resident_kib();
        assert!(full >= before + (60 << 10) && after + (50 << 10) <= full, "{before} {full} {after} KiB");
    }
}
