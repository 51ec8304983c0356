//! The side of a sink that talks to the store: one request at a time, tried until the store has answered.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use service::{Activity, Ready, Stopwatch};
use stores::{Error, Outcome, Part, Partition, Store};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::pieces::Pieces;
use super::shares::Batch;
use crate::bite::Bite;
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
    time: Stopwatch,
    shutdown: CancellationToken,
    runtime: &tokio::runtime::Handle,
) -> Sender<Request> {
    // One request is under way at most: the sink waits for its reply before it asks again.
    let (requests, received) = channel(1);
    // Bounded where a batch is gathered.
    let bite = Bite::new(usize::MAX);
    let writer = Writer { store, bite, replies, metrics, ready, time, logged: None };
    runtime.spawn(writer.run(received, shutdown));
    requests
}

struct Writer<S> {
    store: S,
    bite: Bite,
    replies: mpsc::Sender<Reply>,
    metrics: SinkMetrics,
    ready: Ready,
    time: Stopwatch,
    logged: Option<Instant>,
}

impl<S: Store> Writer<S> {
    async fn run(mut self, mut requests: Receiver<Request>, shutdown: CancellationToken) {
        while let Some(request) = requests.recv().await {
            self.time.begin(Activity::Store);
            let reply = tokio::select! {
                biased;
                reply = self.answer(request) => reply,
                // The request in hand gets a moment; the sink waits no longer for it.
                () = async { shutdown.cancelled().await; tokio::time::sleep(super::LAST_WRITE_LIMIT).await } => return,
            };
            self.time.begin(Activity::Input);
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
            Request::Write(batch) => match self.write(&batch.parts).await {
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
    async fn write(&mut self, batch: &[Part]) -> Result<(Vec<Outcome>, bool), Error> {
        let mut retried = false;
        if sales(batch) <= self.bite.size()
            && let Some(outcomes) = self.write_piece(batch, &mut retried).await?
        {
            return Ok((outcomes, retried));
        }
        let mut pieces = Pieces::new(batch);
        loop {
            let piece = pieces.next(self.bite.size());
            if piece.is_empty() {
                return Ok((pieces.outcomes(), retried));
            }
            if let Some(outcomes) = self.write_piece(&piece, &mut retried).await? {
                pieces.take(&piece, &outcomes, retried);
                self.bite.grow();
            }
        }
    }

    /// None if it was too much: less must be tried.
    async fn write_piece(&mut self, parts: &[Part], retried: &mut bool) -> Result<Option<Vec<Outcome>>, Error> {
        let mut rest = REST.0;
        loop {
            let answer = self.store.write(parts).await;
            let was_too_much = matches!(answer, Err(Error::TooMuch(_)));
            if let Some(outcomes) = self.unless_away(answer)? {
                return Ok(Some(outcomes));
            }
            *retried = true;
            pause(&mut rest).await;
            if was_too_much {
                self.bite.shrink(sales(parts));
                return Ok(None);
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
            Err(Error::Unavailable(err) | Error::TooMuch(err)) => {
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

fn sales(parts: &[Part]) -> usize {
    parts.iter().map(|part| part.records.len()).sum()
}

async fn pause(rest: &mut Duration) {
    tokio::time::sleep(rest.mul_f64(rand::random_range(0.5..1.5))).await;
    *rest = (*rest * 2).min(REST.1);
}

#[cfg(test)]
mod tests {
    use service::Health;

    use super::super::pieces::tests::part;
    use super::*;

    /// Takes so many sales at once, and keeps how many it was asked to take.
    struct Slow {
        most: usize,
        asked: Vec<usize>,
    }

    impl Store for Slow {
        fn reset(&self) -> String {
            String::new()
        }

        async fn positions(&mut self, _: &[Partition]) -> Result<Vec<i64>, Error> {
            unreachable!("nobody asks")
        }

        async fn write(&mut self, parts: &[Part]) -> Result<Vec<Outcome>, Error> {
            self.asked.push(sales(parts));
            if sales(parts) > self.most {
                return Err(Error::TooMuch(anyhow::anyhow!("too slow")));
            }
            Ok(parts.iter().map(|_| Outcome::Written { conflicts: 0 }).collect())
        }
    }

    #[tokio::test]
    async fn a_batch_that_takes_too_long_is_written_in_pieces_and_the_next_one_begins_with_such() {
        let (replies, _) = mpsc::channel();
        let ready = Health::default().ready("store");
        let (store, bite) = (Slow { most: 60, asked: Vec::new() }, Bite::new(usize::MAX));
        let mut writer = Writer {
            store,
            bite,
            replies,
            metrics: SinkMetrics::default(),
            ready,
            time: service::Time::default().start("writer"),
            logged: None,
        };
        let parts = [part("a", 0, 150, 160), part("b", 7, 50, 57)];
        let written = writer.write(&parts).await.unwrap();
        assert_eq!(written, (vec![Outcome::Written { conflicts: 0 }; 2], true));
        assert_eq!(writer.store.asked, [200, 100, 50, 57, 65, 32, 37, 24]);

        writer.store.asked.clear();
        writer.write(&parts).await.unwrap();
        assert!(writer.store.asked[0] < 60, "{:?}", writer.store.asked);
    }
}
