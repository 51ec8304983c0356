//! Doing something that blocks at intervals, so that nothing it meets stops the loop.

use std::time::Duration;

use anyhow::Context;
use service::Beat;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

/// Calls `look` at intervals on a thread that may wait, and gives `show` what it saw, until `shutdown`.
///
/// While one look hangs (a disk that does not answer, say) no second one begins, and `show` is told `None`.
pub(crate) async fn watch<T: Send + 'static>(
    every: Duration,
    look: impl Fn() -> T + Clone + Send + 'static,
    mut show: impl FnMut(Option<T>),
    beat: Beat,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut hanging: Option<JoinHandle<T>> = None;
    while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
        beat.turned();
        let mut looking = hanging.take().unwrap_or_else(|| spawn_blocking(look.clone()));
        if let Ok(seen) = timeout(LIMIT, &mut looking).await {
            show(Some(seen.context("looking at the neighbour")?));
        } else {
            hanging = Some(looking);
            show(None);
        }
    }
    Ok(())
}

/// Longer than any request to Kafka may take.
const LIMIT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::mpsc::channel;

    use service::Health;

    use super::*;

    #[tokio::test]
    async fn a_look_that_hangs_is_not_repeated_and_the_loop_lives() {
        let (release, released) = channel::<()>();
        let released = Arc::new(std::sync::Mutex::new(released));
        let looks = Arc::new(AtomicU32::new(0));
        let look = {
            let looks = Arc::clone(&looks);
            move || {
                looks.fetch_add(1, Ordering::Relaxed);
                let _ = released.lock().map(|released| released.recv());
            }
        };
        let (health, shutdown) = (Health::default(), CancellationToken::new());
        let mut shown = Vec::new();
        let show = |seen: Option<()>| {
            shown.push(seen.is_some());
            if shown.len() == 1 {
                // Only once the first wait is over, and the look still counts as hanging.
                let _ = release.send(());
            } else {
                shutdown.cancel();
            }
        };
        let beat = health.loop_("watch", Duration::from_mins(1));
        watch(Duration::from_millis(1), look, show, beat, &shutdown).await.unwrap();
        assert_eq!((shown, looks.load(Ordering::Relaxed)), (vec![false, true], 1));
    }
}
