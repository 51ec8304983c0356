//! The auditor that runs beside the pipeline.
//!
//! One thread reads ([`reader`]), one judges ([`judge`]) and begins searches ([`search`]), one looks what the logs still hold
//! ([`retention`]), one task watches each store ([`watch`]); all of them share the [`Audit`] behind one lock, which is held
//! for a batch at a time. None of them waits for another: Kafka or a store that is away only makes sales late. While it is not
//! known whether Kafka is still the same, all of them rest; if it is another one, what is known of the old one is left to the
//! next auditor ([`replaced`]).

mod api;
mod checkpoint;
mod judge;
mod metrics;
mod prune;
mod reader;
mod replaced;
mod retention;
mod returned;
mod round;
mod search;
mod watch;

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use kafka::{Logs, Partition, Topic};
use pipeline::{PerStage, Stage};
use prometheus_client::registry::Registry;
use service::{Admin, Beat, Health, Ready};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::audit::source::Source;
use crate::audit::{Account, Audit};
use crate::config::Stores;
use crate::model::Chains;
use crate::store::Store;
use metrics::Metrics;
use retention::Retained;
use search::Desk;

/// A loop that has not turned for so long is stuck, whatever Kafka does: all it waits for has shorter limits.
const STUCK: Duration = Duration::from_mins(2);
/// Between two looks whether the topics are there.
const REST: Duration = Duration::from_secs(1);
/// One question to Kafka.
const ASK_LIMIT: Duration = Duration::from_secs(5);

/// What the threads share.
struct Live {
    kafka: kafka::Config,
    names: kafka::Names,
    /// Ends all of it.
    shutdown: CancellationToken,
    /// Tells whether Kafka is still the one that the account is of.
    watch: kafka::Watch,
    installation: String,
    /// All logs that are read but the account of blocks.
    sources: Vec<Source>,
    audit: Mutex<Audit>,
    /// The next offset of the account of blocks.
    blocks_read: AtomicI64,
    /// Blocks reserved before are no longer in Postgres: unix time, microseconds.
    pruned_before_us: AtomicI64,
    /// What the logs still held when that was last looked at, and the blocks on the account.
    retained: Mutex<Retained>,
    redis_keeps: Option<Duration>,
    /// Whether the account of blocks has been read.
    started: AtomicBool,
    ready: Ready,
    progress: Mutex<Progress>,
    metrics: Metrics,
}

#[derive(Default)]
struct Progress {
    waiting_for: String,
    round_ended: Option<Instant>,
    checkpoint_made: Option<Instant>,
}

/// Runs until `shutdown`, serving the admin port meanwhile.
pub async fn run(
    service: &service::Config,
    kafka: kafka::Config,
    stores: Stores,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let health = Health::default();
    let ready = health.ready("kafka");
    let mut registry = Registry::with_prefix("kapture_auditor");
    let metrics = Metrics::register(&mut registry);

    let shared: Arc<OnceLock<Arc<Live>>> = Arc::default();
    let (figures, routes) = (metrics.clone(), Arc::clone(&shared));
    let admin = Admin::new(service, "auditor", registry, health.clone(), move || figures.figures());
    let admin = admin.routes(move |request| {
        let live = routes.get().cloned();
        async move { api::answer(&request, live.as_ref()) }
    });

    let work = async {
        let Some(live) = prepare(kafka, &stores, metrics, ready, &shutdown).await? else { return Ok(()) };
        let live = shared.get_or_init(|| Arc::new(live));
        let desk = Desk::open(live, health.loop_("search", STUCK))?;
        let read = thread(live, &health, "read", reader::run);
        let judge = thread(live, &health, "judge", move |live, beat| judge::run(live, desk, beat));
        let retention = thread(live, &health, "retention", retention::run);
        let Stores { redis, postgres, .. } = stores;
        let stores = async {
            let (redis, postgres) = (watch::run(live, 0, redis, &health), watch::run(live, 1, postgres, &health));
            let (redis, postgres, ()) = tokio::join!(redis, postgres, replaced::wait(live));
            replaced::end(live, [redis, postgres]).await
        };
        tokio::try_join!(read, judge, retention, stores)?;
        Ok(())
    };
    // Whichever ends first by an error ends the others: a pod that only half works helps nobody.
    let work = async {
        let done: anyhow::Result<()> = Box::pin(work).await;
        shutdown.cancel();
        done
    };
    tokio::try_join!(Box::pin(admin.serve(shutdown.clone())), Box::pin(work))?;
    Ok(())
}

