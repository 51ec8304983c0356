//! Everything the exporter knows, for Prometheus. Names and labels of Kafka's are those of `kafka_exporter`, so
//! that the dashboards and alerts that people have keep working.

use std::fmt;
use std::time::Instant;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::registry::Registry;
use service::reported::loader::SCHEDULE_LAG;
use service::state::{Audited, Stage};
use service::{Activity, unix_us};

use crate::config::LOADER;
use crate::families::{Families, Labels};
use crate::kafka_poll::Offsets;
use crate::ledger::{Incarnation, Ledger};
use crate::offsets::{Group, Partition, Snapshot};
use crate::poll::Reports;
use crate::usage::{CPU, DISK, MEMORY};
use crate::view;

/// Adds them to a registry without a prefix.
pub(crate) fn register(registry: &mut Registry, reports: &Reports, offsets: &Offsets) {
    registry.register_collector(Box::new(Metrics { reports: reports.clone(), offsets: offsets.clone() }));
}

#[derive(Debug)]
struct Metrics {
    reports: Reports,
    offsets: Offsets,
}

impl Collector for Metrics {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        let mut families = Families(encoder);
        self.polls(&mut families)?;
        // Held while it is written: a scrape is short, and must be of one moment.
        let ledger = self.reports.ledger();
        flow(&mut families, &ledger)?;
        instances(&mut families, &ledger)?;
        resources(&mut families, &ledger)?;
        drop(ledger);
        let snapshot = self.offsets.last().fresh(Instant::now());
        if let Some(snapshot) = snapshot {
            brokers(&mut families, &snapshot)?;
            topics(&mut families, &snapshot)?;
            groups(&mut families, &snapshot)?;
        }
        Ok(())
    }
}

impl Metrics {
    fn polls(&self, families: &mut Families) -> fmt::Result {
        let (kafka_us, is_up) = {
            let last = self.offsets.last();
            (last.at_us, last.is_up)
        };
        families.gauge("kapture_exporter_kafka_up", "1 if Kafka answered when last asked.", is_up.map(i64::from))?;
        let polls = [("reports", self.reports.heard_us()), ("kafka", kafka_us)];
        let rows =
            polls.into_iter().filter_map(|(source, at)| Some((vec![("source", source.to_owned())], at? as f64 / 1e6)));
        let help = "When a report last came, and when Kafka last answered everything.";
        families.gauges("kapture_exporter_last_poll_timestamp_seconds", help, rows)
    }
}

fn flow(families: &mut Families, ledger: &Ledger) -> fmt::Result {
    let now = Instant::now();
    let stages = view::stages(ledger, now);
    let by_stage = |name: &str| vec![("stage", name.to_owned())];
    let sales = pipeline::Stage::ALL
        .into_iter()
        .filter_map(|stage| Some((by_stage(stage.name()), ledger.total(stage.component(), stage.name())?)));
    families.counters("kapture_stage_sales", "Sales counted at a stage since the exporter began.", sales)?;
    let rates = stages.iter().filter_map(|stage| Some((by_stage(&stage.name), stage.rate?)));
    let help = "Sales per second over the last ten seconds.";
    families.gauges("kapture_stage_sales_per_second", help, rates)?;
    let lags = stages.iter().filter_map(|stage| Some((by_stage(&stage.name), stage.lag?)));
    families.gauges("kapture_stage_lag_sales", "Sales accepted and not found at a stage.", lags)?;
    audit(families, ledger, &stages)?;
    let ceilings = stages.iter().filter_map(|stage| Some((by_stage(&stage.name), stage.ceiling?)));
    let help = "Sales per second that a stage could do if it never waited for input.";
    families.gauges("kapture_stage_ceiling_sales_per_second", help, ceilings)?;
    let latencies = pipeline::Stage::ALL.into_iter().filter_map(|stage| {
        Some((by_stage(stage.name()), &ledger.latency(stage.component(), stage.name())?.histogram))
    });
    families.histograms("kapture_latency_seconds", "From when a sale was due until a stage had it.", latencies)?;
    let schedule_lag = ledger.latency(LOADER, SCHEDULE_LAG).map(|merged| (Labels::new(), &merged.histogram));
    let help = "From when a sale was due until it was handed to the client.";
    families.histograms("kapture_loader_schedule_lag_seconds", help, schedule_lag)?;
    let asked = view::asked(ledger, now).map(|(pod, rate)| (vec![("pod", pod.to_owned())], rate));
    let help = "Sales per second that a loader was asked for.";
    families.gauges("kapture_loader_asked_sales_per_second", help, asked)
}

