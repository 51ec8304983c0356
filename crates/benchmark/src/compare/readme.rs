//! The README of a folder of clusters, which nobody types: `kapture-benchmark clusters FOLDER` prints it.

use std::fmt::Write;

use super::clusters::{Cluster, Clusters};
use super::history::{History, Row, Table};
use crate::capsule::Capsule;
use crate::report::words::{date, or_unknown, rate, thousands};

const HEAD: &str = "\
# Clusters on record

What Kapture found out about clusters: a folder each, with `cluster.json` (the machines, the commit), `values.yaml` and the
capsules of its runs. `kapture-benchmark` has them compiled in, so that a report says where a cluster stands among comparable
ones; [METHOD.md](../METHOD.md#comparing-two-runs) says which are. This page is generated; a test fails if it is out of date:

```sh
UPDATE_EXPECT=1 cargo test -p kapture-benchmark --test documents    # or print it: kapture-benchmark clusters benchmark/clusters
```

To add a cluster, run the benchmark from a clean commit (`benchmark.mode=default` or `certificate`), make a folder with the three
files, and renew this page. INVALID runs, and runs in which no rate failed, are refused: they have no number to compare.

";

/// Writes it.
pub fn readme(all: &Clusters) -> String {
    let mut text = HEAD.to_owned();
    if all.clusters.is_empty() {
        text.push_str(
            "**There is none yet.** A folder appears here once a cluster was measured; nothing here is made up.\n",
        );
    } else {
        text.push_str(
            "| cluster | machines | run | mode, limit | capacity, sales/s | repeats | per CPU | gives way first |\n\
             | --- | --- | --- | --- | --- | --- | --- | --- |\n",
        );
        for cluster in &all.clusters {
            for run in &cluster.runs {
                row(&mut text, cluster, run);
            }
        }
        text.push_str(
            "\nThe order is that of the names, and no ranking: only runs in the same mode, with the same limit, stages and load can be \
             compared.\n",
        );
    }
    if let Some(history) = &all.history {
        text.push_str(&past(history));
    }
    text
}

fn row(text: &mut String, Cluster { name, about, .. }: &Cluster, run: &Capsule) {
    let Some(capacity) = run.capacity() else { return };
    let failed = capacity.failed.map_or_else(|| "?".to_owned(), rate);
    let repeats = match capacity.n {
        0 | 1 => "none".to_owned(),
        n => format!("{n}: {}–{}", rate(capacity.low), rate(capacity.high)),
    };
    let first = run.diagnosis.as_ref().map_or("?", |diagnosis| match &diagnosis.causes[..] {
        [cause] => cause.resource.name(),
        _ => "unclear",
    });
    let _ = writeln!(
        text,
        "| [{name}]({name}) | {}; {} node{}, {} CPUs, {} GiB | {}, {}, commit {} | {}, {} ms | {} (gave way at {failed}) | {repeats} \
         | {} | {first} |",
        about.machine,
        about.nodes,
        if about.nodes == 1 { "" } else { "s" },
        about.cores,
        about.memory_gib,
        run.run,
        date(run.began_us),
        about.commit,
        run.parameters.mode,
        run.parameters.latency_limit_ms,
        rate(capacity.held),
        rate(capacity.held / about.cores),
    );
}

fn past(history: &History) -> String {
    let mut text = format!(
        "\n## 2019\n\n{} They are [data](2019/tables.json) and history, and **not comparable** because:\n\n",
        history.what
    );
    for why in &history.not_comparable {
        let _ = writeln!(text, "- {why}");
    }
    text.push_str("\nNo report ranks a cluster among them, and their order here means nothing.\n");
    for table in &history.tables {
        text.push_str(&table_of(table));
    }
    text
}

fn table_of(table: &Table) -> String {
    let is_as_recorded = (table.times - 1.0).abs() < 1e-9;
    let estimate = if is_as_recorded { String::new() } else { format!(" × {} |", table.times) };
    let line = if is_as_recorded { "" } else { " --- |" };
    let mut text = format!(
        "\n### {}\n\n{}: {}. {}\n\n\
         | cluster | vCPU, GB | stores | with one generator | best of each run |{estimate} score | remark |\n\
         | --- | --- | --- | --- | --- |{line} --- | --- |\n",
        table.title, table.source, table.unit, table.remark
    );
    for row in &table.rows {
        let estimate = if is_as_recorded { String::new() } else { format!(" {} |", estimated(table, row)) };
        let [least, most] = row.one_generator;
        let _ = writeln!(
            text,
            "| {} | {}, {} | {} | {} | {} |{estimate} {} | {} |",
            row.cluster,
            or_unknown(row.vcpu.map(|n| n.to_string())),
            or_unknown(row.memory_gb.map(|n| n.to_string())),
            if row.stores.is_empty() { "none".to_owned() } else { row.stores.join(", ") },
            span(least, most),
            row.best.iter().map(|best| thousands(*best)).collect::<Vec<_>>().join(" / "),
            row.score.map_or_else(String::new, |score| score.to_string()),
            row.remark.as_deref().unwrap_or_default(),
        );
    }
    text
}

/// The estimate of all messages a second, to two digits, since it is one.
fn estimated(table: &Table, row: &Row) -> String {
    let (low, high) = row.best_range();
    let hundreds = |value: f64| (value * table.times / 100.0).round() * 100.0;
    format!("about {}", span(hundreds(low), hundreds(high)))
}

fn span(low: f64, high: f64) -> String {
    if (high - low).abs() < 1e-9 { thousands(low) } else { format!("{}–{}", thousands(low), thousands(high)) }
}
