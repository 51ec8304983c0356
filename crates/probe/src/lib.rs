//! Runs beside a broker and reports its CPU and throttling, its memory and disk against their limits, and whether it is
//! alive and in sync.
//!
//! Ready means that the broker is alive and in sync in all that it hosts, so that the next one is only restarted
//! when this one has caught up. Alive only means that the probe's own loops turn: restarting the probe mends no broker.

mod broker;
mod config;
mod metrics;
mod neighbour;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::registry::Registry;
use service::{Admin, Health};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::info;

pub use config::{Config, Target};

use crate::broker::Broker;
use crate::metrics::Seen;
use crate::watch::watch;

/// A loop this late counts as stuck.
const TURN_LIMIT: Duration = Duration::from_mins(1);

/// Watches and serves until `shutdown`.
pub async fn run(
    config: Config,
    kafka: kafka::Config,
    service: service::Config,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let health = Health::default();
    let ready = health.ready("kafka");
    let turning = |name: &str| health.loop_(name, config.interval.get() + TURN_LIMIT);
    let (measuring, checking) = (turning("measure"), turning("check"));

    let seen = Seen::default();
    let mut registry = Registry::with_prefix("kapture_probe");
    let metrics = seen.register(&mut registry);
    let figures = {
        let (seen, metrics) = (seen.clone(), metrics.clone());
        move || metrics.figures().neighbour(seen.neighbour())
    };
    let admin = Admin::new(&service, "probe", registry, health.clone(), figures);

    let broker = Arc::new(Broker::new(&kafka, config.broker_id)?);
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
    let measure = {
        let config = config.clone();
        move || neighbour::measure(&config)
    };
    tokio::try_join!(
        admin.serve_on(listener, shutdown.clone()),
        watch(config.interval.get(), measure, |measured| seen.measured(measured), measuring, &shutdown),
        watch(config.interval.get(), move || broker.check(), judge, checking, &shutdown),
    )?;
    Ok(())
}
