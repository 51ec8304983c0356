//! What the shop counts; the same figures go to Prometheus and into its report.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use service::{Figures, Latency};

/// All counts since the shop opened. The tables below name and describe them.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    pub(crate) taken: Counter,
    pub(crate) invalid: Counter,
    pub(crate) busy: Counter,
    pub(crate) unknown: Counter,
    pub(crate) reads: Counter,
    pub(crate) read_errors: Counter,
    pub(crate) lookups: Counter,
    pub(crate) take: Latency,
    pub(crate) read: Latency,
}

impl Metrics {
    fn counters(&self) -> [(&'static str, &'static str, &Counter); 7] {
        [
            ("taken", "Sales that were put in Kafka", &self.taken),
            ("invalid", "Requests that were not a sale", &self.invalid),
            ("busy", "Sales that were not taken, because too many were on their way or Kafka took none", &self.busy),
            ("unknown", "Sales of which it is not known whether Kafka has them", &self.unknown),
            ("reads", "Questions about what was sold", &self.reads),
            ("read_errors", "Those of them that Redis did not answer", &self.read_errors),
            ("lookups", "Requests to Redis for the answers", &self.lookups),
        ]
    }

    /// By their names in the report; Prometheus has the unit in the name as well.
    fn latencies(&self) -> [(&'static str, &'static str, &Latency); 2] {
        [
            ("take", "From a sale's request until Kafka's acknowledgement", &self.take),
            ("read", "From a question until Redis' answer", &self.read),
        ]
    }

    /// Makes the metrics and lists them in `registry`.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        for (name, help, counter) in metrics.counters() {
            registry.register(name, help, counter.clone());
        }
        for (name, help, latency) in metrics.latencies() {
            registry.register(format!("{name}_seconds"), help, latency.clone());
        }
        metrics
    }

    /// All of them for the report.
    pub fn figures(&self) -> Figures {
        let counters = self.counters().into_iter();
        let figures = counters.fold(Figures::default(), |all, (name, _, counter)| all.counter(name, counter.get()));
        self.latencies().into_iter().fold(figures, |all, (name, _, latency)| all.latency(name, latency))
    }
}
