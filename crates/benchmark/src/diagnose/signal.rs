//! One signal at the three moments. It counts only if it changed: a value that was the same at rest explains nothing.

use super::evidence::{Evidence, Moment, Pod};

/// A signal has risen if it is at least this many times what it was at rest.
const RISE: f64 = 2.0;
/// It may be so much lower than in the last step that held, which differs from the one that failed by a few percent.
const NOISE: f64 = 0.8;
/// Signals below this share of their line count as this share, so that twice next to nothing is not a rise.
const FLOOR: f64 = 0.05;

/// A signal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Signal {
    pub(super) quiet: Option<f64>,
    pub(super) held: Option<f64>,
    pub(super) failed: Option<f64>,
}

impl Signal {
    pub(super) fn of(evidence: &Evidence, read: impl Fn(&Moment) -> Option<f64>) -> Self {
        Self {
            quiet: evidence.quiet.as_ref().and_then(&read),
            held: evidence.held.as_ref().and_then(&read),
            failed: read(&evidence.failed),
        }
    }

    /// A signal of one pod.
    pub(super) fn of_pod(evidence: &Evidence, pod: &str, read: impl Fn(&Pod) -> Option<f64>) -> Self {
        Self::of(evidence, |moment| moment.pod(pod).and_then(&read))
    }

    /// Whether it is beyond its line, and has changed: risen from what it was at rest, or without that from what it was when
    /// it held; and not less than then.
    pub(super) fn rose_beyond(&self, line: f64) -> bool {
        let Some(failed) = self.failed.filter(|failed| *failed >= line) else { return false };
        let floor = line * FLOOR;
        let risen_from = |before: f64| failed >= RISE * before.max(floor);
        let not_fallen = self.held.is_none_or(|held| failed >= NOISE * held);
        not_fallen && self.quiet.map_or_else(|| self.held.is_some_and(risen_from), risen_from)
    }

    /// How many times its line it is.
    pub(super) fn strength(&self, line: f64) -> f64 {
        self.failed.map_or(0.0, |failed| failed / line)
    }

    /// The three values in a text, with a unit after each and multiplied for it.
    pub(super) fn written(&self, times: f64, unit: &str) -> String {
        let one = |value: Option<f64>| value.map_or_else(|| "?".to_owned(), |value| number(value * times));
        format!("{} {unit} (at rest {}, when it held {})", one(self.failed), one(self.quiet), one(self.held))
    }
}

/// A number with as many digits as one needs.
pub(super) fn number(value: f64) -> String {
    match value.abs() {
        none if none < 1e-9 => "0".to_owned(),
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signal(quiet: Option<f64>, held: Option<f64>, failed: Option<f64>) -> Signal {
        Signal { quiet, held, failed }
    }

    #[test]
    fn a_signal_counts_if_it_is_beyond_its_line_and_rose_since_it_was_quiet() {
        assert!(signal(Some(0.02), Some(0.5), Some(0.55)).rose_beyond(0.25));
        assert!(!signal(Some(0.02), Some(0.1), Some(0.2)).rose_beyond(0.25), "below the line");
        assert!(!signal(Some(0.4), Some(0.4), Some(0.5)).rose_beyond(0.25), "as at rest");
        assert!(!signal(Some(0.0), Some(0.9), Some(0.5)).rose_beyond(0.25), "it fell since it held");
    }

    #[test]
    fn without_the_quiet_baseline_it_must_have_risen_since_it_held() {
        assert!(signal(None, Some(0.1), Some(0.5)).rose_beyond(0.25));
        assert!(!signal(None, Some(0.45), Some(0.5)).rose_beyond(0.25));
        assert!(!signal(None, None, Some(0.5)).rose_beyond(0.25), "nothing to compare with");
        assert!(!signal(Some(0.0), Some(0.0), None).rose_beyond(0.25), "absent is not 0");
    }
}
