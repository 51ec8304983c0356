//! What the loader counts; the same figures go to Prometheus and into its report.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use service::{Figures, Latency};

use crate::blame::Lateness;

/// All counts since the loader started.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// Sales that the schedule wanted sent by now.
    pub due: Counter,
    /// Sales handed to the client.
    pub sent: Counter,
    /// Sales that Kafka acknowledged.
    pub accepted: Counter,
    /// Sales that Kafka refused for good, or of which nobody can say whether they arrived.
    pub unknown: Counter,
    /// Times that the client refused a sale, for another reason than a full queue. It was not sent, and is tried again.
    pub refused: Counter,
    /// Sales handed over more than 5 ms after they were due.
    pub late: Counter,
    /// Those of them that would not have been late if Kafka had taken them.
    pub late_blocked: Counter,
    /// Times that the client's queue was full.
    pub queue_full: Counter,
    /// Microseconds in which Kafka took nothing more although sales were due.
    pub blocked_us: Counter,
    /// Blocks reserved.
    pub blocks_reserved: Counter,
    /// Blocks closed.
    pub blocks_closed: Counter,
    /// Steps of the wall clock.
    pub clock_steps: Counter,
    /// Sales per second as configured.
    pub rate: Gauge<f64, AtomicU64>,
    /// Sales handed over and not answered.
    pub in_flight: Gauge,
    /// Sales from the first on that are answered without a gap.
    pub acknowledged: Gauge,
    /// From due to acknowledged.
    pub accepted_latency: Latency,
    /// From due to handed over.
    pub schedule_lag: Latency,
    /// The part of that in which Kafka took nothing, or that such a time left to catch up with; only where there is one.
    pub blocked: Latency,
}

impl Metrics {
    /// Makes the metrics and lists them in `registry`.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let Self { due, sent, accepted, unknown, refused, late, late_blocked, queue_full, .. } = &metrics;
        registry.register("due", "Sales that were due by the schedule", due.clone());
        registry.register("sent", "Sales handed to the client", sent.clone());
        registry.register("accepted", "Sales that Kafka acknowledged", accepted.clone());
        registry.register("unknown", "Sales refused, or without a known outcome", unknown.clone());
        registry.register("refused", "Times that the client refused a sale, to be tried again", refused.clone());
        registry.register("late", "Sales handed over more than 5 ms after they were due", late.clone());
        registry.register("late_blocked", "Late sales that Kafka is to blame for", late_blocked.clone());
        registry.register("queue_full", "Times that the client's queue was full", queue_full.clone());
        let Self { blocked_us, blocks_reserved, blocks_closed, clock_steps, .. } = &metrics;
        registry.register("blocked_us", "Microseconds in which Kafka took nothing more", blocked_us.clone());
        registry.register("blocks_reserved", "Blocks reserved", blocks_reserved.clone());
        registry.register("blocks_closed", "Blocks closed", blocks_closed.clone());
        registry.register("clock_steps", "Steps of the wall clock", clock_steps.clone());
        let Self { rate, in_flight, acknowledged, accepted_latency, schedule_lag, blocked, .. } = &metrics;
        registry.register("rate", "Sales per second as configured", rate.clone());
        registry.register("in_flight", "Sales handed over and not answered", in_flight.clone());
        registry.register("acknowledged", "Sales answered from the first on without a gap", acknowledged.clone());
        registry.register("accepted_seconds", "From due to acknowledged", accepted_latency.clone());
        registry.register("schedule_lag_seconds", "From due to handed over", schedule_lag.clone());
        registry.register(
            "blocked_seconds",
            "The part of the schedule lag that Kafka is to blame for",
            blocked.clone(),
        );
        metrics
    }

    /// A sale was handed over.
    pub fn handed(&self, lateness: Lateness) {
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

    /// The same for the report.
    pub fn figures(&self) -> Figures {
        Figures::default()
            .counter("due", self.due.get())
            .counter("sent", self.sent.get())
            .counter("accepted", self.accepted.get())
            .counter("unknown", self.unknown.get())
            .counter("refused", self.refused.get())
            .counter("late", self.late.get())
            .counter("late_blocked", self.late_blocked.get())
            .counter("queue_full", self.queue_full.get())
            .counter("blocked_us", self.blocked_us.get())
            .counter("blocks_reserved", self.blocks_reserved.get())
            .counter("blocks_closed", self.blocks_closed.get())
            .counter("clock_steps", self.clock_steps.get())
            .gauge("rate", self.rate.get())
            .gauge("in_flight", self.in_flight.get() as f64)
            .gauge("acknowledged", self.acknowledged.get() as f64)
            .latency("accepted", &self.accepted_latency)
            .latency("schedule_lag", &self.schedule_lag)
            .latency("blocked", &self.blocked)
    }
}

/// Records a duration.
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
        for name in metrics.figures().counters.keys() {
            assert!(text.contains(&format!("kapture_loader_{name}_total 0\n")), "{name}: {text}");
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
