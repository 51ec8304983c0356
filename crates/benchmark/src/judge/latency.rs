//! How long sales took from their due time to a stage.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use service::Histogram;

use super::sample::{Between, Window};

/// The latency of one stage over a step, from merged histograms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct StageLatency {
    /// The stage.
    pub stage: String,
    /// Sales measured.
    pub n: u64,
    /// Sales that had not arrived when the time for that was over; none if that is not known.
    pub missing: Option<u64>,
    /// Latencies below zero, which two clocks that differ make.
    pub negative: u64,
    /// Median, in microseconds.
    pub p50_us: Option<u64>,
    /// 90th percentile.
    pub p90_us: Option<u64>,
    /// 99th percentile. Sales that did not arrive count as longer than any other; a percentile among them is absent.
    pub p99_us: Option<u64>,
    /// 99.9th percentile.
    pub p999_us: Option<u64>,
    /// The longest.
    pub max_us: Option<u64>,
    /// Share of sales that took longer than the limit, or did not arrive.
    pub late: Option<f64>,
    /// All of it.
    #[cfg_attr(test, schemars(with = "crate::capsule::schema::Histogram"))]
    pub histogram: Histogram,
}

/// What a stage's component measured in a step; none if one of its instances does not say.
pub(super) fn of(
    window: &Window,
    whole: &Between,
    stage: &str,
    component: &str,
    limit: Duration,
) -> Option<StageLatency> {
    let mut parts = whole.of(component).map(|pair| pair.histogram(stage));
    let (mut merged, mut negative) = parts.next()??;
    for part in parts {
        let (histogram, below) = part?;
        merged.add(histogram).ok()?;
        negative += below;
    }
    let missing = window.drained.state.stages.iter().find(|it| it.name == stage).and_then(|it| it.lag);
    let limit_us = u64::try_from(limit.as_micros()).unwrap_or(u64::MAX);
    let (n, lost) = (merged.len(), missing.unwrap_or(0));
    let all = n + lost;
    let within = if n == 0 { 0 } else { merged.count_between(0, limit_us) };
    // The quantile of all sales; one among those that did not arrive is longer than anything measured.
    let quantile = |share: f64| {
        let measured_share = share * all as f64 / n as f64;
        let is_measured = n > 0 && measured_share <= 1.0;
        is_measured.then(|| merged.value_at_quantile(measured_share))
    };
    Some(StageLatency {
        stage: stage.to_owned(),
        n,
        missing,
        negative,
        p50_us: quantile(0.5),
        p90_us: quantile(0.9),
        p99_us: quantile(0.99),
        p999_us: quantile(0.999),
        max_us: (n > 0).then(|| merged.max()),
        late: (all > 0).then(|| (all - within) as f64 / all as f64),
        histogram: Histogram::encode_histogram(&merged, negative).ok()?,
    })
}

/// A latency in a text.
pub fn written(us: Option<u64>) -> String {
    let Some(us) = us else { return "more than was measured".to_owned() };
    match us {
        us if us >= 10_000_000 => format!("{:.1} s", us as f64 / 1e6),
        us if us >= 10_000 => format!("{:.0} ms", us as f64 / 1e3),
        us => format!("{:.2} ms", us as f64 / 1e3),
    }
}
