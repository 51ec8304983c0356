//! The last ten seconds of one incarnation, by its own clock: what turns counts into rates.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use service::state::Shares;
use service::{Report, Resources, Spent, busiest_since};

/// How far back rates look: long enough to be steady, short enough to see a stall.
pub(crate) const WINDOW_US: i64 = 10_000_000;

/// A clock that differs by more than this from how long the exporter waited between two reports was set meanwhile. One
/// answer may come late by a second.
const STEP: Duration = Duration::from_secs(2);

/// The newest samples, at most one older than the window.
#[derive(Debug, Default)]
pub(crate) struct Window(VecDeque<Sample>);

#[derive(Debug)]
struct Sample {
    at_us: i64,
    received: Instant,
    counters: BTreeMap<String, u64>,
    threads: BTreeMap<String, Spent>,
    own: Option<CpuCounts>,
    neighbour: Option<CpuCounts>,
}

/// What a container's CPU time is computed from; none of it if unknown.
#[derive(Clone, Copy, Debug)]
struct CpuCounts {
    usage_us: Option<u64>,
    periods: Option<u64>,
    throttled_periods: Option<u64>,
}

/// Whose resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Container {
    /// The program's that reports.
    Own,
    /// The process's that a probe watches.
    Neighbour,
}

/// How a container used its CPU over the window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Cpu {
    /// Cores used.
    pub(crate) cores: f64,
    /// Share of the limit's periods in which it was hit.
    pub(crate) throttled: Option<f64>,
}

impl Window {
    pub(crate) fn push(&mut self, report: &Report, received: Instant) {
        if self.0.back().is_some_and(|last| last.clock_was_set(report.at_us, received)) {
            // What was measured across the step means nothing.
            self.0.clear();
        }
        self.0.push_back(Sample {
            at_us: report.at_us,
            received,
            counters: report.counters.clone(),
            threads: report.threads.clone(),
            own: report.resources.as_ref().map(CpuCounts::of),
            neighbour: report.neighbour.as_ref().map(|neighbour| CpuCounts::of(&neighbour.resources)),
        });
        while self.0.get(1).is_some_and(|second| second.at_us <= report.at_us - WINDOW_US) {
            self.0.pop_front();
        }
    }

    /// Counts per second; none before the second report.
    pub(crate) fn rate(&self, counter: &str) -> Option<f64> {
        let (first, last, seconds) = self.ends()?;
        let count = |sample: &Sample| sample.counters.get(counter).copied();
        Some(count(last)?.saturating_sub(count(first).unwrap_or(0)) as f64 / seconds)
    }

    /// How the thread that waits least for input spends its time; none if no thread reports it.
    pub(crate) fn time(&self) -> Option<Shares> {
        let (first, last, _) = self.ends()?;
        busiest_since(&last.threads, &first.threads)
    }

    pub(crate) fn cpu(&self, container: Container) -> Option<Cpu> {
        let (first, last, seconds) = self.ends()?;
        let (first, last) = (first.cpu(container)?, last.cpu(container)?);
        let used = last.usage_us?.checked_sub(first.usage_us?)? as f64 / 1e6;
        Some(Cpu { cores: used / seconds, throttled: last.throttled_since(first) })
    }

    fn ends(&self) -> Option<(&Sample, &Sample, f64)> {
        let (first, last) = (self.0.front()?, self.0.back()?);
        let seconds = (last.at_us - first.at_us) as f64 / 1e6;
        (seconds > 0.0).then_some((first, last, seconds))
    }
}

impl Sample {
    fn clock_was_set(&self, at_us: i64, received: Instant) -> bool {
        let Ok(passed) = u64::try_from(at_us - self.at_us) else { return true };
        let waited = received.saturating_duration_since(self.received);
        passed == 0 || Duration::from_micros(passed).abs_diff(waited) > STEP
    }

