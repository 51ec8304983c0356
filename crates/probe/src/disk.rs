//! Writing to the neighbour's disk at intervals, and what is reported of it.

use std::sync::Arc;
use std::time::Duration;

use service::reported::probe::FSYNC;
use service::{Beat, Health, Latency};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::fsync::Fsync;
use crate::reasons::Reasons;
use crate::watch::watch;
use crate::{TURN_LIMIT, neighbour};

/// The loop that writes.
pub(crate) struct Disk {
    config: Config,
    fsync: Arc<Fsync>,
    latency: Latency,
    reasons: Reasons,
    beat: Beat,
}

impl Disk {
    pub(crate) fn new(config: &Config, health: &Health, reasons: &Reasons) -> Self {
        let directory = config.fsync_dir.clone().unwrap_or_default();
        Self {
            config: config.clone(),
            fsync: Arc::new(Fsync::new(directory)),
            latency: Latency::default(),
            reasons: reasons.clone(),
            beat: health.loop_(FSYNC, config.fsync_interval.get() + TURN_LIMIT),
        }
    }

    pub(crate) fn latency(&self) -> (String, Latency) {
        (FSYNC.to_owned(), self.latency.clone())
    }

    /// Writes until `shutdown`, and removes what was written.
    pub(crate) async fn watch(self, shutdown: &CancellationToken) -> anyhow::Result<()> {
        let Self { config, fsync, latency, reasons, beat } = self;
        let interval = config.fsync_interval.get();
        let look = {
            let fsync = Arc::clone(&fsync);
            move || fsync.write(&neighbour::root_of(&config)?)
        };
        let show = |written: Option<anyhow::Result<Option<Duration>>>| match written {
            Some(Ok(Some(took))) => {
                latency.record_duration(took);
                reasons.put(FSYNC, None);
            }
            Some(Ok(None)) => {}
            Some(Err(err)) => reasons.put(FSYNC, Some(format!("{err:#}"))),
            None => reasons.put(FSYNC, Some("a write hangs".to_owned())),
        };
        let watched = watch(interval, look, show, beat, shutdown).await;
        fsync.stop();
        watched
    }
}
