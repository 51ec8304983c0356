//! `kapture_auditor_*`.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

use crate::audit::Account;
use crate::audit::findings::{Kind, Tally};

/// See [`Metrics::register`] for what is counted here, and [`Shown`] for the account.
#[derive(Clone, Default)]
pub(super) struct Metrics {
    account: Shown,
    pub(super) errors: Counter,
    pub(super) checkpoints: Counter,
    pub(super) pruned_sales: Counter,
}

/// The account as it was last; none before what an earlier auditor knew has been restored. A stage that is not watched has
/// no series.
#[derive(Clone, Debug, Default)]
struct Shown(Arc<Mutex<Option<Account>>>);

impl Metrics {
    /// The list.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register("errors", "Questions to Kafka or a store that failed", metrics.errors.clone());
        registry.register("checkpoints", "Checkpoints written", metrics.checkpoints.clone());
        registry.register(
            "pruned_sales",
            "Sales deleted from Postgres, since Kafka no longer holds their blocks, or was replaced",
            metrics.pruned_sales.clone(),
        );
        registry.register_collector(Box::new(metrics.account.clone()));
        metrics
    }

    /// Shows the account from now on.
    pub(super) fn show(&self, account: Account) {
        *self.account.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(account);
    }
}

impl Collector for Shown {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(account) = shown.as_ref() else { return Ok(()) };
        let mut family = encoder.encode_descriptor(
            "sales",
            "Sales by stage: what must be there, what is, what is late, what is there unannounced, whose content was compared",
            None,
            MetricType::Gauge,
        )?;
        for (stage, tally) in &account.stages.0 {
            for (column, count) in columns(tally) {
                family.encode_family(&[("stage", stage.name()), ("account", column)])?.encode_gauge(&gauge(count))?;
            }
        }
        let mut family =
            encoder.encode_descriptor("findings", "Findings by stage and kind", None, MetricType::Gauge)?;
        for (stage, tally) in &account.stages.0 {
            for kind in Kind::ALL {
                let labels = [("stage", stage.name()), ("kind", kind.name())];
                family.encode_family(&labels)?.encode_gauge(&gauge(tally.of(kind)))?;
            }
        }
        let help = "Blocks of which something can still come, the others, and those of another release, not judged";
        let mut family = encoder.encode_descriptor("blocks", help, None, MetricType::Gauge)?;
        for (phase, count) in [
            ("open", account.open_blocks),
            ("done", account.done_blocks),
            ("other_release", account.other_release_blocks),
        ] {
            family.encode_family(&[("phase", phase)])?.encode_gauge(&gauge(count))?;
        }
        for (name, help, value) in [
            ("auditable", "0 if a log was deleted before it was read", account.auditable.into()),
            ("content_one_in", "The content of one block in so many is compared", account.content.one_in.into()),
            ("rejected_records", "Records on sales.rejected", account.rejected_records.count),
            (
                "backlog_records",
                "Records that the auditor has still to read: its own backlog, not the pipeline's",
                account.position.audit_backlog,
            ),
        ] {
            encoder.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&gauge(value))?;
        }
        encoder
            .encode_descriptor(
                "rounds",
                "Rounds of proof that ended since this auditor began",
                None,
                MetricType::Counter,
            )?
            .encode_counter::<NoLabelSet, _, u64>(&account.position.rounds, None)
    }
}

fn columns(tally: &Tally) -> [(&'static str, u64); 6] {
    [
        ("expected", tally.expected),
        ("found", tally.found),
        ("late", tally.late),
        ("unknown", tally.unknown),
        ("not_auditable", tally.not_auditable),
        ("compared", tally.compared),
    ]
}

fn gauge(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text;

    use super::*;
    use crate::audit::findings::Stage;

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
        account.position.rounds = 5;
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
    }
}