    fn cpu(&self, container: Container) -> Option<CpuCounts> {
        match container {
            Container::Own => self.own,
            Container::Neighbour => self.neighbour,
        }
    }
}

impl CpuCounts {
    fn of(resources: &Resources) -> Self {
        Self {
            usage_us: resources.cpu_usage_us,
            periods: resources.cpu_periods,
            throttled_periods: resources.cpu_throttled_periods,
        }
    }

    fn throttled_since(self, first: Self) -> Option<f64> {
        let periods = self.periods?.checked_sub(first.periods?)?;
        let throttled = self.throttled_periods?.checked_sub(first.throttled_periods?)?;
        (periods > 0).then(|| throttled as f64 / periods as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::report;

    /// Reports that come as they are made.
    fn push(window: &mut Window, start: Instant, report: &Report) {
        window.push(report, start + Duration::from_micros(report.at_us.unsigned_abs()));
    }

    #[test]
    fn a_rate_is_that_of_the_last_ten_seconds() {
        let (mut window, start) = (Window::default(), Instant::now());
        for second in 0..60 {
            // 5/s at first, then 20/s.
            let sales = if second < 30 { second * 5 } else { 150 + (second - 30) * 20 };
            push(&mut window, start, &report("a", 1, second, &[("sales", sales)]));
        }
        assert!((window.rate("sales").unwrap() - 20.0).abs() < 1e-9);
        assert_eq!(window.0.len(), 11);
    }

    #[test]
    fn one_report_makes_no_rate() {
        let (mut window, start) = (Window::default(), Instant::now());
        push(&mut window, start, &report("a", 1, 1, &[("sales", 5)]));
        assert_eq!(window.rate("sales"), None);
        push(&mut window, start, &report("a", 1, 2, &[("sales", 5)]));
        assert_eq!(window.rate("sales"), Some(0.0));
        assert_eq!(window.rate("other"), None);
    }

    #[test]
    fn a_clock_that_is_set_starts_the_window_again() {
        for set_to in [50, 100, 3_700] {
            let (mut window, start) = (Window::default(), Instant::now());
            window.push(&report("a", 1, 100, &[("sales", 5)]), start);
            window.push(&report("a", 1, set_to, &[("sales", 15)]), start + Duration::from_secs(1));
            assert_eq!(window.rate("sales"), None, "{set_to}");
            window.push(&report("a", 1, set_to + 1, &[("sales", 25)]), start + Duration::from_secs(2));
            assert_eq!(window.rate("sales"), Some(10.0), "{set_to}");
        }
    }

    #[test]
    fn time_is_that_of_the_busiest_thread() {
        let (mut window, start) = (Window::default(), Instant::now());
        assert_eq!(window.time(), None);
        for second in 0..3 {
            let mut report = report("a", 1, second, &[]);
            let idle = Spent { input_us: second * 900_000, working_us: second * 100_000, ..Spent::default() };
            let busy = Spent { input_us: second * 250_000, store_us: second * 750_000, ..Spent::default() };
            report.threads = [("0".to_owned(), idle), ("1".to_owned(), busy)].into();
            push(&mut window, start, &report);
        }
        let busiest = Shares { waiting_for_input: 0.25, waiting_for_store: 0.75, ..Shares::default() };
        assert_eq!(window.time(), Some(busiest));
    }

    #[test]
    fn cpu_is_in_cores_and_throttling_a_share_of_periods() {
        let (mut window, start) = (Window::default(), Instant::now());
        for second in 0..2 {
            let mut report = report("a", 1, second, &[]);
            report.resources = Some(Resources {
                cpu_usage_us: Some(second * 1_500_000),
                cpu_periods: Some(second * 10),
                cpu_throttled_periods: Some(second * 4),
                ..Resources::default()
            });
            push(&mut window, start, &report);
        }
        assert_eq!(window.cpu(Container::Own), Some(Cpu { cores: 1.5, throttled: Some(0.4) }));
        assert_eq!(window.cpu(Container::Neighbour), None);
    }
}
