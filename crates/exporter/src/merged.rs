//! Latencies of several instances together. Histograms are merged; percentiles are never averaged.

use anyhow::Context;
use service::Histogram;
use service::state::Percentiles;

/// The sum of histograms, in microseconds.
#[derive(Clone, Debug)]
pub(crate) struct Merged {
    pub(crate) histogram: hdrhistogram::Histogram<u64>,
    pub(crate) negative: u64,
}

impl Merged {
    /// What an incarnation has measured since its report before.
    pub(crate) fn between(before: Option<&Histogram>, now: &Histogram) -> anyhow::Result<Self> {
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
    pub(crate) fn gain(&mut self, gained: &Self) {
        if !gained.histogram.is_empty() {
            self.histogram.add(&gained.histogram).expect("all of them are made by `default`, with the same bounds");
        }
        self.negative += gained.negative;
    }

    /// What was added since an earlier state of this sum.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        let mut since = self.clone();
        // Can't fail, since a sum only grows; if it did, all of it would be shown instead of nothing.
        let _ = since.histogram.subtract(&earlier.histogram);
        since.negative = since.negative.saturating_sub(earlier.negative);
        since
    }

    /// Percentiles; none if nothing was measured, and without values if all of it was below zero.
    pub(crate) fn percentiles(&self) -> Option<Percentiles> {
        if self.histogram.is_empty() && self.negative == 0 {
            return None;
        }
        let some = |value| (!self.histogram.is_empty()).then_some(value);
        let at = |quantile| some(self.histogram.value_at_quantile(quantile));
        Some(Percentiles {
            n: self.histogram.len(),
            negative: self.negative,
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            p999_us: at(0.999),
            max_us: some(self.histogram.max()),
        })
    }
}

impl Default for Merged {
    fn default() -> Self {
        Self { histogram: service::new_histogram(), negative: 0 }
    }
}

#[cfg(test)]
mod tests {
    use service::Latency;

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
        assert_eq!((percentiles.n, percentiles.negative), (100, 1));
        assert!(merged.histogram.equivalent(percentiles.p99_us.unwrap(), 1_000), "{percentiles:?}");
        assert!(merged.histogram.equivalent(percentiles.p999_us.unwrap(), 9_000), "{percentiles:?}");
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
        assert!(Merged::between(None, &Histogram { v2: "????".to_owned(), negative: 3 }).is_err());
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
    }
}
