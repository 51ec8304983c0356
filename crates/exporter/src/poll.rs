//! Fetching the reports: each instance on its own, so that one that hangs doesn't delay the others.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde::de::DeserializeOwned;
use service::state::BenchmarkRun;
use service::{Beat, Report, http, unix_us};
use tokio::net::lookup_host;
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use crate::config::{AUDITOR, BENCHMARK, Config, LOADER, STALE, Target};
use crate::ledger::Ledger;

/// How long an instance may take to answer. A busy node makes it late, which is not a fault.
const ANSWER_LIMIT: Duration = Duration::from_millis(900);
/// Reports in flight at once: each is decoded by this one program.
const IN_FLIGHT: usize = 64;
/// The loaders are asked this much later, unless all others have answered: what was found is then counted
/// before what was sent, and their difference isn't negative.
const HEAD_START: Duration = Duration::from_millis(200);

/// What polling shares with its readers.
#[derive(Clone, Debug)]
pub(crate) struct Reports {
    ledger: Arc<Mutex<Ledger>>,
    heard_us: Arc<Mutex<Option<i64>>>,
    run: Arc<Mutex<Option<(BenchmarkRun, Instant)>>>,
}

impl Reports {
    pub(crate) fn new(ledger: Ledger) -> Self {
        Self { ledger: Arc::new(Mutex::new(ledger)), heard_us: Arc::default(), run: Arc::default() }
    }

    /// The ledger, for a moment.
    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a report. An error if it can't be read; then nothing changes.
    fn received(&self, component: &str, address: SocketAddr, report: &Report) -> anyhow::Result<()> {
        loop {
            // The ledger is free while histograms are decoded. Again if the same pod was heard at another address meanwhile.
            let counted = self.ledger().counted(component, report);
            let gained = counted.until(report)?;
            if self.ledger().received(component, address, report, &gained, Instant::now()) {
                return Ok(());
            }
        }
    }

    /// When the last report came, in microseconds since 1970.
    pub(crate) fn heard_us(&self) -> Option<i64> {
        *self.heard_us.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a benchmark does; none while none answers.
    pub(crate) fn running(&self, now: Instant) -> Option<BenchmarkRun> {
        let run = self.run.lock().unwrap_or_else(PoisonError::into_inner);
        let (run, heard) = run.as_ref()?;
        (now.saturating_duration_since(*heard) <= STALE).then(|| run.clone())
    }

    fn runs(&self, run: Option<BenchmarkRun>) {
        *self.run.lock().unwrap_or_else(PoisonError::into_inner) = run.map(|run| (run, Instant::now()));
    }

    fn heard(&self, at_us: i64) {
        *self.heard_us.lock().unwrap_or_else(PoisonError::into_inner) = Some(at_us);
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
                // Normal for a component that is scaled to 0: its name has no address then.
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
                reports.ledger().end_round(Instant::now());
                beat.turned();
                polls.round().await?;
            }
        }
    }
}

/// An address of a component. Two components can have the same for a while, when pods come and go.
type Asked = (String, SocketAddr);

struct Polls {
    reports: Reports,
    permits: Arc<Semaphore>,
    tasks: JoinSet<Asked>,
    busy: HashSet<Asked>,
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

    fn start(&mut self, addresses: Vec<Asked>) {
        for asked in addresses {
            // One that still hangs from the last round isn't asked twice.
            if self.busy.insert(asked.clone()) {
                let (reports, permits) = (self.reports.clone(), Arc::clone(&self.permits));
                self.tasks.spawn(async move {
                    let _permit = permits.acquire().await;
                    poll(&reports, &asked.0, asked.1).await;
                    asked
                });
            }
        }
    }

    fn finished(&mut self, done: Result<Asked, JoinError>) -> anyhow::Result<()> {
        self.busy.remove(&done.context("polling")?);
        Ok(())
    }
}

async fn poll(reports: &Reports, component: &str, address: SocketAddr) {
    if let Err(err) = ask(reports, component, address).await
        && reports.ledger().failed(component, address, format!("{err:#}"))
    {
        info!(component, %address, "no report: {err:#}");
    }
}

async fn ask(reports: &Reports, component: &str, address: SocketAddr) -> anyhow::Result<()> {
    let asked_us = unix_us();
    let report: Report = fetch(address, "/report").await?;
    let (answered_us, at_us) = (unix_us(), report.at_us);
    let program = program(component);
    ensure!(report.program == program, "the address is one of {} now", report.program);
    reports.received(component, address, &report)?;
    reports.ledger().timed(component, address, at_us, asked_us, answered_us);
    reports.heard(answered_us);
    if component == BENCHMARK {
        // Its last report is of a run that is over.
        let run = if report.ended { Ok(None) } else { fetch(address, "/api/v1/run").await.map(Some) };
        match run {
            Ok(run) => reports.runs(run),
            Err(err) => debug!("no run: {err:#}"),
        }
    }
    if component == AUDITOR {
        // It has no account until it has found its checkpoint; the report is fine all the same.
        match fetch(address, "/api/v1/account").await {
            Ok(account) => reports.ledger().audited(account, Instant::now()),
            Err(err) => debug!("no account: {err:#}"),
        }
    }
    Ok(())
}

/// The program that reports for a component.
fn program(component: &str) -> &str {
    match component {
        "kafka" | "redis" | "postgres" => "probe",
        itself => itself,
    }
}

async fn fetch<T: DeserializeOwned>(address: SocketAddr, path: &str) -> anyhow::Result<T> {
    let body = http::get(&address.to_string(), path, ANSWER_LIMIT).await?;
    serde_json::from_slice(&body).with_context(|| format!("decoding {path}"))
}
