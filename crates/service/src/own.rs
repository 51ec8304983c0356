//! The metrics that every program has, under the same names: what it uses of its limits, and its version.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::Resources;
use crate::resources::{Limit, Reader};

/// Lists them.
pub(crate) fn registry(program: &'static str, resources: Arc<Mutex<Reader>>) -> Registry {
    let mut registry = Registry::with_prefix("kapture");
    let build = Info::new([("program", program), ("version", env!("CARGO_PKG_VERSION"))]);
    registry.register("build", "Program and version", build);
    registry.register_collector(Box::new(Own(resources)));
    registry
}

/// Reads the resources at each scrape.
#[derive(Debug)]
struct Own(Arc<Mutex<Reader>>);

impl Collector for Own {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let own = self.0.lock().unwrap_or_else(PoisonError::into_inner).read();
        encode_resources(&own, &mut encoder)
    }
}

/// Writes what a container uses as metrics: CPU and its throttling, memory, and the limits that it has. What is unknown
/// has no series.
pub fn encode_resources(resources: &Resources, encoder: &mut DescriptorEncoder) -> fmt::Result {
    let mut put = |name: &str, help: &str, metric: &dyn EncodeMetric| {
        metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
    };
    let seconds = |us: u64| ConstCounter::new(us as f64 / 1e6);
    if let Some(used) = resources.cpu_usage_us {
        put("cpu_usage_seconds", "CPU time used.", &seconds(used))?;
    }
    if let Some(throttled) = resources.cpu_throttled_us {
        put("cpu_throttled_seconds", "Time kept waiting by the CPU limit.", &seconds(throttled))?;
    }
    if let Some(bytes) = resources.memory_bytes {
        put("memory_working_set_bytes", "Memory in use.", &gauge(bytes as f64))?;
    }
    if let Some(limit) = resources.cpu_limit_millicores.and_then(Limit::value) {
        put("cpu_limit_cores", "CPU limit.", &gauge(limit as f64 / 1e3))?;
    }
    if let Some(limit) = resources.memory_limit_bytes.and_then(Limit::value) {
        put("memory_limit_bytes", "Memory limit.", &gauge(limit as f64))?;
    }
    Ok(())
}

fn gauge(value: f64) -> ConstGauge<f64> {
    ConstGauge::new(value)
}
