//! What the program counts; the same figures go to Prometheus and into its report.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kafka::transactions::Events;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use service::reported::etl::{ADOPTED, BATCHES, COMMITS, FENCED, GAP_OFFSETS, MALFORMED, REJECTED, STORE_ERRORS};
use service::{Figures, Latency, Time};

use crate::Role;

/// All counts of all roles; those of other roles stay at 0 and are not shown. The tables below name and describe them.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "the tables do it")]
pub struct Metrics {
    pub routed: Counter,
    pub routed_latency: Latency,
    pub rejected: Counter,
    pub transactions: Arc<Events>,
    pub sink: SinkMetrics,
    pub spout: SpoutMetrics,
    /// Where the time of the role's threads goes.
    pub time: Time,
}

/// What a sink counts.
#[derive(Clone, Debug, Default)]
pub struct SinkMetrics {
    pub sales: Counter,
    pub latency: Latency,
    pub batches: Counter,
    pub conflicts: Counter,
    pub moved: Counter,
    pub malformed: Counter,
    pub gap: Counter,
    pub rebalances: Counter,
    /// Two batches at most, however long the store is away.
    pub in_hand: Gauge,
    pub adopted: Counter,
    pub store_errors: Counter,
    pub kafka_errors: Counter,
}

/// What the spout counts.
#[derive(Clone, Debug, Default)]
pub struct SpoutMetrics {
    pub sales: Counter,
    pub latency: Latency,
    pub malformed: Counter,
    pub store_errors: Counter,
    pub kafka_errors: Counter,
}

/// A metric with its name and its description.
type Named<'a, M> = (&'static str, &'static str, &'a M);

impl Metrics {
    fn counters(&self, role: Role) -> Vec<Named<'_, Counter>> {
        let stage = role.stage().name();
        match role {
            Role::FanOut => vec![
                (stage, "Sales in the topic of their state, committed", &self.routed),
                (REJECTED, "Records that are not valid sales, put in the topic of rejected ones", &self.rejected),
            ],
            Role::Redis | Role::Postgres => self.sink.counters(stage).into(),
            Role::Spout => self.spout.counters(stage).into(),
        }
    }

    fn gauges(&self, role: Role) -> Vec<Named<'_, Gauge>> {
        match role {
            Role::FanOut | Role::Spout => Vec::new(),
            Role::Redis | Role::Postgres => {
                vec![("in_hand", "Sales read that the store has not confirmed", &self.sink.in_hand)]
            }
        }
    }

    /// By its name in the report; Prometheus has the unit in the name as well.
    fn latency(&self, role: Role) -> Named<'_, Latency> {
        let (help, latency) = match role {
            Role::FanOut => (
                "From a sale's due time to the commit that makes it visible in its state's topic",
                &self.routed_latency,
            ),
            Role::Redis | Role::Postgres => ("From a sale's due time to the store's confirmation", &self.sink.latency),
            Role::Spout => ("From a sale's due time to the commit that makes its receipt visible", &self.spout.latency),
        };
        (role.stage().name(), help, latency)
    }

    /// Lists the role's metrics in `registry`.
    pub fn register(role: Role, registry: &mut Registry) -> Self {
        let metrics = Self::default();
        for (name, help, counter) in metrics.counters(role) {
            registry.register(name, help, counter.clone());
        }
        for (name, help, gauge) in metrics.gauges(role) {
            registry.register(name, help, gauge.clone());
        }
        let (name, help, latency) = metrics.latency(role);
        registry.register(format!("{name}_seconds"), help, latency.clone());
        registry.register_collector(Box::new(Transactions(role, Arc::clone(&metrics.transactions))));
        metrics
    }

    /// The role's figures for `/report`.
    pub fn figures(&self, role: Role) -> Figures {
        let counters = self.counters(role).into_iter().map(|(name, _, counter)| (name, counter.get()));
        let transactions = transactions(role, &self.transactions).into_iter().map(|(name, _, count)| (name, count));
        let figures =
            counters.chain(transactions).fold(Figures::default(), |all, (name, count)| all.counter(name, count));
        let figures =
            self.gauges(role).into_iter().fold(figures, |all, (name, _, gauge)| all.gauge(name, gauge.get() as f64));
        let (name, _, latency) = self.latency(role);
        figures.latency(name, latency).time(&self.time)
    }
}

