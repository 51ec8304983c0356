//! What was last seen of the neighbour, for the report and for Prometheus.

use std::fmt;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::Registry;
use service::{Figures, Neighbour, encode_resources};

/// An older measurement is not reported.
const FRESH: Duration = Duration::from_secs(10);

/// The probe's own gauge, in the report and for Prometheus.
const IN_SYNC: &str = "in_sync";

/// The last measurement. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen(Arc<Mutex<Last>>);

#[derive(Debug, Default)]
struct Last {
    neighbour: Option<(Neighbour, Instant)>,
}

/// What the probe itself counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    /// Registered only for a broker.
    pub(crate) in_sync: Gauge<u32, AtomicU32>,
}

impl Metrics {
    /// The same for the report.
    pub(crate) fn figures(&self) -> Figures {
        Figures::default().gauge(IN_SYNC, f64::from(self.in_sync.get()))
    }
}

impl Seen {
    /// Adds the neighbour's figures, and the probe's own, to a registry with the prefix `kapture_probe`.
    pub(crate) fn register(&self, registry: &mut Registry, is_broker: bool) -> Metrics {
        let metrics = Metrics::default();
        if is_broker {
            let help = "1 if the broker is alive and in sync in all that it hosts";
            registry.register(IN_SYNC, help, metrics.in_sync.clone());
        }
        registry.register_collector(Box::new(self.clone()));
        metrics
    }

    /// Takes a measurement.
    pub(crate) fn measured(&self, neighbour: Neighbour) {
        self.lock().neighbour = Some((neighbour, Instant::now()));
    }

    /// The last measurement, if it is fresh.
    pub(crate) fn neighbour(&self) -> Option<Neighbour> {
        let last = self.lock();
        last.neighbour.as_ref().filter(|(_, at)| at.elapsed() < FRESH).map(|(neighbour, _)| neighbour.clone())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Last> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collector for Seen {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let Some(neighbour) = self.neighbour() else { return Ok(()) };
        encode_resources(&neighbour.resources, &mut encoder)?;
        let Some(disk) = neighbour.disk else { return Ok(()) };
        for (name, help, bytes) in [
            ("disk_size_bytes", "Size of the disk that holds the data.", disk.size_bytes),
            ("disk_free_bytes", "Bytes free on it.", disk.free_bytes),
        ] {
            let gauge = ConstGauge::new(bytes);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}
