//! What the program counts, for Prometheus and for `/report`.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kafka::transactions::Events;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use service::{Figures, Latency, Time};

use crate::Role;

/// All counts of all roles; those of other roles stay at 0 and are not shown.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Sales in the topic of their state, committed.
    pub routed: Counter,
    /// From the due time to that commit.
    pub routed_latency: Latency,
    /// Records that are not sales, in `sales.rejected`.
    pub rejected: Counter,
    /// What became of Kafka's transactions.
    pub transactions: Arc<Events>,
    /// What a sink counts.
    pub sink: SinkMetrics,
    /// What the spout counts.
    pub spout: SpoutMetrics,
    /// Where the time of the role's threads goes.
    pub time: Time,
}

/// What a sink counts.
#[derive(Clone, Debug, Default)]
pub struct SinkMetrics {
    /// Sales that the store has confirmed, each once: what came again is in `conflicts`.
    pub sales: Counter,
    /// From the due time to that confirmation.
    pub latency: Latency,
    /// Batches that the store has confirmed.
    pub batches: Counter,
    /// Sales that the store had already, from another offset.
    pub conflicts: Counter,
    /// Partitions found to be elsewhere in the store than the sink left them: normal after a rebalance.
    pub moved: Counter,
    /// Records in a state's topic that are not sales, left out.
    pub malformed: Counter,
    /// Offsets that Kafka no longer had when the store asked for them.
    pub gap: Counter,
    /// Assignments of partitions.
    pub rebalances: Counter,
    /// Sales that were read and that the store has not confirmed: two batches at most, however long it is away.
    pub in_hand: Gauge,
    /// Tries of the store that failed.
    pub store_errors: Counter,
    /// Errors that Kafka's client reported and recovers from.
    pub kafka_errors: Counter,
}

/// What the spout counts.
#[derive(Clone, Debug, Default)]
pub struct SpoutMetrics {
    /// Sales on `receipts`, committed.
    pub sales: Counter,
    /// From the due time to that commit.
    pub latency: Latency,
    /// Rows that are not sales, left out.
    pub malformed: Counter,
    /// Tries of Postgres that failed.
    pub store_errors: Counter,
    /// Errors that Kafka's client reported and recovers from.
    pub kafka_errors: Counter,
}

impl Metrics {
    /// Lists the role's metrics in `registry`.
    pub fn register(role: Role, registry: &mut Registry) -> Self {
        let metrics = Self::default();
        match role {
            Role::FanOut => {
                registry.register(
                    "routed_sales",
                    "Sales in the topic of their state, committed",
                    metrics.routed.clone(),
                );
                registry.register(
                    "routed_latency_seconds",
                    "From a sale's due time to the commit that makes it visible in its state's topic",
                    metrics.routed_latency.clone(),
                );
                registry.register(
                    "rejected_records",
                    "Records that are not valid sales, put in the topic of rejected ones",
                    metrics.rejected.clone(),
                );
            }
            Role::Redis | Role::Postgres => metrics.sink.register(role, registry),
            Role::Spout => metrics.spout.register(registry),
        }
        if matches!(role, Role::FanOut | Role::Spout) {
            registry.register_collector(Box::new(Transactions(role, Arc::clone(&metrics.transactions))));
        }
        metrics
    }

    /// The role's figures for `/report`.
    pub fn figures(&self, role: Role) -> Figures {
        let with_transactions = |figures: Figures| {
            transactions(role, &self.transactions)
                .into_iter()
                .fold(figures, |figures, (name, _, count)| figures.counter(name, count))
        };
        let figures = match role {
            Role::FanOut => with_transactions(Figures::default())
                .counter("routed", self.routed.get())
                .counter("rejected", self.rejected.get())
                .latency("routed", &self.routed_latency),
            Role::Redis | Role::Postgres => self.sink.figures(role),
            Role::Spout => with_transactions(self.spout.figures()),
        };
        figures.time(&self.time)
    }
}

impl SpoutMetrics {
    fn register(&self, registry: &mut Registry) {
        registry.register("returned_sales", "Sales on the topic of receipts, committed", self.sales.clone());
        registry.register(
            "returned_latency_seconds",
            "From a sale's due time to the commit that makes its receipt visible",
            self.latency.clone(),
        );
        for (name, help, counter) in self.counters() {
            registry.register(name, help, counter.clone());
        }
    }

    fn figures(&self) -> Figures {
        let figures = Figures::default().counter("returned", self.sales.get()).latency("returned", &self.latency);
        self.counters().into_iter().fold(figures, |figures, (name, _, counter)| figures.counter(name, counter.get()))
    }

