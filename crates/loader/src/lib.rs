//! Sends the sales that follow from its ordinal, the seed and the schedule, at the time they are due, or reports how late
//! they were and why. It is never silently slower.
//!
//! Five threads share a [`Load`]:
//! - the schedule's loop ([`sending`]) hands each sale to the client when it is due;
//! - the client's polling thread books Kafka's answers ([`acks`]);
//! - the ledger ([`ledger`]) reserves blocks before any of their sales is sent, and publishes what was acknowledged, so
//!   that an auditor knows what must be found even if this process is killed at any instruction;
//! - the maker ([`stock`]) generates and encodes the blocks ahead;
//! - one ([`kafka::guard`]) watches that the client has not lost Kafka for good, and that Kafka was not emptied.
//!
//! The client is Kafka's, or one of the shop's that puts each sale in Kafka ([`way`]).
//!
//! A rate can be set from outside for a while ([`api`], [`in_force`]): that is another segment of the plan ([`schedule`]).
//!
//! The schedule restarts with each start of the process: what was due while a loader was away was not offered, and is not
//! made up for. The load does not restart: `LOADER_STOP_AFTER` counts from its first start, and once it has ended it stays
//! ended, even if the process restarts. Another configured rate, length or parameter is another load.
#![deny(missing_docs)]

pub mod account;
pub mod acks;
pub mod api;
pub mod arrivals;
mod bits;
pub mod blame;
mod causes;
pub mod ceiling;
pub mod clock;
pub mod config;
mod cpu_wait;
pub mod curve;
pub mod in_force;
pub mod journal;
pub mod ledger;
mod metrics;
pub mod opening;
pub mod rate;
pub mod running;
pub mod schedule;
mod seldom;
pub mod sending;
pub mod shape;
mod shop;
pub mod stock;
mod way;

use std::sync::Arc;
use std::sync::mpsc::{channel, sync_channel};
use std::time::Duration;

use anyhow::{Context, bail};
use petstore::{Parameters, Petstore};
use service::reported::loader::{CUSTOMERS, DAYS, HOT_STORE, SEED, SKEW, STORES};
use service::{Figures, Health};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

pub use config::Config;
use ledger::Ledger;
pub use metrics::Metrics;
pub use running::Load;
use sending::Sending;
use way::Way;

/// The schedule's loop turns at least every 50 ms, whatever Kafka does; one this late counts as stuck.
const SCHEDULE_LIMIT: Duration = Duration::from_secs(10);
/// How long a stop may take in all, of the 30 s that Kubernetes gives.
const STOP_LIMIT: Duration = Duration::from_secs(24);

/// The load that `config` describes, not begun.
pub fn load(config: &Config, metrics: Metrics) -> anyhow::Result<Arc<Load>> {
    Ok(Arc::new(Load::new(config.asked().context("reading LOADER_*")?, metrics)))
}

/// What the loader reports: how the load goes, and of what it is made.
pub fn figures(load: &Load, parameters: &Parameters) -> Figures {
    let Parameters { model: _, seed, stores, customers, skew, hot_store, days } = *parameters;
    [
        // A seed is below 2^53.
        (SEED, seed as f64),
        (STORES, stores.into()),
        (CUSTOMERS, customers.into()),
        (SKEW, skew.into()),
        (HOT_STORE, hot_store.into()),
        (DAYS, days.into()),
    ]
    .into_iter()
    .fold(load.figures(), |all, (name, value)| all.gauge(name, value))
}

/// Runs the load until it has ended as planned and `shutdown` is cancelled, or closes it early when that is cancelled.
///
/// An error means that the process should end: this loader has a successor, the client has failed or has lost Kafka for good,
/// Kafka was emptied, or a stop took too long. The next start cuts the blocks that were left open.
pub async fn run(
    config: &Config,
    kafka: &kafka::Config,
    load: Arc<Load>,
    health: &Health,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let petstore = Petstore::new(config.parameters()).context("reading LOADER_*")?;
    // Bounded by the ledger, which reserves only so far ahead.
    let (reserve, reserved) = channel();
    let (make, stock) = sync_channel(stock::WAITING);
    let (sending, ended) = channel();
    let beat = health.loop_("schedule", SCHEDULE_LIMIT);
    let ledger = Ledger {
        kafka: kafka.clone(),
        loader: config.ordinal,
        parameters: config.parameters(),
        stop_after: config.stop_after.get(),
        shape: config.shape().hash(),
        via: config.via,
        load: Arc::clone(&load),
        reserved: reserve,
        ready: health.ready("a reserved block"),
        health: health.clone(),
    };
    let way = Way::of(config, kafka, &load).context("reading LOADER_*")?;
    let producer = way.producer();
    let schedule = Sending::new(way, Arc::clone(&load), config.catch_up, stock);

    let time = load.time.start("maker");
    let count = load.metrics.made.clone();
    let making = thread("maker", move || {
        stock::make(&petstore, &reserved, &make, &time, &count);
        Ok(())
    })?;
    let (runtime, stop) = (Handle::current(), shutdown.clone());
    let keeping = thread("ledger", move || ledger.run(&runtime, &ended, &stop))?;
    // A Kafka that is lost after the last answer must not end the process: its next start would find nothing to do.
    let sent = shutdown.child_token();
    let (kafka, runtime, stop) = (kafka.clone(), Handle::current(), sent.clone());
    let watching = thread("contact", move || {
        kafka::guard(&kafka, producer.as_deref(), || load.metrics.accepted.get(), &runtime, &stop)
    })?;
    let stop = shutdown.clone();
    let scheduling = thread("schedule", move || {
        let _sent = sent.drop_guard();
        // Dropped at the end, which tells the ledger to close the account.
        schedule.run(&beat, &stop, &sending)
    })?;

    tokio::select! {
        ended = async { tokio::try_join!(scheduling, keeping, making, watching) } => { ended?; }
        () = async { shutdown.cancelled().await; tokio::time::sleep(STOP_LIMIT).await } => {
            bail!("closing the account: kafka did not answer in time; the next start will cut the blocks left open");
        }
    }
    shutdown.cancelled().await;
    Ok(())
}

/// Runs `work` on a thread of its own. The client's calls block, and nothing may delay the schedule.
fn thread(
    name: &'static str,
    work: impl FnOnce() -> anyhow::Result<()> + Send + 'static,
) -> anyhow::Result<impl Future<Output = anyhow::Result<()>>> {
    let (end, ended) = oneshot::channel();
    let work = move || {
        // The receiver is gone when the process is about to end.
        let _ = end.send(work());
    };
    std::thread::Builder::new().name(name.to_owned()).spawn(work).with_context(|| format!("starting thread {name}"))?;
    Ok(async move { ended.await.with_context(|| format!("thread {name} panicked"))? })
}