/// The auditor's figures: gauges, since it may withdraw a finding.
fn audit(families: &mut Families, ledger: &Ledger, stages: &[Stage]) -> fmt::Result {
    let findings = view::findings(ledger, Instant::now());
    let counts = findings
        .iter()
        .flat_map(|findings| &findings.counts)
        .map(|count| (vec![("stage", count.stage.clone()), ("kind", count.kind.clone())], signed(count.findings)));
    families.gauges("kapture_findings", "What the auditor has found, by stage and kind.", counts)?;
    let backlog = findings.as_ref().and_then(|findings| findings.backlog).map(signed);
    families.gauge("kapture_audit_backlog_records", "Records that the auditor has still to read.", backlog)?;
    let figures: [AuditedFigure; 3] = [
        ("found", "Sales that the auditor found at a stage.", |audited| audited.found),
        ("late", "Sales that the auditor has not found at a stage yet.", |audited| audited.late),
        ("lost", "Sales that the auditor found to be missing at a stage for good.", |audited| audited.lost),
    ];
    for (figure, help, value) in figures {
        let rows = stages
            .iter()
            .filter_map(|stage| Some((vec![("stage", stage.name.clone())], signed(value(stage.audited.as_ref()?)))));
        families.gauges(&format!("kapture_audited_{figure}_sales"), help, rows)?;
    }
    Ok(())
}

fn instances(families: &mut Families, ledger: &Ledger) -> fmt::Result {
    let now = Instant::now();
    let heard: Vec<_> = ledger
        .instances(now)
        .filter_map(|(component, _, _, answered)| {
            let answered = answered?;
            let labels = vec![("component", component.to_owned()), ("pod", answered.report.pod.clone())];
            Some((labels, answered))
        })
        .collect();
    // By the exporter's clock, since the pod's may differ.
    let (now_us, seconds) = (unix_us() as f64, |us: f64| us / 1e6);
    let came = |answered: &Incarnation| seconds(now_us - answered.age(now).as_micros() as f64);
    let times = heard.iter().map(|(labels, answered)| (labels.clone(), came(answered)));
    families.gauges("kapture_last_report_timestamp_seconds", "When an instance's last report came.", times)?;
    let spent = heard.iter().flat_map(|(labels, answered)| {
        answered.report.threads.iter().flat_map(move |(thread, spent)| {
            Activity::ALL.map(|activity| {
                let more = [("thread", thread.clone()), ("activity", activity.name().to_owned())];
                (labels.iter().cloned().chain(more).collect(), seconds(spent.of(activity) as f64))
            })
        })
    });
    families.counters("kapture_thread_seconds", "What a thread that moves sales spends its time on.", spent)?;
    let clocks = || heard.iter().filter_map(|(labels, answered)| Some((labels.clone(), answered.clock.best()?)));
    let offsets = clocks().map(|(labels, clock)| (labels, seconds(clock.offset_us as f64)));
    families.gauges("kapture_clock_offset_seconds", "An instance's clock less the exporter's.", offsets)?;
    let errors = clocks().map(|(labels, clock)| (labels, seconds(clock.error_us as f64)));
    families.gauges("kapture_clock_offset_error_seconds", "How far that may be off, either way.", errors)
}

fn resources(families: &mut Families, ledger: &Ledger) -> fmt::Result {
    let uses = view::resources(ledger, Instant::now());
    let labels = |used: &service::state::Use| {
        vec![("component", used.component.clone()), ("pod", used.pod.clone()), ("container", used.container.clone())]
    };
    for (resource, name, help) in [
        (CPU, "kapture_container_cpu_usage_ratio", "CPU used of its limit."),
        (MEMORY, "kapture_container_memory_usage_ratio", "Memory used of its limit."),
        (DISK, "kapture_container_disk_usage_ratio", "Used share of the disk that holds the data."),
    ] {
        let rows = uses.iter().filter(|used| used.resource == resource).map(|used| (labels(used), used.ratio));
        families.gauges(name, help, rows)?;
    }
    let throttled = uses.iter().filter_map(|used| Some((labels(used), used.throttled?)));
    let help = "Share of periods in which the CPU limit was hit.";
    families.gauges("kapture_container_cpu_throttled_ratio", help, throttled)
}

fn brokers(families: &mut Families, snapshot: &Snapshot) -> fmt::Result {
    families.gauge("kafka_brokers", "Brokers alive.", Some(snapshot.brokers.len()))?;
    let rows = snapshot
        .brokers
        .iter()
        .map(|(id, address)| (vec![("address", address.clone()), ("id", id.to_string())], 1_i64));
    families.gauges("kafka_broker_info", "1 for each broker alive, with the address that clients connect to.", rows)
}

