//! What the loader counts; the same figures go to Prometheus and into its report.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use service::{Figures, Latency};

use crate::blame::Lateness;

/// All counts since the loader started. The tables below name and describe them.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    pub(crate) due: Counter,
    pub(crate) sent: Counter,
    pub(crate) accepted: Counter,
    pub(crate) unknown: Counter,
    pub(crate) refused: Counter,
    pub(crate) late: Counter,
    pub(crate) late_blocked: Counter,
    pub(crate) queue_full: Counter,
    pub(crate) blocked_us: Counter,
    pub(crate) blocks_reserved: Counter,
    pub(crate) blocks_closed: Counter,
    pub(crate) clock_steps: Counter,
    pub(crate) rate: Gauge<f64, AtomicU64>,
    pub(crate) in_flight: Gauge,
    pub(crate) acknowledged: Gauge,
    pub(crate) accepted_latency: Latency,
    pub(crate) schedule_lag: Latency,
    /// Recorded only for sales that have such a part.
    pub(crate) blocked: Latency,
}

/// Name and help of the one gauge that is not a whole number.
const RATE: (&str, &str) = ("rate", "Sales per second as configured");

impl Metrics {
    fn counters(&self) -> [(&'static str, &'static str, &Counter); 12] {
        [
            ("due", "Sales that were due by the schedule", &self.due),
            ("sent", "Sales handed to Kafka's client", &self.sent),
            ("accepted", "Sales that Kafka acknowledged", &self.accepted),
            ("unknown", "Sales refused by Kafka, or without a known outcome", &self.unknown),
            (
                "refused",
                "Times that the client refused a sale for another reason than a full queue, to be tried again",
                &self.refused,
            ),
            ("late", "Sales handed over more than 5 ms after they were due", &self.late),
            ("late_blocked", "Late sales that would not have been late if Kafka had taken them", &self.late_blocked),
            ("queue_full", "Times that the client's queue was full", &self.queue_full),
            ("blocked_us", "Microseconds in which Kafka took nothing although sales were due", &self.blocked_us),
            ("blocks_reserved", "Blocks reserved", &self.blocks_reserved),
            ("blocks_closed", "Blocks closed", &self.blocks_closed),
            ("clock_steps", "Steps of the wall clock", &self.clock_steps),
        ]
    }

    fn gauges(&self) -> [(&'static str, &'static str, &Gauge); 2] {
        [
            ("in_flight", "Sales handed over and not answered", &self.in_flight),
            ("acknowledged", "Sales answered from the first one on without a gap", &self.acknowledged),
        ]
    }

    /// By their names in the report; Prometheus has the unit in the name as well.
    fn latencies(&self) -> [(&'static str, &'static str, &Latency); 3] {
        [
            ("accepted", "From due to acknowledged", &self.accepted_latency),
            ("schedule_lag", "From due to handed over", &self.schedule_lag),
            ("blocked", "The part of the schedule lag that Kafka is to blame for", &self.blocked),
        ]
    }

    /// Makes the metrics and lists them in `registry`.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        for (name, help, counter) in metrics.counters() {
            registry.register(name, help, counter.clone());
        }
        registry.register(RATE.0, RATE.1, metrics.rate.clone());
        for (name, help, gauge) in metrics.gauges() {
            registry.register(name, help, gauge.clone());
        }
        for (name, help, latency) in metrics.latencies() {
            registry.register(format!("{name}_seconds"), help, latency.clone());
        }
        metrics
    }

    /// Counts a sale that was handed over.
    pub(crate) fn handed(&self, lateness: Lateness) {
        self.sent.inc();
        record(&self.schedule_lag, lateness.total_us);
        if lateness.blocked_us > 0 {
            record(&self.blocked, lateness.blocked_us);
        }
        if lateness.is_late() {
            self.late.inc();
            self.late_blocked.inc_by(u64::from(!lateness.is_own_fault()));
        }
    }

    /// All of them for the report.
    pub(crate) fn figures(&self) -> Figures {
        let figures = Figures::default().gauge(RATE.0, self.rate.get());
        let figures =
            self.counters().into_iter().fold(figures, |all, (name, _, counter)| all.counter(name, counter.get()));
        let figures =
            self.gauges().into_iter().fold(figures, |all, (name, _, gauge)| all.gauge(name, gauge.get() as f64));
        self.latencies().into_iter().fold(figures, |all, (name, _, latency)| all.latency(name, latency))
    }
}

fn record(latency: &Latency, duration_us: u64) {
    latency.record(0, i64::try_from(duration_us).unwrap_or(i64::MAX));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_series_begins_at_zero() {
        let mut registry = Registry::with_prefix("kapture_loader");
        let metrics = Metrics::register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        let figures = metrics.figures();
        let counters = figures.counters.keys().map(|name| format!("{name}_total 0\n"));
        let gauges = figures.gauges.keys().map(|name| format!("{name} 0"));
        let latencies = figures.latencies.keys().map(|name| format!("{name}_seconds_count 0\n"));
        for series in counters.chain(gauges).chain(latencies) {
            assert!(text.contains(&format!("\nkapture_loader_{series}")), "{series}: {text}");
        }
    }

    #[test]
    fn lateness_is_counted_by_its_cause() {
        let metrics = Metrics::default();
        metrics.handed(Lateness { total_us: 100, blocked_us: 0 });
        metrics.handed(Lateness { total_us: 9_000, blocked_us: 0 });
        metrics.handed(Lateness { total_us: 9_000, blocked_us: 8_000 });
        let figures = metrics.figures();
        assert_eq!(["sent", "late", "late_blocked"].map(|name| figures.counters[name]), [3, 2, 1]);
        assert_eq!(figures.latencies["schedule_lag"].snapshot().len(), 3);
        assert_eq!(figures.latencies["blocked"].snapshot().len(), 1);
    }
}
