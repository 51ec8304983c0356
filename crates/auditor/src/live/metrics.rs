//! `kapture_auditor_*`.

use std::sync::atomic::AtomicI64;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::findings::{Kind, Stage, Tally};
use crate::ledger::Account;

/// See [`Metrics::register`] for the list.
#[derive(Clone, Default)]
pub(super) struct Metrics {
    sales: Family<SalesLabels, Gauge>,
    findings: Family<FindingsLabels, Gauge>,
    blocks: Family<BlocksLabels, Gauge>,
    auditable: Gauge,
    content_one_in: Gauge,
    rejected_records: Gauge,
    backlog_records: Gauge,
    rounds: Gauge,
    pub(super) errors: Counter,
    pub(super) checkpoints: Counter,
    pub(super) pruned: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SalesLabels {
    stage: &'static str,
    account: Column,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FindingsLabels {
    stage: &'static str,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BlocksLabels {
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
enum Phase {
    Open,
    Done,
}

/// A column of the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Column {
    Expected,
    Found,
    Late,
    Unknown,
    NotAuditable,
    Compared,
}

impl Column {
    const ALL: [Self; 6] = [Self::Expected, Self::Found, Self::Late, Self::Unknown, Self::NotAuditable, Self::Compared];

    fn of(self, tally: &Tally) -> u64 {
        match self {
            Self::Expected => tally.expected,
            Self::Found => tally.found,
            Self::Late => tally.late,
            Self::Unknown => tally.unknown,
            Self::NotAuditable => tally.not_auditable,
            Self::Compared => tally.compared,
        }
    }
}

impl Metrics {
    /// The list.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "sales",
            "Sales by stage: what must be there, what is, what is late, what is there unannounced, whose content was compared",
            metrics.sales.clone(),
        );
        registry.register("findings", "Findings by stage and kind", metrics.findings.clone());
        registry.register("blocks", "Blocks of which something can still come, and the others", metrics.blocks.clone());
        registry.register("auditable", "0 if a log was deleted before it was read", metrics.auditable.clone());
        registry.register(
            "content_one_in",
            "The content of one block in so many is compared",
            metrics.content_one_in.clone(),
        );
        registry.register("rejected_records", "Records on sales.rejected", metrics.rejected_records.clone());
        registry.register(
            "backlog_records",
            "Records that the auditor has still to read: its own backlog, not the pipeline's",
            metrics.backlog_records.clone(),
        );
        registry.register("rounds", "Rounds of proof that ended", metrics.rounds.clone());
        registry.register("errors", "Questions to Kafka or a store that failed", metrics.errors.clone());
        registry.register("checkpoints", "Checkpoints written", metrics.checkpoints.clone());
        registry.register(
            "pruned",
            "Sales deleted from Postgres, since Kafka no longer holds their blocks",
            metrics.pruned.clone(),
        );
        metrics.show(&Account { auditable: true, ..Account::default() });
        metrics
    }

    /// Shows the account. Every series is there from the start.
    pub(super) fn show(&self, account: &Account) {
        for stage in Stage::ALL {
            let tally = account.stages.at(stage);
            for column in Column::ALL {
                set(
                    &self.sales.get_or_create(&SalesLabels { stage: stage.name(), account: column }),
                    column.of(&tally),
                );
            }
            for kind in Kind::ALL {
                set(&self.findings.get_or_create(&FindingsLabels { stage: stage.name(), kind }), tally.of(kind));
            }
        }
        for (phase, count) in [(Phase::Open, account.open_blocks), (Phase::Done, account.done_blocks)] {
            set(&self.blocks.get_or_create(&BlocksLabels { phase }), count);
        }
        set(&self.auditable, account.auditable.into());
        set(&self.content_one_in, account.content.one_in.into());
        set(&self.rejected_records, account.rejected_records.count);
        set(&self.backlog_records, account.position.audit_backlog);
        set(&self.rounds, account.position.rounds);
    }
}

fn set(gauge: &Gauge<i64, AtomicI64>, value: u64) {
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
}

impl EncodeLabelValue for Kind {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> Result<(), std::fmt::Error> {
        self.name().encode(encoder)
    }
}

impl EncodeLabelValue for Column {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> Result<(), std::fmt::Error> {
        let name = match self {
            Self::Expected => "expected",
            Self::Found => "found",
            Self::Late => "late",
            Self::Unknown => "unknown",
            Self::NotAuditable => "not_auditable",
            Self::Compared => "compared",
        };
        name.encode(encoder)
    }
}
