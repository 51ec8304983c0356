//! What was last seen of the neighbour, for the report and for Prometheus.

use std::fmt;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::Registry;
use service::{Neighbour, encode_resources};

/// A measurement older than this says nothing of now.
const FRESH: Duration = Duration::from_secs(10);

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

impl Seen {
    /// Adds the neighbour's figures, and the probe's own, to a registry with the prefix `kapture_probe`.
    pub(crate) fn register(&self, registry: &mut Registry, is_broker: bool) -> Metrics {
        let metrics = Metrics::default();
        if is_broker {
            let help = "1 if the broker is alive and in sync in all that it hosts";
            registry.register("in_sync", help, metrics.in_sync.clone());
        }
        registry.register_collector(Box::new(self.clone()));
        metrics
    }

    /// Takes a measurement.
    pub(crate) fn measured(&self, neighbour: Neighbour) {
        self.lock().neighbour = Some((neighbour, Instant::now()));
    }

    /// The last measurement, if it is fresh: what is old is not shown as if it were of now.
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
            ("disk_size_bytes", "Size of the disk that the data lie on.", disk.size_bytes),
            ("disk_free_bytes", "What is left of it.", disk.free_bytes),
        ] {
            let gauge = ConstGauge::new(bytes);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}
