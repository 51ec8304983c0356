//! Everything the exporter knows, for Prometheus. Names and labels of Kafka's are those of `kafka_exporter`, so
//! that the dashboards and alerts that people have keep working.

use std::fmt;
use std::time::Instant;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::registry::Registry;

use crate::families::{Families, Labels};
use crate::kafka_poll::Offsets;
use crate::ledger::Ledger;
use crate::offsets::{Group, Partition, Snapshot};
use crate::poll::Reports;
use crate::view::{self, LOADER, PLACES};

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
        let snapshot = self.offsets.last().answer.as_ref().map(|(snapshot, _)| snapshot.clone());
        if let Some(snapshot) = snapshot {
            families.gauge("kafka_brokers", "Brokers alive.", Some(snapshot.brokers))?;
            topics(&mut families, &snapshot)?;
            groups(&mut families, &snapshot)?;
        }
        Ok(())
    }
}

impl Metrics {
    fn polls(&self, families: &mut Families) -> fmt::Result {
        let polls = [("reports", self.reports.last_round_us()), ("kafka", self.offsets.last().at_us)];
        let rows =
            polls.into_iter().filter_map(|(source, at)| Some((vec![("source", source.to_owned())], at? as f64 / 1e6)));
        let help = "When a source was last asked with success.";
        families.gauges("kapture_exporter_last_poll_timestamp_seconds", help, rows)
    }
}

fn flow(families: &mut Families, ledger: &Ledger) -> fmt::Result {
    let stages = view::stages(ledger, Instant::now());
    let by_stage = |name: &str| vec![("stage", name.to_owned())];
    let sales =
        PLACES.iter().filter_map(|place| Some((by_stage(place.stage), ledger.total(place.component, place.stage)?)));
    families.counters("kapture_stage_sales", "Sales counted at a stage since the exporter began.", sales)?;
    let rates = stages.iter().filter_map(|stage| Some((by_stage(&stage.name), stage.rate?)));
    families.gauges("kapture_stage_rate", "Sales per second over the last ten seconds.", rates)?;
    let lags = stages.iter().filter_map(|stage| Some((by_stage(&stage.name), stage.lag?)));
    families.gauges("kapture_lag_sales", "Sales accepted and not found at a stage.", lags)?;
    let latencies = PLACES
        .iter()
        .filter_map(|place| Some((by_stage(place.stage), &ledger.latency(place.component, place.stage)?.histogram)));
    families.histograms("kapture_latency_seconds", "From when a sale was due until a stage had it.", latencies)?;
    let schedule_lag = ledger.latency(LOADER, "schedule_lag").map(|merged| (Labels::new(), &merged.histogram));
    let help = "From when a sale was due until it was handed to the client.";
    families.histograms("kapture_loader_schedule_lag_seconds", help, schedule_lag)?;
    let asked = ledger.instances().filter_map(|(component, _, _, answered)| {
        let report = &answered.filter(|_| component == LOADER)?.report;
        Some((vec![("pod", report.pod.clone())], *report.gauges.get("rate")?))
    });
    families.gauges("kapture_loader_asked_rate", "Sales per second that a loader was asked for.", asked)
}

fn instances(families: &mut Families, ledger: &Ledger) -> fmt::Result {
    let now = Instant::now();
    let heard: Vec<_> = ledger
        .instances()
        .filter_map(|(component, _, _, answered)| {
            let answered = answered?;
            let labels = vec![("component", component.to_owned()), ("pod", answered.report.pod.clone())];
            Some((labels, answered))
        })
        .collect();
    let ages = heard.iter().map(|(labels, answered)| (labels.clone(), answered.age(now).as_secs_f64()));
    families.gauges("kapture_report_age_seconds", "Time since an instance's last report came.", ages)?;
    let times = heard.iter().map(|(labels, answered)| (labels.clone(), answered.report.at_us as f64 / 1e6));
    families.gauges("kapture_last_report_timestamp_seconds", "When an instance made its last report.", times)
}

fn resources(families: &mut Families, ledger: &Ledger) -> fmt::Result {
    let uses = view::resources(ledger, Instant::now());
    let labels = |used: &service::state::Use| {
        vec![("component", used.component.clone()), ("pod", used.pod.clone()), ("container", used.container.clone())]
    };
    for (resource, name, help) in [
        ("cpu", "kapture_probe_cpu_usage_ratio", "CPU used of its limit."),
        ("memory", "kapture_probe_memory_usage_ratio", "Memory used of its limit."),
        ("disk", "kapture_probe_disk_usage_ratio", "Used share of the disk that the data lie on."),
    ] {
        let rows = uses.iter().filter(|used| used.resource == resource).map(|used| (labels(used), used.ratio));
        families.gauges(name, help, rows)?;
    }
    let throttled = uses.iter().filter_map(|used| Some((labels(used), used.throttled?)));
    let help = "Share of periods in which the CPU limit was hit.";
    families.gauges("kapture_probe_cpu_throttled_ratio", help, throttled)
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
    let members = snapshot.groups.iter().map(|(name, group)| (vec![("consumergroup", name.clone())], group.members));
    families.gauges("kafka_consumergroup_members", "Members of a group.", members)?;
    let offsets = of_groups(snapshot, |group| {
        let committed = group.committed.iter();
        committed.filter_map(|((topic, id), offset)| Some((topic.clone(), *id, (*offset)?))).collect()
    });
    let lags =
        of_groups(snapshot, |group| snapshot.lags(group).map(|(topic, id, lag)| (topic.to_owned(), id, lag)).collect());
    for (figure, help, rows) in
        [("current_offset", "Offset that a group committed", offsets), ("lag", "Offsets from commit to end", lags)]
    {
        let by_partition = rows.iter().map(|row| {
            let id = ("partition", row.partition.to_string());
            (vec![("consumergroup", row.group.clone()), ("topic", row.topic.clone()), id], row.value)
        });
        families.gauges(&format!("kafka_consumergroup_{figure}"), &format!("{help}."), by_partition)?;
        let name = format!("kafka_consumergroup_{figure}_sum");
        families.gauges(&name, &format!("{help}, all partitions of a topic."), sums(&rows))?;
    }
    Ok(())
}

/// A figure of a partition: the end of its name, its help, its value.
type Figure = (&'static str, &'static str, fn(&Partition) -> Option<i64>);

struct Row {
    group: String,
    topic: String,
    partition: i32,
    value: i64,
}

fn of_groups(snapshot: &Snapshot, values: impl Fn(&Group) -> Vec<(String, i32, i64)>) -> Vec<Row> {
    let rows = snapshot.groups.iter().flat_map(|(name, group)| {
        let row = |(topic, partition, value)| Row { group: name.clone(), topic, partition, value };
        values(group).into_iter().map(row).collect::<Vec<_>>()
    });
    rows.collect()
}

/// The rows come sorted by group and topic.
fn sums(rows: &[Row]) -> impl Iterator<Item = (Labels, i64)> {
    rows.chunk_by(|a, b| (&a.group, &a.topic) == (&b.group, &b.topic)).map(|of_topic| {
        let labels = vec![("consumergroup", of_topic[0].group.clone()), ("topic", of_topic[0].topic.clone())];
        (labels, of_topic.iter().map(|row| row.value).sum())
    })
}

fn count(n: usize) -> Option<i64> {
    i64::try_from(n).ok()
}
