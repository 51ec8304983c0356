//! The auditor that runs beside the pipeline.
//!
//! One thread reads ([`reader`]), one judges ([`judge`]), one searches for it ([`search`]), one looks what the logs still hold
//! ([`retention`]), one task watches each store ([`watch`]); all of them share the [`Audit`] behind one lock, which is held
//! for a batch at a time. None of them waits for another: Kafka or a
//! store that is away only makes sales late.

mod api;
mod checkpoint;
mod judge;
mod metrics;
mod prune;
mod reader;
mod retention;
mod returned;
mod round;
mod search;
mod watch;

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use kafka::{Logs, Partition, Topic};
use prometheus_client::registry::Registry;
use service::{Admin, Health, Ready};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::audit::source::Source;
use crate::audit::{Account, Audit, STORES};
use crate::config::Stores;
use crate::model::Chains;
use crate::store::Store;
use metrics::Metrics;
use retention::Retained;

/// A loop that has not turned for so long is stuck, whatever Kafka does: all it waits for has shorter limits.
const STUCK: Duration = Duration::from_mins(2);
/// Between two looks whether the topics are there.
const REST: Duration = Duration::from_secs(1);
/// One question to Kafka.
const ASK_LIMIT: Duration = Duration::from_secs(5);

/// What the threads share.
struct Live {
    names: kafka::Names,
    installation: String,
    /// All logs that are read but the account of blocks.
    sources: Vec<Source>,
    audit: Mutex<Audit>,
    /// The next offset of the account of blocks.
    blocks_read: AtomicI64,
    /// Blocks reserved before are no longer in Postgres: unix time, microseconds.
    pruned_before_us: AtomicI64,
    /// What the logs still held when that was last looked at.
    retained: Mutex<Retained>,
    /// How long Redis keeps a block, if it is watched.
    redis_keeps: Option<Duration>,
    started: Started,
    progress: Mutex<Progress>,
    metrics: Metrics,
}

#[derive(Default)]
struct Progress {
    waiting_for: String,
    round_ended: Option<Instant>,
    checkpoint_made: Option<Instant>,
}

/// Whether the account of blocks has been read.
struct Started {
    flag: AtomicBool,
    ready: Ready,
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

    let shared: Arc<std::sync::OnceLock<Arc<Live>>> = Arc::default();
    let (figures, routes) = (Arc::clone(&shared), Arc::clone(&shared));
    let admin = Admin::new(service, "auditor", registry, health.clone(), move || api::figures(figures.get())).routes(
        move |request| {
            let live = routes.get().cloned();
            async move { api::answer(&request, live.as_ref()) }
        },
    );

