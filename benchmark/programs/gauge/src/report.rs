//! What a program reports at `/report`.

use std::time::Duration;

use anyhow::Context;
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use service::{Merged, Report};

const LIMIT: Duration = Duration::from_secs(5);

/// The latency over the next `seconds`, and by how much each counter grew in that time.
pub(crate) async fn run(address: &str, latency: &str, seconds: u64) -> anyhow::Result<Value> {
    let before = read(address).await?;
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let after = read(address).await?;
    let last = after.latencies.get(latency).with_context(|| format!("{address} reports no latency {latency}"))?;
    let mut answer = percentiles(&Merged::between(before.latencies.get(latency), last)?.histogram);
    answer["seconds"] = json!((after.at_us - before.at_us) as f64 / 1e6);
    for (name, count) in &after.counters {
        answer["counters"][name] = json!(count - before.counters.get(name).copied().unwrap_or_default());
    }
    Ok(answer)
}

async fn read(address: &str) -> anyhow::Result<Report> {
    let body = service::http::get(address, "/report", LIMIT).await?;
    serde_json::from_slice(&body).with_context(|| format!("reading the report of {address}"))
}

/// Of a histogram of microseconds, in milliseconds.
pub(crate) fn percentiles(histogram: &Histogram<u64>) -> Value {
    let ms = |quantile| histogram.value_at_quantile(quantile) as f64 / 1e3;
    json!({
        "n": histogram.len(), "p50_ms": ms(0.5), "p99_ms": ms(0.99), "p999_ms": ms(0.999),
        "max_ms": histogram.max() as f64 / 1e3,
    })
}
