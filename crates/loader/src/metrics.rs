//! What the loader counts; the same figures go to Prometheus and into its report.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use service::reported::loader::{BLOCKED, BLOCKED_US, CEILING, DUE, LATE_THROTTLED, RATE, SCHEDULE_LAG, SENT, UNKNOWN};
use service::{Figures, Latency};

use crate::blame::{Cause, Lateness};

/// The loader's stage names a counter and a latency.
const ACCEPTED: &str = pipeline::Stage::Accepted.name();
const CPU_WAIT_US: &str = "cpu_wait_us";

/// All counts since the loader started. The tables below name and describe them.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    pub(crate) due: Counter,
    pub(crate) sent: Counter,
    pub(crate) accepted: Counter,
    pub(crate) unknown: Counter,
    pub(crate) refused: Counter,
    pub(crate) shop_busy: Counter,
    pub(crate) reads: Counter,
    pub(crate) read_errors: Counter,
    pub(crate) late: Counter,
    pub(crate) late_blocked: Counter,
    pub(crate) late_throttled: Counter,
    pub(crate) late_otherwise: Counter,
    pub(crate) not_offered: Counter,
    pub(crate) segments: Counter,
    pub(crate) made: Counter,
    pub(crate) cpu_wait_us: Counter,
    /// Whether the kernel tells how long the sending thread is kept from a CPU. If not, no sale is known to be late for that.
    tells_cpu_wait: Arc<AtomicBool>,
    pub(crate) queue_full: Counter,
    pub(crate) blocked_us: Counter,
    pub(crate) blocks_reserved: Counter,
    pub(crate) blocks_closed: Counter,
    pub(crate) clock_steps: Counter,
    pub(crate) rate: Gauge<f64, AtomicU64>,
    pub(crate) configured_rate: Gauge<f64, AtomicU64>,
    /// See [`crate::ceiling`] for how it is found, and its bias; 0 while it is unknown.
    pub(crate) ceiling: Gauge<f64, AtomicU64>,
    pub(crate) in_flight: Gauge,
    pub(crate) acknowledged: Gauge,
    pub(crate) accepted_latency: Latency,
    pub(crate) schedule_lag: Latency,
    /// Recorded only for sales that have such a part.
    pub(crate) blocked: Latency,
    pub(crate) read_latency: Latency,
}

impl Metrics {
    fn counters(&self) -> [(&'static str, &'static str, &Counter); 21] {
        [
            (DUE, "Sales that were due by the schedule", &self.due),
            (SENT, "Sales handed to Kafka's client, or to the shop's", &self.sent),
            (ACCEPTED, "Sales that Kafka acknowledged", &self.accepted),
            (UNKNOWN, "Sales refused by Kafka, or without a known outcome", &self.unknown),
            (
                "refused",
                "Times that the client refused a sale for another reason than a full queue, to be tried again",
                &self.refused,
            ),
            ("shop_busy", "Times that the shop was too busy to take a sale, to be tried again", &self.shop_busy),
            ("reads", "Questions to the shop by those whose sale it took", &self.reads),
            ("read_errors", "Those of them without an answer", &self.read_errors),
            ("late", "Sales handed over more than 5 ms after they were due", &self.late),
            ("late_blocked", "Late sales that would not have been late if Kafka had taken them", &self.late_blocked),
            (LATE_THROTTLED, "Other late sales, late at least by half for want of a CPU", &self.late_throttled),
            ("late_otherwise", "Late sales with another cause than these two", &self.late_otherwise),
            (
                "not_offered",
                "Sales that were due and not handed over when their rate or the load ended: they got no id",
                &self.not_offered,
            ),
            ("segments", "Changes of the rate while the load went on", &self.segments),
            ("made", "Sales generated and encoded", &self.made),
            (CPU_WAIT_US, "Microseconds in which the sending thread was kept from a CPU", &self.cpu_wait_us),
            ("queue_full", "Times that the client's queue was full", &self.queue_full),
            (BLOCKED_US, "Microseconds in which Kafka took nothing although sales were due", &self.blocked_us),
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

    fn rates(&self) -> [(&'static str, &'static str, &Gauge<f64, AtomicU64>); 3] {
        [
            (RATE, "Sales per second as planned at present", &self.rate),
            ("configured_rate", "Sales per second as configured", &self.configured_rate),
            (
                CEILING,
                "Sales per second that this loader could make and hand over, a low estimate; 0 if unknown",
                &self.ceiling,
            ),
        ]
    }

    /// By their names in the report; Prometheus has the unit in the name as well.
    fn latencies(&self) -> [(&'static str, &'static str, &Latency); 4] {
        [
            (ACCEPTED, "From due to acknowledged", &self.accepted_latency),
            (SCHEDULE_LAG, "From due to handed over", &self.schedule_lag),
            (BLOCKED, "The part of the schedule lag that Kafka is to blame for", &self.blocked),
            ("read", "From a question to the shop until its answer", &self.read_latency),
        ]
    }

    /// Makes the metrics and lists them in `registry`.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        for (name, help, counter) in metrics.counters() {
            registry.register(name, help, counter.clone());
        }
        for (name, help, rate) in metrics.rates() {
            registry.register(name, help, rate.clone());
        }
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
        if let Some(cause) = lateness.cause() {
            self.late.inc();
            match cause {
                Cause::Blocked => self.late_blocked.inc(),
                Cause::Throttled => self.late_throttled.inc(),
                Cause::Other => self.late_otherwise.inc(),
            };
        }
    }

