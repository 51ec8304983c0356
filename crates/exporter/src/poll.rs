//! Fetching the reports: each instance on its own, so that one that hangs holds up nobody.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use service::{Beat, Report, http, unix_us};
use tokio::net::lookup_host;
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use crate::config::{Config, Target};
use crate::ledger::Ledger;
use crate::view::LOADER;

/// How long an instance may take to answer. It may be late because its node is busy, which is no fault.
const ANSWER_LIMIT: Duration = Duration::from_millis(900);
/// Reports in flight at once: each is decoded by this one program.
const IN_FLIGHT: usize = 64;
/// The loaders are asked this much later, unless all others have answered: what was found is then counted
/// before what was sent, and their difference isn't negative.
const HEAD_START: Duration = Duration::from_millis(200);

/// What polling shares with those who read.
#[derive(Clone, Debug)]
pub(crate) struct Reports {
    ledger: Arc<Mutex<Ledger>>,
    last_round_us: Arc<Mutex<Option<i64>>>,
}

impl Reports {
    pub(crate) fn new(ledger: Ledger) -> Self {
        Self { ledger: Arc::new(Mutex::new(ledger)), last_round_us: Arc::default() }
    }

    /// The ledger, for a moment.
    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the last round ended, in microseconds since 1970.
    pub(crate) fn last_round_us(&self) -> Option<i64> {
        *self.last_round_us.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn round_ended(&self) {
        self.ledger().end_round(Instant::now());
        *self.last_round_us.lock().unwrap_or_else(PoisonError::into_inner) = Some(unix_us());
    }
}

/// Looks up the addresses of each target, one look-up at a time, until `shutdown`.
///
/// A look-up has no time limit of its own: it can't be cancelled, and a second one would only pile up.
/// Meanwhile the addresses that are known are polled.
pub(crate) async fn resolve(config: &Config, reports: &Reports, shutdown: &CancellationToken) -> anyhow::Result<()> {
    let mut tasks = JoinSet::new();
    for target in config.targets.iter() {
        let target = target.clone();
        let (reports, every, shutdown) = (reports.clone(), config.poll_interval.get(), shutdown.clone());
        tasks.spawn(async move { shutdown.run_until_cancelled(resolve_target(&target, &reports, every)).await });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.context("looking up addresses")?;
    }
    Ok(())
}

async fn resolve_target(target: &Target, reports: &Reports, every: Duration) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        for name in &target.names {
            match lookup_host(name.as_str()).await {
                Ok(found) => {
                    let addresses: Vec<SocketAddr> = found.collect();
                    reports.ledger().resolved(&target.component, &addresses, Instant::now());
                }
                // Normal for a component that is scaled to 0: its name stands for nothing then.
                Err(err) => debug!(%err, %name, "looking up addresses"),
            }
        }
    }
}

/// Fetches every report at each tick until `shutdown`.
pub(crate) async fn run(
    config: &Config,
    reports: &Reports,
    beat: Beat,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    let mut ticks = interval(config.poll_interval.get());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut polls = Polls::new(reports);
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return Ok(()),
            Some(done) = polls.tasks.join_next() => polls.finished(done)?,
            _ = ticks.tick() => {
                reports.round_ended();
                beat.turned();
                polls.round().await?;
            }
        }
    }
}

struct Polls {
    reports: Reports,
    permits: Arc<Semaphore>,
    tasks: JoinSet<SocketAddr>,
    busy: HashSet<SocketAddr>,
}

impl Polls {
    fn new(reports: &Reports) -> Self {
        Self {
            reports: reports.clone(),
            permits: Arc::new(Semaphore::new(IN_FLIGHT)),
            tasks: JoinSet::new(),
            busy: HashSet::new(),
        }
    }

    async fn round(&mut self) -> anyhow::Result<()> {
        let addresses: Vec<_> = self.reports.ledger().addresses.keys().cloned().collect();
        let (loaders, others): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|(component, _)| component == LOADER);
        self.start(others);
        let deadline = tokio::time::Instant::now() + HEAD_START;
        while !self.tasks.is_empty() {
            tokio::select! {
                Some(done) = self.tasks.join_next() => self.finished(done)?,
                () = sleep_until(deadline) => break,
            }
        }
        self.start(loaders);
        Ok(())
    }

    fn start(&mut self, addresses: Vec<(String, SocketAddr)>) {
        for (component, address) in addresses {
            // One that still hangs from the last round isn't asked twice.
            if self.busy.insert(address) {
                let (reports, permits) = (self.reports.clone(), Arc::clone(&self.permits));
                self.tasks.spawn(async move {
                    let _permit = permits.acquire().await;
                    poll(&reports, &component, address).await;
                    address
                });
            }
        }
    }

    fn finished(&mut self, done: Result<SocketAddr, JoinError>) -> anyhow::Result<()> {
        self.busy.remove(&done.context("polling")?);
        Ok(())
    }
}

async fn poll(reports: &Reports, component: &str, address: SocketAddr) {
    let outcome = match fetch(address).await {
        Ok(report) => reports.ledger().received(component, address, report, Instant::now()),
        Err(err) => Err(err),
    };
    if let Err(err) = outcome
        && reports.ledger().failed(component, address, format!("{err:#}"))
    {
        info!(component, %address, "no report: {err:#}");
    }
}

async fn fetch(address: SocketAddr) -> anyhow::Result<Report> {
    let body = http::get(&address.to_string(), "/report", ANSWER_LIMIT).await?;
    serde_json::from_slice(&body).context("decoding the report")
}
