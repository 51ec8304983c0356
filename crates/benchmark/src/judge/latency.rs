//! How long sales took from their due time to a stage.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use service::Histogram;
use service::state::Percentiles;

use super::sample::{Between, Window};

/// The latency of one stage over a step, from merged histograms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct StageLatency {
    /// The stage.
    pub stage: String,
    /// Of all sales: those that did not arrive count as longer than any other, and a percentile among them is absent.
    #[cfg_attr(test, schemars(with = "crate::capsule::schema::Percentiles"))]
    pub percentiles: Percentiles,
    /// Sales that had not arrived when the time for that was over; none if that is not known.
    pub missing: Option<u64>,
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
    let mut parts = whole.of(component).map(|pair| pair.measured(stage));
    let mut merged = parts.next()??;
    for part in parts {
        merged.gain(&part?);
    }
    let missing = window.drained.state.stages.iter().find(|it| it.name == stage).and_then(|it| it.lag);
    let limit_us = u64::try_from(limit.as_micros()).unwrap_or(u64::MAX);
    let percentiles = merged.percentiles_with(missing.unwrap_or(0));
    let all = percentiles.n + missing.unwrap_or(0);
    Some(StageLatency {
        stage: stage.to_owned(),
        percentiles,
        missing,
        late: (all > 0).then(|| (all - merged.within(limit_us)) as f64 / all as f64),
        histogram: merged.encode().ok()?,
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