/// Waits for Kafka and its topics, and restores what an earlier auditor knew. `None` if stopped meanwhile.
async fn prepare(
    kafka: kafka::Config,
    stores: &Stores,
    metrics: Metrics,
    ready: Ready,
    shutdown: &CancellationToken,
) -> anyhow::Result<Option<Live>> {
    let watched = stores.watched();
    let restored = async {
        kafka.ensure_topics(&[Topic::Audit], shutdown).await?;
        let watch = kafka.watch(shutdown).await?;
        loop {
            let (kafka, installation) = (kafka.clone(), watch.installation().to_string());
            match tokio::task::spawn_blocking(move || restore(&kafka, watched, &installation)).await? {
                Ok((sources, audit)) => return anyhow::Ok((watch, sources, audit)),
                Err(err) => ready.missing(format!("{err:#}")),
            }
            tokio::time::sleep(REST).await;
        }
    };
    let (watch, sources, audit) = tokio::select! {
        biased;
        () = shutdown.cancelled() => return Ok(None),
        restored = restored => restored.context("waiting for kafka")?,
    };
    Ok(Some(Live {
        names: kafka.names(),
        kafka,
        shutdown: shutdown.clone(),
        installation: watch.installation().to_string(),
        watch,
        sources,
        audit: Mutex::new(audit),
        blocks_read: AtomicI64::new(0),
        retained: Mutex::default(),
        redis_keeps: stores.redis.as_ref().and_then(Store::keeps),
        pruned_before_us: AtomicI64::new(if watched[Stage::Stored] { i64::MIN } else { i64::MAX }),
        started: AtomicBool::new(false),
        ready,
        progress: Mutex::default(),
        metrics,
    }))
}

/// All logs that are to be read, and what an earlier auditor knew of them; an error if a topic isn't there yet. Blocks.
fn restore(kafka: &kafka::Config, watched: PerStage<bool>, installation: &str) -> anyhow::Result<(Vec<Source>, Audit)> {
    let (logs, names) = (Logs::new(kafka, "reader", ASK_LIMIT)?, kafka.names());
    let partitions = |topic: String| match logs.partitions(&topic)?.len() {
        0 => bail!("waiting for topic {topic}"),
        partitions => Ok(partitions),
    };
    for topic in names.states().into_iter().chain([names.sales(), names.rejected()]) {
        partitions(topic)?;
    }
    let receipts = if watched[Stage::Returned] { partitions(names.receipts())? } else { 0 };
    let sources = Source::all(u16::try_from(receipts).context("counting the partitions of receipts")?);
    let fresh = || {
        let mut audit = Audit::new(watched, Box::new(Chains::default()));
        audit.follow(sources.clone());
        audit.of_kafka(installation.to_owned());
        audit
    };
    let (audit, resumed) = checkpoint::restore(kafka, fresh)?;
    info!(resumed, "restored the account");
    Ok((sources, audit))
}

/// Runs blocking work beside the async frame.
async fn thread<W>(live: &Arc<Live>, health: &Health, name: &str, work: W) -> anyhow::Result<()>
where
    W: FnOnce(&Live, &Beat) -> anyhow::Result<()> + Send + 'static,
{
    let (live, beat) = (Arc::clone(live), health.loop_(name, STUCK));
    tokio::task::spawn_blocking(move || work(&live, &beat)).await?
}

impl Live {
    fn audit(&self) -> MutexGuard<'_, Audit> {
        self.audit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that the account of blocks has been read.
    fn start(&self) {
        self.started.store(true, Ordering::Release);
        self.ready.set(true);
    }

    fn has_started(&self) -> bool {
        self.started.load(Ordering::Acquire)
    }

    /// Whether Kafka is known to be the one that the account is of.
    fn is_sure(&self) -> bool {
        self.watch.is_sure().unwrap_or(false)
    }

    fn partitions(&self) -> Vec<Partition> {
        self.sources.iter().map(|source| source.partition(&self.names)).collect()
    }

    fn retained(&self) -> MutexGuard<'_, Retained> {
        self.retained.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_for(&self, what: &str) {
        what.clone_into(&mut self.progress().waiting_for);
    }

    fn round_ended(&self) {
        self.metrics.rounds.inc();
        self.progress().round_ended = Some(Instant::now());
    }

    /// `made`: when the account was as it was written.
    fn checkpoint_written(&self, made: Instant) {
        self.progress().checkpoint_made = Some(made);
    }

    /// Whether the account as it was at a time outlasts a restart.
    fn has_written(&self, at: Instant) -> bool {
        self.progress().checkpoint_made.is_some_and(|made| made >= at)
    }

    fn account(&self) -> Account {
        let mut account = self.audit().account();
        let age = |at: Option<Instant>| at.map(|at| u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX));
        let progress = self.progress();
        account.position.rounds = self.metrics.rounds.get();
        account.position.waiting_for.clone_from(&progress.waiting_for);
        account.position.round_age_ms = age(progress.round_ended);
        account.position.checkpoint_age_ms = age(progress.checkpoint_made);
        account
    }
}