fn topics(families: &mut Families, snapshot: &Snapshot) -> fmt::Result {
    let counts = snapshot.topics.iter().map(|(topic, partitions)| (vec![("topic", topic.clone())], partitions.len()));
    families.gauges("kafka_topic_partitions", "Partitions of a topic.", counts)?;
    let figures: [Figure; 7] = [
        ("current_offset", "End of a partition.", |it| it.end),
        ("oldest_offset", "Beginning of a partition.", |it| it.oldest),
        ("in_sync_replica", "Copies in sync.", |it| count(it.in_sync)),
        ("replicas", "Copies there should be.", |it| count(it.replicas.len())),
        ("leader", "Broker that leads, or -1.", |it| Some(it.leader.map_or(-1, i64::from))),
        ("leader_is_preferred", "1 if the preferred broker leads.", |it| {
            Some(i64::from(it.leader.is_some() && it.leader == it.replicas.first().copied()))
        }),
        ("under_replicated_partition", "1 if copies are out of sync.", |it| Some(i64::from(it.under_replicated()))),
    ];
    for (figure, help, value) in figures {
        let rows = snapshot.topics.iter().flat_map(|(topic, partitions)| {
            partitions.iter().filter_map(|(id, partition)| {
                let labels = vec![("topic", topic.clone()), ("partition", id.to_string())];
                Some((labels, value(partition)?))
            })
        });
        families.gauges(&format!("kafka_topic_partition_{figure}"), help, rows)?;
    }
    Ok(())
}

fn groups(families: &mut Families, snapshot: &Snapshot) -> fmt::Result {
    let members = snapshot.groups.values();
    let members = members.map(|group| (vec![("consumergroup", group.name.clone())], group.members));
    families.gauges("kafka_consumergroup_members", "Members of a group.", members)?;
    let offsets = of_groups(snapshot, |group| {
        let committed = group.committed.iter();
        // A partition without a commit has no series, but its offset is not unknown: the sum is still right.
        committed.filter(|(_, offset)| offset.is_some()).map(|((topic, id), at)| (topic.clone(), *id, *at)).collect()
    });
    let lags =
        of_groups(snapshot, |group| snapshot.lags(group).map(|(topic, id, lag)| (topic.to_owned(), id, lag)).collect());
    for (figure, help, rows) in
        [("current_offset", "Offset that a group committed", offsets), ("lag", "Offsets from commit to end", lags)]
    {
        let by_partition = rows.iter().filter_map(|row| {
            let id = ("partition", row.partition.to_string());
            Some((vec![("consumergroup", row.group.clone()), ("topic", row.topic.clone()), id], row.value?))
        });
        families.gauges(&format!("kafka_consumergroup_{figure}"), &format!("{help}."), by_partition)?;
        let name = format!("kafka_consumergroup_{figure}_sum");
        families.gauges(&name, &format!("{help}, all partitions of a topic."), sums(&rows))?;
    }
    Ok(())
}

/// A figure of the auditor's: part of its name, its help, its value.
type AuditedFigure = (&'static str, &'static str, fn(&Audited) -> u64);

/// A figure of a partition: the end of its name, its help, its value.
type Figure = (&'static str, &'static str, fn(&Partition) -> Option<i64>);

struct Row {
    group: String,
    topic: String,
    partition: i32,
    value: Option<i64>,
}

fn of_groups(snapshot: &Snapshot, values: impl Fn(&Group) -> Vec<(String, i32, Option<i64>)>) -> Vec<Row> {
    let rows = snapshot.groups.values().flat_map(|group| {
        let row = |(topic, partition, value)| Row { group: group.name.clone(), topic, partition, value };
        values(group).into_iter().map(row).collect::<Vec<_>>()
    });
    rows.collect()
}

/// The rows come sorted by group and topic. A sum of which a part is unknown is left out.
fn sums(rows: &[Row]) -> impl Iterator<Item = (Labels, i64)> {
    rows.chunk_by(|a, b| (&a.group, &a.topic) == (&b.group, &b.topic)).filter_map(|of_topic| {
        let labels = vec![("consumergroup", of_topic[0].group.clone()), ("topic", of_topic[0].topic.clone())];
        Some((labels, of_topic.iter().map(|row| row.value).sum::<Option<i64>>()?))
    })
}

fn count(n: usize) -> Option<i64> {
    i64::try_from(n).ok()
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