    let work = async {
        let Some(live) = prepare(&kafka, &stores, metrics, ready, &shutdown).await? else { return Ok(()) };
        let live = Arc::clone(shared.get_or_init(|| Arc::new(live)));
        let [read, judge, search, retention] =
            ["read", "judge", "search", "retention"].map(|name| health.loop_(name, STUCK));
        let reader =
            thread(&kafka, &live, &shutdown, move |kafka, live, shutdown| reader::run(kafka, live, &read, shutdown));
        let (desk, searcher) = search::open();
        let judge = thread(&kafka, &live, &shutdown, move |kafka, live, shutdown| {
            judge::run(kafka, live, desk, &judge, shutdown)
        });
        let search = thread(&kafka, &live, &shutdown, move |kafka, live, shutdown| {
            search::run(kafka, live, &searcher, &search, shutdown)
        });
        let retention = thread(&kafka, &live, &shutdown, move |kafka, live, shutdown| {
            retention::run(kafka, live, &retention, shutdown)
        });
        let Stores { redis, postgres, .. } = stores;
        let (redis, postgres) =
            (watch(&live, 0, redis, &health, &shutdown), watch(&live, 1, postgres, &health, &shutdown));
        tokio::try_join!(reader, judge, search, retention, redis, postgres)?;
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
    kafka: &kafka::Config,
    stores: &Stores,
    metrics: Metrics,
    ready: Ready,
    shutdown: &CancellationToken,
) -> anyhow::Result<Option<Live>> {
    let watched = stores.watched();
    let redis_keeps = stores.redis.as_ref().and_then(Store::keeps);
    let names = kafka.names();
    let prepared = async {
        kafka.ensure_topics(&[Topic::Audit], shutdown).await?;
        let installation = kafka.installation(shutdown).await?.to_string();
        let mut topics = names.states();
        topics.extend([names.sales(), names.rejected()]);
        topics.extend(watched.returned.then(|| names.receipts()));
        loop {
            let (config, topics, kafka) = (kafka.clone(), topics.clone(), kafka.clone());
            match tokio::task::spawn_blocking(move || missing(&config, &topics)).await? {
                Ok(None) => {
                    let returned = watched.returned;
                    let sources = tokio::task::spawn_blocking(move || sources(&kafka, returned)).await?;
                    match sources {
                        Ok(sources) => return Ok((installation, sources)),
                        Err(err) => ready.missing(format!("{err:#}")),
                    }
                }
                Ok(Some(topic)) => ready.missing(format!("waiting for topic {topic}")),
                Err(err) => ready.missing(format!("{err:#}")),
            }
            tokio::time::sleep(REST).await;
        }
    };
    let prepared: anyhow::Result<(String, Vec<Source>)> = tokio::select! {
        biased;
        () = shutdown.cancelled() => return Ok(None),
        prepared = prepared => prepared,
    };
    let (installation, sources) = prepared.context("waiting for kafka")?;
    let audit = loop {
        let (config, followed) = (kafka.clone(), sources.clone());
        let restored = tokio::task::spawn_blocking(move || {
            let fresh = || {
                let mut audit = Audit::new(watched, Chains::default().generate());
                audit.follow(followed.clone());
                audit
            };
            checkpoint::restore(&config, fresh)
        });
        match restored.await? {
            Ok((audit, resumed)) => {
                info!(resumed, "restored the account");
                break audit;
            }
            Err(err) => ready.missing(format!("{err:#}")),
        }
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return Ok(None),
            () = tokio::time::sleep(REST) => {}
        }
    };
    Ok(Some(Live {
        names,
        installation,
        sources,
        audit: Mutex::new(audit),
        blocks_read: AtomicI64::new(0),
        retained: Mutex::new(Retained::new(i64::MIN, i64::MIN)),
        redis_keeps,
        pruned_before_us: AtomicI64::new(if watched.stores[1] { i64::MIN } else { i64::MAX }),
        started: Started { flag: AtomicBool::new(false), ready },
        progress: Mutex::default(),
        metrics,
    }))
}

/// The first of `topics` that isn't there.
fn missing(kafka: &kafka::Config, topics: &[String]) -> anyhow::Result<Option<String>> {
    let logs = Logs::new(kafka, "fan-out", ASK_LIMIT)?;
    for topic in topics {
        if logs.partitions(topic)?.is_empty() {
            return Ok(Some(topic.clone()));
        }
    }
    Ok(None)
}

/// All logs that are to be read.
fn sources(kafka: &kafka::Config, returned: bool) -> anyhow::Result<Vec<Source>> {
    let receipts =
        if returned { Logs::new(kafka, "spout", ASK_LIMIT)?.partitions(&kafka.names().receipts())?.len() } else { 0 };
    Ok(Source::all(u16::try_from(receipts).context("counting the partitions of receipts")?))
}

/// Runs blocking work beside the async frame.
async fn thread(
    kafka: &kafka::Config,
    live: &Arc<Live>,
    shutdown: &CancellationToken,
    work: impl FnOnce(&kafka::Config, &Live, &CancellationToken) -> anyhow::Result<()> + Send + 'static,
) -> anyhow::Result<()> {
    let (kafka, live, shutdown) = (kafka.clone(), Arc::clone(live), shutdown.clone());
    tokio::task::spawn_blocking(move || work(&kafka, &live, &shutdown)).await?
}

/// Watches a store, if there is one.
async fn watch(
    live: &Live,
    number: usize,
    store: Option<Store>,
    health: &Health,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    let Some(store) = store else { return Ok(()) };
    let beat = health.loop_(STORES[number].name(), STUCK);
    watch::run(live, number, store, &beat, shutdown).await
}

impl Live {
    fn audit(&self) -> MutexGuard<'_, Audit> {
        self.audit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The partitions of all sources, in their order.
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
        account.position.waiting_for.clone_from(&progress.waiting_for);
        account.position.round_age_ms = age(progress.round_ended);
        account.position.checkpoint_age_ms = age(progress.checkpoint_made);
        account
    }

    /// Puts the account into the metrics.
    fn show(&self) {
        self.metrics.show(self.account());
    }
}

impl Started {
    fn set(&self, started: bool) {
        self.flag.store(started, Ordering::Release);
        self.ready.set(started);
    }

    fn get(&self) -> bool {
        self.flag.load(Ordering::Acquire)
    }
}
