//! A start like that of a virtual machine that loads its classes and compiles them.

use std::hint::black_box;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tracing::info;

/// Between two looks at the clock and at a stop.
const TURNS: u32 = 100_000;

/// Keeps one CPU busy for so long, or until a stop.
pub(crate) fn burn(time: Duration, shutdown: &CancellationToken) {
    if time.is_zero() {
        return;
    }
    info!(?time, "misbehaves: is busy before it begins");
    let (end, mut sum) = (Instant::now() + time, 0_u64);
    while Instant::now() < end && !shutdown.is_cancelled() {
        sum = (0..TURNS).fold(sum, |sum, turn| black_box(sum.wrapping_mul(31).wrapping_add(turn.into())));
    }
    black_box(sum);
}
