//! Whether the lag grows: at each stage, and in each partition, since a hot one hides in the sum.
//!
//! A limit on lag is in seconds of the offered rate: the same number of sales is nothing at one rate and minutes at another.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::sample::{Partition, Second, Window};
use crate::statistics::{median, range, theil_sen};

/// A slope that is a larger share of the offered rate is growth (Theodolite's example).
const SLOPE_SHARE: f64 = 0.01;
/// Growth over a step of less than this share of the latency limit, in sales, is noise: a short step has few samples.
const MATERIAL_SHARE: f64 = 0.1;
/// With more samples missing, nothing is said of the lag.
pub(super) const MISSING_SHARE: f64 = 0.1;
/// Kafka is asked for its offsets every five seconds: fewer samples make no slope.
pub(crate) const LEAST_SAMPLES: usize = 4;
/// Share of the samples at either end whose median is the lag there.
const END_SHARE: usize = 10;
/// Of a short step so many, since one sample may lie anywhere in the swing of the commits.
const END_SAMPLES: usize = 3;

/// A sink shows Kafka its position once a second: the lag of a partition that is seen is what came since then, at least.
const POSITIONS_EVERY: f64 = 1.0;
/// So many standard deviations of what comes in that time may wait by chance: once in 16,000 looks, of which there are many.
const DEVIATIONS: f64 = 4.0;

/// How the lag of a stage or partition went in a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Lag {
    /// The stage, or the partition as `group topic/number`.
    pub of: String,
    /// At the beginning, in sales.
    pub first: f64,
    /// At the end.
    pub last: f64,
    /// How fast it grew, in sales per second, by the slope of Theil and Sen.
    pub slope: f64,
    /// How far it swings around that slope.
    pub swing: f64,
    /// The lag at the end in seconds of what arrives there.
    pub seconds: f64,
    /// Why it is too much; none if it is not.
    pub broken: Option<String>,
}

/// The lag of each stage; none for one whose lag is not known well enough.
pub(super) fn of_stages(
    window: &Window,
    offered: f64,
    limit: Duration,
    swings: &BTreeMap<String, f64>,
) -> Vec<(String, Option<Lag>)> {
    // The first stage has none: what is not accepted is the loaders' account.
    let stages = window.begin.state.stages.iter().skip(1).map(|stage| stage.name.clone());
    stages
        .map(|stage| {
            let lag = |second: &Second| {
                let found = second.state.stages.iter().find(|it| it.name == stage);
                found.and_then(|it| it.lag)
            };
            let series = series(&window.seconds, lag);
            let enough = series.len() as f64 >= window.asked as f64 * (1.0 - MISSING_SHARE);
            let arrives = Arrives { rate: offered, seen_after: 0.0 };
            let lag = enough.then(|| judge(&stage, &series, offered, arrives, limit, swings)).flatten();
            (stage, lag)
        })
        .collect()
}

/// The lag of each partition that can be told.
pub(super) fn of_partitions(
    window: &Window,
    offered: f64,
    limit: Duration,
    swings: &BTreeMap<String, f64>,
) -> Vec<Lag> {
    let mut known: BTreeMap<String, Vec<(f64, &Partition)>> = BTreeMap::new();
    for second in &window.seconds {
        for partition in second.partitions.iter().flatten() {
            let name = format!("{} {}", partition.group, partition.name());
            known.entry(name).or_default().push((second.state.at_us as f64 / 1e6, partition));
        }
    }
    let judged = known.iter().filter_map(|(name, samples)| {
        let ends: Vec<(f64, f64)> = samples.iter().filter_map(|(at, it)| Some((*at, it.end? as f64))).collect();
        // What arrives at the partition; of one that is not known, or gets nothing, only the slope is judged.
        let arrives = theil_sen(&ends).filter(|rate| *rate > 0.0);
        let series: Vec<(f64, f64)> = samples.iter().map(|(at, it)| (*at, it.lag as f64)).collect();
        let arrives = Arrives { rate: arrives.unwrap_or(f64::INFINITY), seen_after: POSITIONS_EVERY };
        judge(name, &series, offered, arrives, limit, swings)
    });
    judged.collect()
}

/// The samples as points of seconds and sales.
fn series(seconds: &[Second], lag: impl Fn(&Second) -> Option<u64>) -> Vec<(f64, f64)> {
    seconds.iter().filter_map(|second| Some((second.state.at_us as f64 / 1e6, lag(second)? as f64))).collect()
}

/// What comes to a stage or partition.
#[derive(Clone, Copy)]
struct Arrives {
    /// Sales per second.
    rate: f64,
    /// How long a sale that was taken at once may still be seen as waiting, in seconds.
    seen_after: f64,
}

impl Arrives {
    /// The most sales that may wait: those of so many seconds, of which the few that come to a small state come by chance. The root
    /// of a Poisson count has a standard deviation of about a half, whatever is expected (Anscombe 1948); √n beside n itself would
    /// be too little where one or two are expected.
    fn most(self, limit: Duration) -> f64 {
        let expected = (limit.as_secs_f64() + self.seen_after) * self.rate;
        if self.seen_after > 0.0 { (expected.sqrt() + DEVIATIONS / 2.0).powi(2) } else { expected }
    }
}

fn judge(
    of: &str,
    series: &[(f64, f64)],
    offered: f64,
    arrives: Arrives,
    limit: Duration,
    swings: &BTreeMap<String, f64>,
) -> Option<Lag> {
    if series.len() < LEAST_SAMPLES {
        return None;
    }
    let slope = theil_sen(series)?;
    let at_end = (series.len() / END_SHARE).max(END_SAMPLES).min(series.len() / 2);
    let values: Vec<f64> = series.iter().map(|(_, lag)| *lag).collect();
    let (first, last) = (median(&values[..at_end])?, median(&values[values.len() - at_end..])?);
    let start = series[0].0;
    let around: Vec<f64> = series.iter().map(|(at, lag)| lag - slope * (at - start)).collect();
    let (low, high) = range(&around)?;
    let seconds = last / arrives.rate;
    // Before a step has held, the swing of this one is all that is known.
    let allowed = swings.get(of).map_or(high - low, |seconds| seconds * offered);
    let material = MATERIAL_SHARE * limit.as_secs_f64() * arrives.rate.min(offered);
    let grows = slope > SLOPE_SHARE * offered && last > first + allowed.max(material);
    let broken = if grows {
        Some(format!("it grows by {slope:.0} sales/s"))
    } else if last > arrives.most(limit) {
        Some(format!("{last:.0} sales are {seconds:.1} s of what arrives"))
    } else {
        None
    };
    Some(Lag { of: of.to_owned(), first, last, slope, swing: high - low, seconds, broken })
}
