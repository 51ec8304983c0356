//! The side of a sink that talks to the store: one request at a time, tried until the store has answered.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use service::Ready;
use stores::{Error, Outcome, Partition, Store};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::shares::Batch;
use crate::metrics::SinkMetrics;

/// What is asked.
pub(super) enum Request {
    /// Where the store is in each of these.
    Positions(Vec<Partition>),
    /// To write this.
    Write(Batch),
}

/// What came of it.
pub(super) enum Reply {
    /// Where the store is in each.
    Positions {
        positions: Vec<(Partition, i64)>,
        /// An earlier try failed.
        retried: bool,
    },
    /// What became of each part.
    Written {
        batch: Batch,
        outcomes: Vec<Outcome>,
        /// When the store confirmed it, in microseconds since 1970.
        at_us: i64,
        /// An earlier try failed, and may have written all the same.
        retried: bool,
    },
    /// Nothing, ever: only a person can mend it.
    Stop(Error),
}

/// The first and the longest rest between tries; each is twice the one before, plus or minus a half.
const REST: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// A store that is away is logged once in this time.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// Starts the writer. Dropping the sender ends it.
pub(super) fn start<S: Store + 'static>(
    store: S,
    replies: mpsc::Sender<Reply>,
    metrics: SinkMetrics,
    ready: Ready,
    shutdown: CancellationToken,
    runtime: &tokio::runtime::Handle,
) -> Sender<Request> {
    // One request is under way at most: the sink waits for its reply before it asks again.
    let (requests, received) = channel(1);
    let writer = Writer { store, replies, metrics, ready, logged: None };
    runtime.spawn(writer.run(received, shutdown));
    requests
}

struct Writer<S> {
    store: S,
    replies: mpsc::Sender<Reply>,
    metrics: SinkMetrics,
    ready: Ready,
    logged: Option<Instant>,
}

impl<S: Store> Writer<S> {
    async fn run(mut self, mut requests: Receiver<Request>, shutdown: CancellationToken) {
        while let Some(request) = requests.recv().await {
            let reply = tokio::select! {
                biased;
                reply = self.answer(request) => reply,
                // The request in hand gets a moment; the sink waits no longer for it.
                () = async { shutdown.cancelled().await; tokio::time::sleep(super::LAST_WRITE_LIMIT).await } => return,
            };
            if self.replies.send(reply).is_err() {
                return;
            }
        }
    }

    async fn answer(&mut self, request: Request) -> Reply {
        match request {
            Request::Positions(partitions) => match self.positions(&partitions).await {
                Ok((positions, retried)) => {
                    Reply::Positions { positions: partitions.into_iter().zip(positions).collect(), retried }
                }
                Err(err) => Reply::Stop(err),
            },
            Request::Write(batch) => match self.write(&batch).await {
                Ok((outcomes, retried)) => Reply::Written { batch, outcomes, at_us: service::unix_us(), retried },
                Err(err) => Reply::Stop(err),
            },
        }
    }

    /// The positions, and whether an earlier try failed.
    async fn positions(&mut self, partitions: &[Partition]) -> Result<(Vec<i64>, bool), Error> {
        let mut rest = REST.0;
        loop {
            let answer = self.store.positions(partitions).await;
            match self.unless_away(answer)? {
                Some(positions) => return Ok((positions, rest != REST.0)),
                None => pause(&mut rest).await,
            }
        }
    }

    /// The outcomes, and whether an earlier try failed.
    async fn write(&mut self, batch: &Batch) -> Result<(Vec<Outcome>, bool), Error> {
        let mut rest = REST.0;
        loop {
            let answer = self.store.write(&batch.parts).await;
            match self.unless_away(answer)? {
                Some(outcomes) => return Ok((outcomes, rest != REST.0)),
                None => pause(&mut rest).await,
            }
        }
    }

    /// None if the store must be tried again.
    fn unless_away<T>(&mut self, answer: Result<T, Error>) -> Result<Option<T>, Error> {
        match answer {
            Ok(answer) => {
                self.ready.set(true);
                Ok(Some(answer))
            }
            Err(Error::Unavailable(err)) => {
                self.failed(&err);
                Ok(None)
            }
            Err(err) => Err(err),
        }
    }

    fn failed(&mut self, err: &anyhow::Error) {
        self.metrics.store_errors.inc();
        self.ready.missing(format!("{err:#}"));
        if self.logged.is_none_or(|logged| logged.elapsed() > LOG_EVERY) {
            self.logged = Some(Instant::now());
            warn!("waiting for the store: {err:#}");
        }
    }
}

async fn pause(rest: &mut Duration) {
    tokio::time::sleep(rest.mul_f64(rand::random_range(0.5..1.5))).await;
    *rest = (*rest * 2).min(REST.1);
}
