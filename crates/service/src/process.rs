//! What every process needs: a log, a clock, and a way to stop.

use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::info;
use tracing_subscriber::EnvFilter;

/// The exit code after a second signal: the one that a shell reports for a process ended by SIGTERM.
const CUT_SHORT: i32 = 143;

/// Starts the log: plain text on standard error, at the level in `RUST_LOG`, or `info`.
///
/// A second call changes nothing.
pub fn init_tracing() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    // An error only means that there is a subscriber already, as in tests.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(std::io::stderr).try_init();
    // The first report may be long after the start; the incarnation is that of the start.
    incarnation();
}

/// Returns a token that is cancelled at SIGTERM (Kubernetes) or SIGINT (a terminal). A second signal ends the process
/// at once, for a person who does not want to wait.
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

/// Identifies this start of the program: the time of the first call, in microseconds since 1970.
///
/// It fits in 53 bits, so that a browser reads it exactly.
pub fn incarnation() -> u64 {
    static INCARNATION: OnceLock<u64> = OnceLock::new();
    *INCARNATION.get_or_init(|| unix_us().unsigned_abs())
}
