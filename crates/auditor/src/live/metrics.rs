//! What the auditor counts, and the account; the same figures go to Prometheus (`kapture_auditor_*`) and into its report.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use service::Figures;

use crate::audit::Account;
use crate::audit::findings::Kind;

/// All counts since the auditor started. The tables below name and describe them, and what is shown of the account.
#[derive(Clone, Debug, Default)]
pub(super) struct Metrics {
    pub(super) errors: Counter,
    pub(super) checkpoints: Counter,
    pub(super) rounds: Counter,
    pub(super) pruned_sales: Counter,
    account: Shown,
}

/// The account as it was last; none before what an earlier auditor knew has been restored.
#[derive(Clone, Debug, Default)]
struct Shown(Arc<Mutex<Option<Account>>>);

/// Gauges of one name, each with its labels. They are no counters, since a finding may be taken back.
struct Gauges {
    name: &'static str,
    help: &'static str,
    all: Vec<(Vec<(&'static str, &'static str)>, u64)>,
}

impl Metrics {
    fn counters(&self) -> [(&'static str, &'static str, &Counter); 4] {
        [
            ("errors", "Questions to Kafka or a store that failed", &self.errors),
            ("checkpoints", "Checkpoints written", &self.checkpoints),
            ("rounds", "Rounds of proof that ended since this auditor began", &self.rounds),
            (
                "pruned_sales",
                "Sales deleted from Postgres, since Kafka no longer holds their blocks, or was replaced",
                &self.pruned_sales,
            ),
        ]
    }

    /// Makes the metrics and lists them in `registry`.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        for (name, help, counter) in metrics.counters() {
            registry.register(name, help, counter.clone());
        }
        registry.register_collector(Box::new(metrics.account.clone()));
        metrics
    }

    /// Shows the account from now on.
    pub(super) fn show(&self, account: Account) {
        *self.account.lock() = Some(account);
    }

    /// All of them for the report: a gauge's name there has the values of its labels, as in `sales_routed_late`.
    pub(super) fn figures(&self) -> Figures {
        let counters = self.counters().into_iter();
        let figures = counters.fold(Figures::default(), |all, (name, _, counter)| all.counter(name, counter.get()));
        let gauges = self.account.lock().iter().flat_map(gauges).collect::<Vec<_>>();
        let gauges = gauges.iter().flat_map(|Gauges { name, all, .. }| all.iter().map(move |gauge| (name, gauge)));
        gauges.fold(figures, |all, (name, (labels, value))| {
            let names = [*name].into_iter().chain(labels.iter().map(|(_, label)| *label));
            all.gauge(names.collect::<Vec<_>>().join("_"), *value as f64)
        })
    }
}

/// What is shown of the account. A stage that is not watched has no gauges.
fn gauges(account: &Account) -> [Gauges; 7] {
    let one = |name, help, value| Gauges { name, help, all: vec![(vec![], value)] };
    let stages = account.stages.0.iter();
    let sales = stages.clone().flat_map(|(stage, tally)| {
        [
            ("expected", tally.expected),
            ("found", tally.found),
            ("late", tally.late),
            ("unknown", tally.unknown),
            ("not_auditable", tally.not_auditable),
            ("compared", tally.compared),
        ]
        .map(|(column, count)| (vec![("stage", stage.name()), ("account", column)], count))
    });
    let findings = stages.flat_map(|(stage, tally)| {
        Kind::ALL.map(|kind| (vec![("stage", stage.name()), ("kind", kind.name())], tally.of(kind)))
    });
    let blocks =
        [("open", account.open_blocks), ("done", account.done_blocks), ("other_release", account.other_release_blocks)];
    [
        Gauges {
            name: "sales",
            help: "Sales by stage: what must be there, what is, what is late, what is there unannounced, whose content was \
                   compared",
            all: sales.collect(),
        },
        Gauges { name: "findings", help: "Findings by stage and kind", all: findings.collect() },
        Gauges {
            name: "blocks",
            help: "Blocks of which something can still come, the others, and those of another release, not judged",
            all: blocks.map(|(phase, count)| (vec![("phase", phase)], count)).into(),
        },
        one("auditable", "0 if a log was deleted before it was read", account.auditable.into()),
        one("content_one_in", "The content of one block in so many is compared", account.content.one_in.into()),
        one("rejected_records", "Records on sales.rejected", account.rejected_records.count),
        one(
            "backlog_records",
            "Records that the auditor has still to read: its own backlog, not the pipeline's",
            account.position.audit_backlog,
        ),
    ]
}

impl Shown {
    fn lock(&self) -> MutexGuard<'_, Option<Account>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collector for Shown {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        for Gauges { name, help, all } in self.lock().iter().flat_map(gauges) {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (labels, value) in all {
                let value = i64::try_from(value).unwrap_or(i64::MAX);
                if labels.is_empty() {
                    family.encode_gauge(&value)?;
                } else {
                    family.encode_family(&labels)?.encode_gauge(&value)?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text;

    use super::*;
    use crate::audit::findings::{Stage, Tally};

    #[test]
    fn nothing_is_shown_before_it_is_known_and_nothing_of_a_stage_that_is_not_watched() {
        let mut registry = Registry::with_prefix("kapture_auditor");
        let metrics = Metrics::register(&mut registry);
        let scraped = || {
            let mut scraped = String::new();
            text::encode(&mut scraped, &registry).unwrap();
            scraped
        };
        let before = scraped();
        assert!(before.contains("kapture_auditor_pruned_sales_total 0\n") && !before.contains("auditable"), "{before}");

        let mut account = Account { auditable: true, open_blocks: 2, ..Account::default() };
        *account.stages.at_mut(Stage::Routed) = Tally { lost: 3, late: 4, ..Tally::default() };
        metrics.rounds.inc_by(5);
        metrics.show(account);
        let after = scraped();
        for line in [
            "kapture_auditor_findings{stage=\"routed\",kind=\"lost\"} 3",
            "kapture_auditor_findings{stage=\"routed\",kind=\"altered\"} 0",
            "kapture_auditor_sales{stage=\"routed\",account=\"late\"} 4",
            "kapture_auditor_blocks{phase=\"open\"} 2",
            "kapture_auditor_auditable 1",
            "# TYPE kapture_auditor_rounds counter",
            "kapture_auditor_rounds_total 5",
        ] {
            assert!(after.lines().any(|other| other == line), "{line} in {after}");
        }
        assert!(!after.contains("cached"), "{after}");
        let gauges = metrics.figures().gauges;
        let named = ["findings_routed_lost", "sales_routed_late", "blocks_open", "auditable"];
        assert_eq!(named.map(|name| gauges[name].to_string()), ["3", "4", "2", "1"]);
    }
}
