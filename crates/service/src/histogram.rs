//! Latencies as they go from program to program, and those of several together. Histograms are merged; percentiles are never
//! averaged.

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};
use serde::{Deserialize, Serialize};

use crate::state::Percentiles;
use crate::{Latency, new_histogram};

/// A latency histogram in JSON, readable by every port of `HdrHistogram`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram {
    /// Base64 of the V2 encoding, compressed; the values are microseconds.
    pub v2: String,
    /// Latencies below zero, which the histogram doesn't hold.
    pub negative: u64,
}

impl Histogram {
    /// Encodes what was recorded so far.
    pub fn encode(latency: &Latency) -> anyhow::Result<Self> {
        Merged { histogram: latency.snapshot(), negative: latency.negative() }.encode()
    }

    /// Decodes the histogram; the values are microseconds.
    pub fn decode(&self) -> anyhow::Result<hdrhistogram::Histogram<u64>> {
        let bytes = STANDARD.decode(&self.v2).context("decoding a histogram's base64")?;
        Deserializer::new().deserialize(&mut bytes.as_slice()).context("decoding a histogram")
    }
}

/// The sum of histograms, in microseconds.
#[derive(Clone, Debug)]
pub struct Merged {
    /// All but those below zero.
    pub histogram: hdrhistogram::Histogram<u64>,
    /// Latencies below zero, because two clocks differ.
    pub negative: u64,
}

impl Merged {
    /// What an incarnation has measured since its report before.
    pub fn between(before: Option<&Histogram>, now: &Histogram) -> anyhow::Result<Self> {
        let mut between = Self::default();
        if before == Some(now) {
            return Ok(between);
        }
        between.histogram.add(now.decode()?).context("merging histograms")?;
        between.negative = now.negative;
        if let Some(before) = before {
            between.histogram.subtract(before.decode()?).context("merging histograms")?;
            between.negative = between.negative.saturating_sub(before.negative);
        }
        Ok(between)
    }

    /// Adds what others, or the same, have measured.
    #[expect(clippy::missing_panics_doc, reason = "it can't: all of them are made by `default`, with the same bounds")]
    pub fn gain(&mut self, gained: &Self) {
        if !gained.histogram.is_empty() {
            self.histogram.add(&gained.histogram).expect("all of them are made by `default`, with the same bounds");
        }
        self.negative += gained.negative;
    }

    /// What was added since an earlier state of this sum.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut since = self.clone();
        // Can't fail, since a sum only grows; if it did, all of it would be shown instead of nothing.
        let _ = since.histogram.subtract(&earlier.histogram);
        since.negative = since.negative.saturating_sub(earlier.negative);
        since
    }

    /// How many were not longer than this, without those below zero.
    pub fn within(&self, limit_us: u64) -> u64 {
        self.histogram.count_between(0, limit_us)
    }

    /// Percentiles; none if nothing was measured, and without values if all of it was below zero.
    pub fn percentiles(&self) -> Option<Percentiles> {
        let is_measured = !self.histogram.is_empty() || self.negative > 0;
        is_measured.then(|| self.percentiles_with(0))
    }

    /// Percentiles of what was measured and of so many more that have not come to their end: they count as longer than any
    /// other, and a percentile among them is absent.
    pub fn percentiles_with(&self, missing: u64) -> Percentiles {
        let n = self.histogram.len();
        let at = |quantile: f64| {
            // Not computed without need: rounding may make it the next sale.
            let of_measured = if missing == 0 { quantile } else { quantile * (n + missing) as f64 / n as f64 };
            (n > 0 && of_measured <= 1.0).then(|| self.histogram.value_at_quantile(of_measured))
        };
        Percentiles {
            n,
            negative: self.negative,
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            p999_us: at(0.999),
            max_us: (n > 0).then(|| self.histogram.max()),
        }
    }

    /// Encodes it.
    pub fn encode(&self) -> anyhow::Result<Histogram> {
        let mut bytes = Vec::new();
        V2DeflateSerializer::new().serialize(&self.histogram, &mut bytes).context("encoding a histogram")?;
        Ok(Histogram { v2: STANDARD.encode(bytes), negative: self.negative })
    }
}

impl Default for Merged {
    fn default() -> Self {
        Self { histogram: new_histogram(), negative: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_all_measurements_together() {
        let (fast, slow) = (Latency::default(), Latency::default());
        fast.record_n(0, 1_000, 99);
        slow.record_n(0, 9_000, 1);
        slow.record(5, 0);
        let mut merged = Merged::default();
        for latency in [&fast, &slow] {
            merged.gain(&Merged::between(None, &Histogram::encode(latency).unwrap()).unwrap());
        }
        let percentiles = merged.percentiles().unwrap();
        assert_eq!((percentiles.n, percentiles.negative, merged.within(5_000)), (100, 1, 99));
        assert!(merged.histogram.equivalent(percentiles.p99_us.unwrap(), 1_000), "{percentiles:?}");
        assert!(merged.histogram.equivalent(percentiles.p999_us.unwrap(), 9_000), "{percentiles:?}");
    }

    #[test]
    fn what_is_missing_counts_as_longer_than_any_other() {
        let latency = Latency::default();
        latency.record_n(0, 1_000, 90);
        let merged = Merged::between(None, &Histogram::encode(&latency).unwrap()).unwrap();
        let percentiles = merged.percentiles_with(10);
        assert!(merged.histogram.equivalent(percentiles.p90_us.unwrap(), 1_000), "{percentiles:?}");
        assert_eq!(
            (percentiles.n, percentiles.p99_us, percentiles.max_us),
            (90, None, merged.percentiles().unwrap().max_us)
        );
        assert_eq!(Merged::default().percentiles_with(10), Percentiles::default());
    }

    #[test]
    fn the_same_report_twice_counts_once() {
        let latency = Latency::default();
        latency.record_n(0, 1_000, 10);
        let first = Histogram::encode(&latency).unwrap();
        latency.record_n(0, 2_000, 5);
        let second = Histogram::encode(&latency).unwrap();
        let mut merged = Merged::default();
        merged.gain(&Merged::between(None, &first).unwrap());
        let earlier = merged.clone();
        merged.gain(&Merged::between(Some(&first), &second).unwrap());
        merged.gain(&Merged::between(Some(&second), &second).unwrap());
        assert_eq!(merged.histogram.len(), 15);
        assert_eq!(merged.since(&earlier).histogram.len(), 5);
    }

    #[test]
    fn a_histogram_that_cannot_be_read_is_an_error() {
        for v2 in ["????", "AAAA"] {
            assert!(Merged::between(None, &Histogram { v2: v2.to_owned(), negative: 3 }).is_err(), "{v2}");
        }
    }

    #[test]
    fn latencies_below_zero_are_counted_and_have_no_percentiles() {
        let latency = Latency::default();
        latency.record_n(1_000, 0, 7);
        let mut merged = Merged::default();
        merged.gain(&Merged::between(None, &Histogram::encode(&latency).unwrap()).unwrap());
        assert_eq!(merged.percentiles(), Some(Percentiles { negative: 7, ..Percentiles::default() }));
        assert_eq!(Percentiles::default().p99_us, None);
    }

    #[test]
    fn without_measurements_there_are_no_percentiles() {
        assert_eq!(Merged::default().percentiles(), None);
        assert_eq!(Merged::default().within(u64::MAX), 0);
    }
}
