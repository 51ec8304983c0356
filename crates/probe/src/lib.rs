//! Runs beside a server and reports what it used: CPU and throttling, memory and disk against their limits, how long a
//! small write to its disk takes and a packet to its peers; and whether a broker is alive and in sync.
//!
//! What can't be measured is unknown, with the reason, and never 0.
//!
//! Ready means that the broker is alive and in sync in all that it hosts, so that the next one is only restarted
//! when this one has caught up. Alive only means that the probe's own loops turn: restarting the probe mends no broker.

mod broker;
mod config;
mod disk;
mod fsync;
mod metrics;
mod neighbour;
mod peers;
mod reasons;
mod round_trip;
mod watch;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::anyhow;
use prometheus_client::registry::Registry;
use service::{Admin, Beat, Figures, Health, Ready};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::info;

pub use config::{Config, Pace, PeerList, Target};

use crate::broker::Broker;
use crate::disk::Disk;
use crate::metrics::{Metrics, Seen};
use crate::neighbour::Watched;
use crate::peers::Peers;
use crate::reasons::Reasons;
use crate::watch::watch;

/// A loop this late counts as stuck.
const TURN_LIMIT: Duration = Duration::from_mins(1);

/// Watches and serves until `shutdown`. `kafka` is needed for a broker alone.
pub async fn run(
    config: Config,
    kafka: Option<kafka::Config>,
    service: service::Config,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let broker = kafka.as_ref().zip(config.broker_id);
    let broker = broker.map(|(kafka, id)| Broker::new(kafka, id)).transpose()?;
    let (health, seen, reasons) = (Health::default(), Seen::default(), Reasons::default());
    let mut registry = Registry::with_prefix("kapture_probe");
    let metrics = seen.register(&mut registry, broker.is_some());
    let disk = config.fsync_dir.as_ref().map(|_| Disk::new(&config, &health, &reasons));
    let peers = Peers::new(&config, &service.pod, &health, &reasons);
    let figures = {
        let (seen, metrics, reasons) = (seen.clone(), metrics.clone(), reasons.clone());
        let latencies: Vec<_> = peers.latencies().chain(disk.iter().map(Disk::latency)).collect();
        let is_broker = broker.is_some();
        move || {
            let own = if is_broker { metrics.figures() } else { Figures::default() };
            let mut figures = own.neighbour(seen.neighbour());
            for (name, latency) in &latencies {
                figures = figures.latency(name, latency);
            }
            reasons.add_to(figures)
        }
    };
    let turning = |name: &str| health.loop_(name, config.interval.get() + TURN_LIMIT);
    // From the beginning on, so that a broker is not taken to be ready before it was asked.
    let checked = broker.map(|broker| (broker, health.ready("kafka"), turning("check")));
    let measuring = measure(&config, seen, &reasons, turning("measure"), &shutdown);
    let checking = async {
        let Some((broker, ready, beat)) = checked else { return Ok(()) };
        check(broker, &config, &metrics, ready, beat, &shutdown).await
    };
    let admin = Admin::new(&service, "probe", registry, health.clone(), figures);
    tokio::try_join!(
        admin.serve_on(listener, shutdown.clone()),
        measuring,
        checking,
        async {
            let Some(disk) = disk else { return Ok(()) };
            disk.watch(&shutdown).await
        },
        peers.watch(&shutdown),
    )?;
    Ok(())
}

/// Measures the neighbour.
async fn measure(
    config: &Config,
    seen: Seen,
    reasons: &Reasons,
    beat: Beat,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    let watched = Arc::new(Mutex::new(Watched::new(config.clone())));
    let look = move || watched.lock().unwrap_or_else(PoisonError::into_inner).measure();
    let show = |measured: Option<anyhow::Result<_>>| {
        let outcome =
            measured.unwrap_or_else(|| Err(anyhow!("measuring hangs"))).map(|neighbour| seen.measured(neighbour));
        reasons.put("neighbour", outcome.err().map(|err| format!("{err:#}")));
    };
    watch(config.interval.get(), look, show, beat, shutdown).await
}

/// Asks Kafka whether the broker can be counted on.
async fn check(
    broker: Broker,
    config: &Config,
    metrics: &Metrics,
    ready: Ready,
    beat: Beat,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    let broker = Arc::new(broker);
    let mut reason = None;
    let judge = |checked: Option<Result<(), String>>| {
        let verdict = checked.unwrap_or_else(|| Err("kafka does not answer".to_owned()));
        metrics.in_sync.set(i32::from(verdict.is_ok()).unsigned_abs());
        match &verdict {
            Ok(()) => ready.set(true),
            Err(why) => ready.missing(why),
        }
        let why = verdict.err();
        if why.is_some() != reason.is_some() {
            info!(broker = config.broker_id, why, "readiness changed");
        }
        reason = why;
    };
    watch(config.interval.get(), move || broker.check(), judge, beat, shutdown).await
}