    /// The sending thread was kept from a CPU for so long; none if the kernel doesn't tell.
    pub(crate) fn kept_waiting(&self, waited_us: Option<u64>) {
        if let Some(waited_us) = waited_us {
            self.tells_cpu_wait.store(true, Ordering::Relaxed);
            self.cpu_wait_us.inc_by(waited_us);
        }
    }

    /// All of them for the report, except those that are unknown.
    pub(crate) fn figures(&self) -> Figures {
        let tells_cpu_wait = self.tells_cpu_wait.load(Ordering::Relaxed);
        let is_known = |name: &str| tells_cpu_wait || !matches!(name, LATE_THROTTLED | CPU_WAIT_US);
        let counters = self.counters().into_iter().filter(|(name, ..)| is_known(name));
        let figures = counters.fold(Figures::default(), |all, (name, _, counter)| all.counter(name, counter.get()));
        let rates = self.rates().into_iter().filter(|(name, _, rate)| *name != CEILING || rate.get() > 0.0);
        let figures = rates.fold(figures, |all, (name, _, rate)| all.gauge(name, rate.get()));
        let figures =
            self.gauges().into_iter().fold(figures, |all, (name, _, gauge)| all.gauge(name, gauge.get() as f64));
        let figures = self.latencies().into_iter().fold(figures, |all, (name, _, latency)| all.latency(name, latency));
        if tells_cpu_wait {
            return figures;
        }
        figures.unknown(LATE_THROTTLED, "the kernel has not reported how long the sending thread waited for a CPU")
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
        let unknown = metrics.figures();
        assert!(!unknown.counters.contains_key("late_throttled") && unknown.unknown.contains_key("late_throttled"));
        metrics.kept_waiting(Some(7));
        for (total_us, blocked_us, throttled_us) in [
            (100, 0, 0),
            (9_000, 0, 0),
            (9_000, 8_000, 0),
            (20_000, 0, 10_000),
            (20_000, 0, 19_000),
            (20_000, 0, 5_000),
        ] {
            metrics.handed(Lateness { total_us, blocked_us, throttled_us });
        }
        let figures = metrics.figures();
        let late = ["sent", "late", "late_blocked", "late_throttled", "late_otherwise"];
        assert_eq!(late.map(|name| figures.counters[name]), [6, 5, 1, 2, 2]);
        assert_eq!(figures.latencies["schedule_lag"].snapshot().len(), 6);
        assert_eq!(figures.latencies["blocked"].snapshot().len(), 1);
    }
}
