//! Whether the exporter's series exist and move.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use service::state::State;

use super::table::{Release, Row};

/// Between two looks: the exporter asks every second.
const REST: Duration = Duration::from_secs(2);
/// One question.
const LIMIT: Duration = Duration::from_secs(5);

const SALES: &str = "kapture_stage_sales_total";
const LATENCY: &str = "kapture_latency_seconds_count";
const LAG: &str = "kafka_consumergroup_lag";

/// Looks until everything moves, or the time is over. `moving`: the stages that must; none if nothing is being sent.
pub(super) async fn row(exporter: &str, stages: &[&str], moving: bool, deadline: Instant, release: &Release) -> Row {
    let object = format!("deploy/{}", release.object("exporter"));
    let mut first = None;
    loop {
        let looked = look(exporter, stages, moving, &mut first).await;
        match looked {
            Ok(()) if moving => return Row::ok("exporter", "series of every stage and lag exist, and sales move"),
            Ok(()) => {
                return Row::ok(
                    "exporter",
                    "series of every stage and lag exist; whether they move is not checked, since no loader sends",
                );
            }
            Err(err) if Instant::now() >= deadline => return Row::fail("exporter", format!("{err:#}"), object),
            Err(_) => tokio::time::sleep(REST).await,
        }
    }
}

/// One look. `first`: what was seen at the first one that had all series.
async fn look(exporter: &str, stages: &[&str], moving: bool, first: &mut Option<Vec<f64>>) -> anyhow::Result<()> {
    let body = service::http::get(exporter, "/metrics", LIMIT).await?;
    let sales = judge(&String::from_utf8_lossy(&body), stages)?;
    let before = first.get_or_insert_with(|| sales.clone());
    for ((stage, before), now) in stages.iter().zip(before).zip(sales) {
        if now < *before {
            bail!("{SALES}{{stage=\"{stage}\"}} fell from {before} to {now}");
        }
        if moving && now <= *before {
            bail!("{SALES}{{stage=\"{stage}\"}} stands still at {now}");
        }
    }
    Ok(())
}

/// The sales of each stage, all series being there and no lag negative.
fn judge(text: &str, stages: &[&str]) -> anyhow::Result<Vec<f64>> {
    let mut lags = values(text, LAG, "").peekable();
    if lags.peek().is_none() {
        bail!("there is no {LAG}");
    }
    if let Some(negative) = lags.find(|lag| *lag < 0.0) {
        bail!("{LAG} is {negative}: below zero");
    }
    let counted = |stage: &&str| {
        let label = format!("stage=\"{stage}\"");
        values(text, LATENCY, &label).next().with_context(|| format!("there is no {LATENCY}{{{label}}}"))?;
        values(text, SALES, &label).next().with_context(|| format!("there is no {SALES}{{{label}}}"))
    };
    stages.iter().map(counted).collect()
}

/// The values of a metric's series that have a label.
fn values<'a>(metrics: &'a str, name: &'a str, label: &'a str) -> impl Iterator<Item = f64> + 'a {
    metrics.lines().filter_map(move |line| {
        let rest = line.strip_prefix(name)?;
        let (labels, value) = match rest.strip_prefix('{') {
            Some(rest) => rest.split_once('}')?,
            None => ("", rest),
        };
        // A longer name of which this is only the beginning has no space here.
        let value = value.strip_prefix(' ')?.split(' ').next()?;
        labels.contains(label).then(|| value.parse().ok())?
    })
}

/// p99 from due time to a stage, in milliseconds: of the last seconds, else since the start.
pub(super) async fn p99_ms(exporter: &str, stage: &str) -> Option<f64> {
    let body = service::http::get(exporter, "/api/v1/state", LIMIT).await.ok()?;
    let known: State = serde_json::from_slice(&body).ok()?;
    let stage = known.stages.into_iter().find(|found| found.name == stage)?;
    let p99_us = stage.recent.and_then(|recent| recent.p99_us).or(stage.latency?.p99_us)?;
    Some(p99_us as f64 / 1_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const METRICS: &str = "\
# TYPE kapture_stage_sales counter
kapture_stage_sales_total{stage=\"accepted\"} 120
kapture_stage_sales_total{stage=\"routed\"} 118
kapture_latency_seconds_bucket{stage=\"accepted\",le=\"0.1\"} 3
kapture_latency_seconds_count{stage=\"accepted\"} 120
kapture_latency_seconds_count{stage=\"routed\"} 118
kafka_consumergroup_lag{consumergroup=\"fan-out\",topic=\"sales\",partition=\"0\"} 2
kafka_consumergroup_lag_sum{consumergroup=\"fan-out\",topic=\"sales\"} -9
";

    #[test]
    fn sales_are_read_by_stage() {
        assert_eq!(judge(METRICS, &["accepted", "routed"]).unwrap(), [120.0, 118.0]);
    }

    #[test]
    fn what_is_missing_or_negative_is_named() {
        let error = |metrics: &str| judge(metrics, &["accepted", "routed"]).unwrap_err().to_string();
        assert_eq!(error(""), "there is no kafka_consumergroup_lag");
        assert!(error(&METRICS.replace("\"0\"} 2", "\"0\"} -2")).contains("kafka_consumergroup_lag is -2"));
        let gone = METRICS.replace("kapture_latency_seconds_count{stage=\"routed\"}", "x");
        assert_eq!(error(&gone), "there is no kapture_latency_seconds_count{stage=\"routed\"}");
        assert!(error(&METRICS.replace("sales_total{stage=\"routed\"}", "x")).contains("stage=\"routed\""));
    }
}
