//! The life of a process: its log, its clock, its end.

use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::info;
use tracing_subscriber::EnvFilter;

/// How a process ends whose stop was cut short: as a shell reports one that a SIGTERM has ended.
const CUT_SHORT: i32 = 143;

/// Starts the log: plain text on standard error, as much as `RUST_LOG` asks for, `info` if it asks nothing.
///
/// A second call changes nothing.
pub fn init_tracing() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    // An error only means that a subscriber is there already, as in tests.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(std::io::stderr).try_init();
    // The first report may be long after the start; the incarnation is that of the start.
    incarnation();
}

/// Returns a token that is cancelled at SIGTERM (Kubernetes) or SIGINT (a terminal). A second signal ends the process
/// at once: a stop that takes long can be cut short.
///
/// Must be called inside a tokio runtime.
pub fn shutdown_on_signal() -> anyhow::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
    let token = CancellationToken::new();
    let cancelled = token.clone();
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            }
        };
        let signal = next().await;
        info!("{signal} received, stopping");
        cancelled.cancel();
        let signal = next().await;
        info!("{signal} received while stopping, ending at once");
        std::process::exit(CUT_SHORT);
    });
    Ok(token)
}

/// Microseconds since 1970 by this machine's clock.
pub fn unix_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Tells this start of the program from any other: the microsecond of 1970 at which it was first asked.
///
/// It fits in 53 bits, so that a browser reads it exactly.
pub fn incarnation() -> u64 {
    static INCARNATION: OnceLock<u64> = OnceLock::new();
    *INCARNATION.get_or_init(|| unix_us().unsigned_abs())
}
