//! The end of a client, which can hang, in bounded time.
//!
//! A client is closed by its drop, and neither the binding nor librdkafka bounds that:
//!
//! - `BaseConsumer` polls until librdkafka calls it closed, and each has a group, since [`crate::Config::reader`] needs a
//!   name for one. It is closed when no commit and no rebalance is under way, its partitions are stopped, and what waits for
//!   the coordinator was given up: each of these waits for an answer of a broker's thread.
//!   One whose lost assignment was never polled finds it then, and answers by `assign`, which can wait for ever for the
//!   thread of a group that has ended: seen, with stacks, in CI.
//! - `AdminClient` joins a thread that ends at the first moment without an event.
//! - Each of them, and every producer, then waits in `rd_kafka_destroy` until librdkafka's threads have ended, one of which
//!   may be looking up a name.
//!
//! Many clients here are made for a question or two, on a thread for which that would be fatal: a role's loop, the watch's
//! thread, a task of `spawn_blocking`, for whose end the runtime waits without a limit before the process can end.

use std::ops::Deref;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use tracing::warn;

/// A client closes in milliseconds, or waits for a broker. A member that takes longer is noticed as gone by its group.
const LIMIT: Duration = Duration::from_secs(5);

/// A client whose drop takes five seconds at most; beyond that it goes on closing on a thread that nobody waits for.
pub(crate) struct Disposed<C: Send + 'static>(Option<C>);

impl<C: Send + 'static> Disposed<C> {
    pub(crate) fn new(client: C) -> Self {
        Self(Some(client))
    }

    /// Never closes it: for the end of the process only.
    pub(crate) fn abandon(mut self) {
        std::mem::forget(self.0.take());
    }
}

impl<C: Send + 'static> Deref for Disposed<C> {
    type Target = C;

    fn deref(&self) -> &C {
        self.0.as_ref().expect("it is there until the drop")
    }
}

impl<C: Send + 'static> Drop for Disposed<C> {
    fn drop(&mut self) {
        if let Some(client) = self.0.take() {
            dispose(client, LIMIT);
        }
    }
}

/// Whether it was dropped within the limit.
fn dispose<C: Send + 'static>(client: C, limit: Duration) -> bool {
    let (done, closed) = channel();
    let close = move || {
        drop(client);
        // Beyond the limit nobody waits.
        let _ = done.send(());
    };
    // Without a thread, which a machine may refuse, the client is dropped here with the closure.
    let closing = std::thread::Builder::new().name("closing".to_owned()).spawn(close);
    let late = closing.is_ok() && closed.recv_timeout(limit) == Err(RecvTimeoutError::Timeout);
    if late {
        warn!("a client of kafka's did not close within {} s, and is left to itself", limit.as_secs());
    }
    !late
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender};
    use std::time::Instant;

    use super::*;

    /// Its drop waits until it may end, and reports that it did.
    struct Slow {
        go: Receiver<()>,
        dropped: Sender<()>,
    }

    impl Drop for Slow {
        fn drop(&mut self) {
            let _ = self.go.recv();
            self.dropped.send(()).unwrap();
        }
    }

    #[test]
    fn a_client_that_hangs_as_it_closes_holds_up_nobody_and_closes_once_it_can() {
        let ((go, waits), (dropped, seen)) = (channel(), channel());
        let begun = Instant::now();
        assert!(!dispose(Slow { go: waits, dropped }, Duration::from_millis(50)));
        assert!(begun.elapsed() < Duration::from_secs(5));
        go.send(()).unwrap();
        assert_eq!(seen.recv_timeout(Duration::from_secs(5)), Ok(()));
    }

    #[test]
    fn a_client_is_closed_when_its_drop_returns() {
        let ((go, waits), (dropped, seen)) = (channel(), channel());
        go.send(()).unwrap();
        drop(Disposed::new(Slow { go: waits, dropped }));
        assert_eq!(seen.try_recv(), Ok(()));
    }
}
