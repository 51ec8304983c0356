//! One loop for all who work in transactions: it connects a producer, has its task take turns, and goes back to what is
//! committed when that is not to be had.

use std::sync::Arc;
use std::time::Duration;

use service::{Activity, Beat, Stopwatch};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::transactions::{END_LIMIT, Events, Failure, Guarantee, Transactions};
use crate::{Config, Error};

/// Rest before a producer is connected again.
const REST: Duration = Duration::from_millis(500);
/// An abort when the program is to stop, which has waited for the commit before. Without it, Kafka ends the transaction.
const LAST_ABORT_LIMIT: Duration = Duration::from_secs(3);

/// Work that is done a turn at a time.
pub trait Task {
    /// Does a part of the work, and commits when that is due. At a stop it commits what it has in hand, and ends by
    /// [`Stop::Shutdown`].
    fn turn(&mut self, transactions: &mut Transactions) -> Result<(), Stop>;

    /// Forgets what was done since the last commit, and goes back to what is committed. Called with a new producer, before
    /// the first turn too, and after each abort. An error ends the process.
    fn rewind(&mut self) -> anyhow::Result<()>;

    /// Waits for so long, or until a stop, while there is no producer; the group must go on hearing of its member.
    fn rest(&mut self, wait: Duration) -> anyhow::Result<()>;
}

/// Why a task takes no further turn.
pub enum Stop {
    /// It was told to stop.
    Shutdown,
    /// The process should end.
    Exit(anyhow::Error),
    /// The transaction failed.
    Failed(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Stop::Failed(failure)
    }
}

/// What runs a task.
pub struct Runner<'a> {
    /// Where Kafka is.
    pub config: &'a Config,
    /// The transactional id, without the prefix: the same after a restart, and no one else's.
    pub id: String,
    /// Whether there are transactions.
    pub guarantee: Guarantee,
    /// Where it is counted what became of them.
    pub events: &'a Arc<Events>,
    /// Where it is counted what the thread does.
    pub stopwatch: &'a Stopwatch,
    /// Shows that the loop turns.
    pub beat: &'a Beat,
    /// When to stop.
    pub shutdown: &'a CancellationToken,
}

impl Runner<'_> {
    /// Runs the task until a stop, by one producer after the other. An error means that the process should end.
    pub fn run(&self, task: &mut impl Task) -> anyhow::Result<()> {
        while !self.shutdown.is_cancelled() {
            self.beat.turned();
            self.stopwatch.begin(Activity::Kafka);
            let replaced = match self.connect() {
                Ok(mut transactions) => {
                    let Err(err) = self.drive(task, &mut transactions)? else { return Ok(()) };
                    Events::count(&self.events.rebuilds);
                    warn!("replacing the producer: {err}");
                    Some(transactions)
                }
                Err(err) => {
                    info!("waiting for kafka to begin transactions: {err:#}");
                    None
                }
            };
            task.rest(REST)?;
            // Only now: a call that ran into its limit fails before the client has heard from Kafka.
            if replaced.is_some_and(|transactions| transactions.is_fenced()) {
                Events::count(&self.events.fenced);
            }
        }
        Ok(())
    }

    fn connect(&self) -> anyhow::Result<Transactions> {
        match self.guarantee {
            Guarantee::ExactlyOnce => Transactions::connect(self.config, &self.id, self.events),
            Guarantee::AtLeastOnce => Transactions::without(self.config, self.events),
        }
    }

    /// Until a stop, or the error for which the producer must be replaced. The outer one ends the process.
    fn drive(&self, task: &mut impl Task, transactions: &mut Transactions) -> anyhow::Result<Result<(), Error>> {
        task.rewind()?;
        self.stopwatch.begin(Activity::Working);
        loop {
            match task.turn(transactions) {
                Ok(()) => {}
                Err(Stop::Shutdown) => return Ok(Ok(())),
                Err(Stop::Exit(err) | Stop::Failed(Failure::Refused(err))) => return Err(err),
                Err(Stop::Failed(Failure::Rebuild(err))) => return Ok(Err(err)),
                Err(Stop::Failed(Failure::Abort(err))) => {
                    // A commit may have taken its time before it failed.
                    self.beat.turned();
                    self.stopwatch.begin(Activity::Kafka);
                    if transactions.is_open() {
                        warn!("aborting the transaction: {err}");
                        let limit = if self.shutdown.is_cancelled() { LAST_ABORT_LIMIT } else { END_LIMIT };
                        if let Err(err) = transactions.abort_within(limit) {
                            return Ok(Err(err));
                        }
                    }
                    task.rewind()?;
                    self.stopwatch.begin(Activity::Working);
                }
            }
        }
    }
}