impl SinkMetrics {
    fn counters(&self, stage: &'static str) -> [Named<'_, Counter>; 10] {
        [
            (stage, "Sales that the store has confirmed, each once", &self.sales),
            (BATCHES, "Batches that the store has confirmed", &self.batches),
            ("conflicts", "Sales that the store had already, from another offset", &self.conflicts),
            (
                "moved",
                "Partitions that the store has at another position than the sink, each time this was found",
                &self.moved,
            ),
            (MALFORMED, "Records in a state's topic that are not sales, left out", &self.malformed),
            (GAP_OFFSETS, "Offsets that Kafka no longer had when the store wanted them", &self.gap),
            ("rebalances", "Assignments of partitions", &self.rebalances),
            (ADOPTED, "Times that positions were dropped, because Kafka had been emptied or replaced", &self.adopted),
            (STORE_ERRORS, "Tries of the store that failed", &self.store_errors),
            ("kafka_errors", "Errors that Kafka's client reported and recovers from", &self.kafka_errors),
        ]
    }
}

impl SpoutMetrics {
    fn counters(&self, stage: &'static str) -> [Named<'_, Counter>; 4] {
        [
            (stage, "Sales on the topic of receipts, committed", &self.sales),
            (MALFORMED, "Rows that are not sales, left out", &self.malformed),
            (STORE_ERRORS, "Tries of Postgres that failed", &self.store_errors),
            ("kafka_errors", "Errors that Kafka's client reported and recovers from", &self.kafka_errors),
        ]
    }
}

/// What became of Kafka's transactions; nothing of a role that has none.
fn transactions(role: Role, events: &Events) -> Vec<(&'static str, &'static str, u64)> {
    if matches!(role, Role::Redis | Role::Postgres) {
        return Vec::new();
    }
    let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
    let mut counts = vec![
        (COMMITS, "Kafka transactions committed", read(&events.commits)),
        ("aborted", "Kafka transactions aborted", read(&events.aborts)),
        ("rebuilds", "Producers replaced after an error", read(&events.rebuilds)),
        (FENCED, "Times that Kafka refused this instance, silent for too long or superseded", read(&events.fenced)),
        ("rebalances", "Assignments of partitions", read(&events.rebalances)),
    ];
    // The spout's input is not in Kafka.
    if role == Role::FanOut {
        counts.push((GAP_OFFSETS, "Offsets that Kafka deleted before they were read", read(&events.gap_offsets)));
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

    fn registered(role: Role) -> (Metrics, String) {
        let mut registry = Registry::with_prefix("kapture_etl");
        let metrics = Metrics::register(role, &mut registry);
        metrics.sink.sales.inc_by(3);
        metrics.transactions.aborts.fetch_add(2, Ordering::Relaxed);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        (metrics, text)
    }

    #[test]
    fn every_figure_of_a_role_is_there_by_the_same_name() {
        for role in Role::ALL {
            let (metrics, text) = registered(role);
            let figures = metrics.figures(role);
            let counters = figures.counters.iter().map(|(name, count)| format!("{name}_total {count}\n"));
            let gauges = figures.gauges.iter().map(|(name, value)| format!("{name} {value}\n"));
            let latencies = figures.latencies.keys().map(|name| format!("{name}_seconds_count 0\n"));
            let series: Vec<_> = counters.chain(gauges).chain(latencies).collect();
            for series in &series {
                assert!(text.contains(&format!("\nkapture_etl_{series}")), "{series}: {text}");
            }
            assert_eq!(text.matches("# TYPE").count(), series.len(), "{text}");
            assert!(figures.counters.contains_key(role.stage().name()), "the exporter counts the stage by it");
        }
    }

    #[test]
    fn each_role_shows_its_own_stage() {
        let (fan_out, redis, spout) =
            (registered(Role::FanOut).1, registered(Role::Redis).1, registered(Role::Spout).1);
        assert!(fan_out.contains("\nkapture_etl_aborted_total 2\n") && !fan_out.contains("stored"), "{fan_out}");
        assert!(fan_out.contains("\nkapture_etl_gap_offsets_total 0\n") && !spout.contains("gap"), "{fan_out}");
        assert!(redis.contains("\nkapture_etl_cached_total 3\n") && !redis.contains("aborted"), "{redis}");
        assert!(spout.contains("\nkapture_etl_returned_seconds_count 0\n"), "{spout}");
    }
}