    fn counters(&self) -> [(&'static str, &'static str, &Counter); 3] {
        [
            ("malformed", "Rows that are not sales, left out", &self.malformed),
            ("store_errors", "Tries of Postgres that failed", &self.store_errors),
            ("kafka_errors", "Errors that Kafka's client reported and recovers from", &self.kafka_errors),
        ]
    }
}

impl SinkMetrics {
    fn register(&self, role: Role, registry: &mut Registry) {
        let stage = role.stage().name();
        registry.register(format!("{stage}_sales"), "Sales that the store has confirmed", self.sales.clone());
        registry.register(
            format!("{stage}_latency_seconds"),
            "From a sale's due time to the store's confirmation",
            self.latency.clone(),
        );
        registry.register("in_hand_sales", "Sales read that the store has not confirmed", self.in_hand.clone());
        for (name, help, counter) in self.counters() {
            registry.register(name, help, counter.clone());
        }
    }

    fn figures(&self, role: Role) -> Figures {
        let figures = Figures::default()
            .counter(role.stage().name(), self.sales.get())
            .latency(role.stage().name(), &self.latency)
            .gauge("in_hand", self.in_hand.get() as f64);
        self.counters().into_iter().fold(figures, |figures, (name, _, counter)| figures.counter(name, counter.get()))
    }

    fn counters(&self) -> [(&'static str, &'static str, &Counter); 8] {
        [
            ("batches", "Batches that the store has confirmed", &self.batches),
            ("conflicts", "Sales that the store had already, from another offset", &self.conflicts),
            (
                "moved",
                "Partitions that the store has at another position than the sink, each time this was found",
                &self.moved,
            ),
            ("malformed", "Records in a state's topic that are not sales, left out", &self.malformed),
            ("gap_offsets", "Offsets that Kafka no longer had when the store wanted them", &self.gap),
            ("rebalances", "Assignments of partitions", &self.rebalances),
            ("store_errors", "Tries of the store that failed", &self.store_errors),
            ("kafka_errors", "Errors that Kafka's client reported and recovers from", &self.kafka_errors),
        ]
    }
}

fn transactions(role: Role, events: &Events) -> Vec<(&'static str, &'static str, u64)> {
    let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
    let mut counts = vec![
        ("commits", "Kafka transactions committed", read(&events.commits)),
        ("aborted", "Kafka transactions aborted", read(&events.aborts)),
        ("rebuilds", "Producers replaced after an error", read(&events.rebuilds)),
        ("rebalances", "Assignments of partitions", read(&events.rebalances)),
    ];
    // The spout's input is not in Kafka.
    if role == Role::FanOut {
        counts.push(("gap_offsets", "Offsets that Kafka deleted before they were read", read(&events.gap_offsets)));
    }
    counts
}

/// Shows counts that the exactly-once loop keeps itself.
#[derive(Debug)]
struct Transactions(Role, Arc<Events>);

impl Collector for Transactions {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        for (name, help, count) in transactions(self.0, &self.1) {
            let counter = ConstCounter::new(count);
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(role: Role) -> String {
        let mut registry = Registry::with_prefix("kapture_etl");
        let metrics = Metrics::register(role, &mut registry);
        metrics.sink.sales.inc_by(3);
        metrics.transactions.aborts.fetch_add(2, Ordering::Relaxed);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text
    }

    #[test]
    fn each_role_shows_its_own_stage() {
        let (fan_out, redis, postgres) = (text(Role::FanOut), text(Role::Redis), text(Role::Postgres));
        let spout = text(Role::Spout);
        assert!(spout.contains("\nkapture_etl_aborted_total 2\n"), "{spout}");
        assert!(spout.contains("kapture_etl_returned_sales_total 0\n") && !spout.contains("stored"), "{spout}");
        assert!(fan_out.contains("\nkapture_etl_aborted_total 2\n"), "{fan_out}");
        assert!(fan_out.contains("\nkapture_etl_gap_offsets_total 0\n") && !spout.contains("gap"), "{fan_out}");
        assert!(fan_out.contains("kapture_etl_routed_sales_total 0\n") && !fan_out.contains("stored"), "{fan_out}");
        assert!(redis.contains("kapture_etl_cached_sales_total 3\n") && !redis.contains("routed"), "{redis}");
        assert!(postgres.contains("kapture_etl_stored_latency_seconds_count 0\n"), "{postgres}");
    }

    #[test]
    fn a_report_names_the_stage() {
        let metrics = Metrics::default();
        metrics.sink.sales.inc_by(3);
        let figures = metrics.figures(Role::Redis);
        assert_eq!(figures.counters["cached"], 3);
        assert_eq!(figures.counters["store_errors"], 0);
        assert!(figures.latencies.contains_key("cached"));
        let fan_out = metrics.figures(Role::FanOut).counters;
        assert!(fan_out.contains_key("commits") && fan_out["gap_offsets"] == 0);
    }
}
