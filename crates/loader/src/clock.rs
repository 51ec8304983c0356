//! The schedule's clock: it runs evenly, and is tied to the wall clock by which everyone else measures.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A wall clock that differs by more has stepped. A smaller difference may come from reading two clocks one after the other.
const STEP_US: i64 = 5_000;

/// Time since the load began, and the wall clock's name for it.
///
/// The schedule follows the monotonic clock, so that a step of the wall clock neither stops the load nor makes a burst.
/// Due times are written in wall-clock time, since other programs subtract them from their own: after a step they follow
/// the wall clock.
#[derive(Debug)]
pub struct Clock {
    start: Instant,
    /// The wall clock at the start, in microseconds since 1970.
    origin_us: AtomicI64,
    steps: AtomicU64,
}

impl Clock {
    /// Starts now.
    pub fn start() -> Self {
        let start = Instant::now();
        Self { start, origin_us: AtomicI64::new(service::unix_us()), steps: AtomicU64::new(0) }
    }

    /// Microseconds since the start.
    pub fn elapsed_us(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// The moment this many microseconds after the start.
    pub fn at(&self, elapsed_us: u64) -> Instant {
        self.start + Duration::from_micros(elapsed_us)
    }

    /// The wall-clock time this many microseconds after the start.
    pub fn unix_us(&self, elapsed_us: u64) -> i64 {
        self.origin_us.load(Ordering::Relaxed).saturating_add_unsigned(elapsed_us)
    }

    /// Checks whether the wall clock has stepped, and follows it. Returns by how much.
    pub fn follow(&self) -> Option<i64> {
        let before = self.elapsed_us();
        let wall_us = service::unix_us();
        let after = self.elapsed_us();
        self.follow_to(before, wall_us, after)
    }

    /// How often the wall clock has stepped.
    pub fn steps(&self) -> u64 {
        self.steps.load(Ordering::Relaxed)
    }

    /// `wall_us` was read between `before` and `after`.
    fn follow_to(&self, before: u64, wall_us: i64, after: u64) -> Option<i64> {
        let (least, most) = (wall_us - self.unix_us(after), wall_us - self.unix_us(before));
        let step = if least > 0 { least } else { most.min(0) };
        (step.abs() > STEP_US).then(|| {
            self.origin_us.fetch_add(step, Ordering::Relaxed);
            self.steps.fetch_add(1, Ordering::Relaxed);
            step
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_of_the_wall_clock_is_followed() {
        let clock = Clock::start();
        let then = clock.unix_us(1_000);
        assert_eq!(clock.follow_to(1_000, then + 4_000, 1_000), None, "within what reading costs");
        assert_eq!(clock.follow_to(1_000, then + 3_000_000, 1_010), Some(2_999_990));
        assert_eq!(clock.unix_us(1_000), then + 2_999_990);
        assert_eq!(clock.follow_to(1_000, then, 1_010), Some(-2_999_990));
        assert_eq!(clock.steps(), 2);
    }

    #[test]
    fn a_thread_that_was_put_to_sleep_between_two_looks_sees_no_step() {
        let clock = Clock::start();
        let then = clock.unix_us(1_000_000);
        assert_eq!(clock.follow_to(0, then, 2_000_000), None);
    }
}
