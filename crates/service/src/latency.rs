//! Latencies, kept as HDR histograms: they can be merged, and no percentile is ever averaged.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};

/// The shortest and the longest latency that are distinguished, in microseconds. Longer ones count as the longest.
const RANGE_US: std::ops::RangeInclusive<u64> = 1..=3_600_000_000;

/// Significant digits: an error of at most 0.1 %, at about 200 KB a histogram.
const DIGITS: u8 = 3;

/// Upper bounds of the classic histogram, in seconds.
const BOUNDS: [f64; 16] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0];

/// How long something took, in microseconds, since the program started. Clones share one histogram.
#[derive(Clone)]
pub struct Latency(Arc<Mutex<Samples>>);

struct Samples {
    histogram: hdrhistogram::Histogram<u64>,
    negative: u64,
}

impl Samples {
    fn record_n(&mut self, due_us: i64, now_us: i64, n: u64) {
        match u64::try_from(now_us.saturating_sub(due_us)) {
            Ok(us) => self.histogram.saturating_record_n(us, n),
            Err(_) => self.negative += n,
        }
    }
}

impl Latency {
    /// Records the time from when something was due until now. Both are microseconds since 1970.
    pub fn record(&self, due_us: i64, now_us: i64) {
        self.record_n(due_us, now_us, 1);
    }

    /// Records how long something took, by this program's own clock.
    pub fn record_duration(&self, took: Duration) {
        self.record(0, i64::try_from(took.as_micros()).unwrap_or(i64::MAX));
    }

    /// Records `n` times the same latency, as for a batch that was acknowledged at once.
    ///
    /// A negative latency means that two clocks differ. It is counted apart, since clipping it would
    /// make the rest look better than it is.
    pub fn record_n(&self, due_us: i64, now_us: i64, n: u64) {
        self.lock().record_n(due_us, now_us, n);
    }

    /// Records the time from when each of many was due until now, as when a transaction makes them all visible.
    pub fn record_each(&self, due_us: impl IntoIterator<Item = i64>, now_us: i64) {
        let mut samples = self.lock();
        for due_us in due_us {
            samples.record_n(due_us, now_us, 1);
        }
    }

    /// Returns what was recorded so far, without the negative ones, in microseconds.
    pub fn snapshot(&self) -> hdrhistogram::Histogram<u64> {
        self.lock().histogram.clone()
    }

    /// How many latencies were negative.
    pub fn negative(&self) -> u64 {
        self.lock().negative
    }

    fn lock(&self) -> MutexGuard<'_, Samples> {
        // Nothing that holds the lock leaves a half-made change behind.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An empty histogram of the form that every report carries, so that all of them can be merged.
#[allow(clippy::missing_panics_doc, reason = "it can't: the bounds are constants")]
pub fn new_histogram() -> hdrhistogram::Histogram<u64> {
    hdrhistogram::Histogram::new_with_bounds(*RANGE_US.start(), *RANGE_US.end(), DIGITS)
        .expect("the bounds are constants that the library accepts")
}

/// Writes a histogram of microseconds as a classic Prometheus histogram of seconds.
pub fn encode_seconds(histogram: &hdrhistogram::Histogram<u64>, mut encoder: MetricEncoder) -> fmt::Result {
    let mut buckets: Vec<(f64, u64)> = BOUNDS.iter().map(|bound| (*bound, 0)).collect();
    buckets.push((f64::INFINITY, 0));
    let mut sum = 0.0;
    for value in histogram.iter_recorded() {
        let seconds = histogram.median_equivalent(value.value_iterated_to()) as f64 / 1e6;
        let count = value.count_at_value();
        sum += seconds * count as f64;
        let bucket = BOUNDS.partition_point(|bound| *bound < seconds);
        buckets[bucket].1 += count;
    }
    encoder.encode_histogram::<NoLabelSet>(sum, histogram.len(), &buckets, None)
}

impl Default for Latency {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Samples { histogram: new_histogram(), negative: 0 })))
    }
}

impl fmt::Debug for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let samples = self.lock();
        f.debug_struct("Latency").field("n", &samples.histogram.len()).field("negative", &samples.negative).finish()
    }
}

impl TypedMetric for Latency {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for Latency {
    fn encode(&self, encoder: MetricEncoder) -> fmt::Result {
        encode_seconds(&self.snapshot(), encoder)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;

    use super::*;

    #[test]
    fn a_latency_counts_from_when_it_was_due() {
        let latency = Latency::default();
        latency.record(1_000_000, 1_250_000);
        latency.record_n(1_000_000, 1_500_000, 2);
        latency.record_each([1_000_000], 1_500_000);
        let histogram = latency.snapshot();
        assert_eq!(histogram.len(), 4);
        assert!(histogram.equivalent(histogram.max(), 500_000));
        assert!(histogram.equivalent(histogram.min(), 250_000));
    }

    #[test]
    fn a_negative_latency_is_counted_apart() {
        let latency = Latency::default();
        latency.record(2, 1);
        assert_eq!((latency.snapshot().len(), latency.negative()), (0, 1));
    }

    #[test]
    fn what_takes_longer_than_an_hour_counts_as_an_hour() {
        let latency = Latency::default();
        latency.record(0, i64::MAX);
        assert!(latency.snapshot().equivalent(latency.snapshot().max(), 3_600_000_000));
    }

    #[test]
    fn it_is_a_histogram_in_seconds() {
        let mut registry = Registry::default();
        let latency = Latency::default();
        registry.register("wait_seconds", "Waits", latency.clone());
        latency.record(0, 1_500);
        latency.record(0, 90_000_000);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        assert!(text.contains("wait_seconds_bucket{le=\"0.001\"} 0\n"), "{text}");
        assert!(text.contains("wait_seconds_bucket{le=\"0.002\"} 1\n"), "{text}");
        assert!(text.contains("wait_seconds_bucket{le=\"60.0\"} 1\n"), "{text}");
        assert!(text.contains("wait_seconds_bucket{le=\"+Inf\"} 2\n"), "{text}");
        assert!(text.contains("wait_seconds_count 2\n"), "{text}");
    }
}
