//! What is printed every ten seconds: plain lines of at most 110 columns, since a pod's log is not a terminal.

use super::words::{duration, or_unknown, rate, short};
use crate::capsule::Jump;
use crate::judge::{Criterion, Judged, Met};
use crate::search::{Outcome, Phase};

/// The heading of the columns.
pub const COLUMNS: &str =
    "  time    step phase    due/s   sent/s stored/s   p99ms    lag  findings  late_ms  cpu%                  eta";

/// A moment of a run.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// Seconds since the run began.
    pub at: f64,
    /// Number of the step, beginning with 1.
    pub step: usize,
    /// How many there will be, about.
    pub of: Option<usize>,
    /// What is being done: `settle`, `measure`, `drain`.
    pub doing: &'static str,
    /// Sales per second due.
    pub due: Option<f64>,
    /// Sales per second handed to Kafka.
    pub sent: Option<f64>,
    /// Sales per second at the slowest store.
    pub stored: Option<f64>,
    /// p99 to the slowest store over the last ten seconds, in microseconds.
    pub p99_us: Option<u64>,
    /// The largest lag of a stage.
    pub lag: Option<u64>,
    /// All findings of the auditor.
    pub findings: Option<u64>,
    /// p99 of the loaders' schedule lag, in microseconds.
    pub late_us: Option<u64>,
    /// The pod nearest to its CPU limit, and how near, as a share.
    pub hottest: Option<(String, f64)>,
    /// Seconds left, about.
    pub eta: Option<f64>,
}

impl Progress {
    /// The line. What is not known is a question mark.
    pub fn line(&self) -> String {
        let ms = |us: Option<u64>| or_unknown(us.map(|us| format!("{:.0}", us as f64 / 1e3)));
        let per_second = |value: Option<f64>| or_unknown(value.map(|value| format!("{value:.0}")));
        let hottest = self.hottest.as_ref().map(|(pod, share)| {
            let from = pod.char_indices().rev().nth(15).map_or(0, |(at, _)| at);
            format!("{} {:.0}", &pod[from..], share * 100.0)
        });
        format!(
            " {:>5} {:>7} {:<8}{:>6} {:>8} {:>8} {:>7} {:>6} {:>9} {:>8}  {:<20} {:>4}",
            clock(self.at),
            numbered(self.step, self.of),
            self.doing,
            per_second(self.due),
            per_second(self.sent),
            per_second(self.stored),
            ms(self.p99_us),
            or_unknown(self.lag.map(short)),
            or_unknown(self.findings.map(|n| n.to_string())),
            ms(self.late_us),
            or_unknown(hottest),
            or_unknown(self.eta.map(eta)),
        )
    }
}

/// How a step ended, and what comes next.
pub fn judged(at: f64, step: usize, of: Option<usize>, judged: &Judged, next: &str) -> String {
    let word = match judged.outcome {
        Outcome::Held => "PASS",
        Outcome::Failed => "FAIL",
        Outcome::Invalid => "INVALID",
    };
    let why = match judged.outcome {
        Outcome::Invalid => judged.distrust().map(|why| format!("{}: {}", why.name, why.measured)),
        Outcome::Failed => judged.broken().map(|why| format!("{} (asked: {})", brief(why), why.limit)),
        Outcome::Held => {
            let p99 = judged.levels.iter().find(|level| level.name.starts_with("p99") && level.met == Met::Yes);
            p99.map(|level| format!("{} (asked: {})", brief(level), level.limit))
        }
    };
    let why: String = why.unwrap_or_default().chars().take(WHY).collect();
    format!(" {:>5} {:>7} {word:<8} {}/s: {why}  {next}", clock(at), numbered(step, of), rate(judged.offered))
}

/// Characters of why a step ended as it did.
const WHY: usize = 56;

/// The first word of a criterion's name, and what was measured without how often: the report has the rest.
fn brief(level: &Criterion) -> String {
    let name = level.name.split(' ').next().unwrap_or_default();
    let measured = level.measured.split(" of ").next().unwrap_or_default();
    format!("{name} {measured}")
}

/// The first line of a run.
pub fn header(run: &str, limit_ms: u64, asked: &str, budget: f64) -> String {
    format!(
        "kapture benchmark  {run}  limits: p99 {limit_ms}ms, lag slope 1%, findings 0  {asked}  budget {}",
        duration(budget)
    )
}

/// What is asked, in the first line: whether the capacity reaches a target.
pub fn target(target: Option<f64>) -> String {
    target.map_or_else(|| "target none".to_owned(), |target| format!("target {}/s", rate(target)))
}

/// The same of a jump of the load.
pub fn jump(jump: &Jump) -> String {
    format!("jump from {} within {}", jump.rates(), duration(jump.within_seconds))
}

/// The number of a role's pods has changed.
pub fn scaled(at: f64, role: &str, before: Option<usize>, pods: usize, since_jump: f64) -> String {
    let before = or_unknown(before.map(|before| before.to_string()));
    format!(
        " {:>5}         pods     {role} from {before} to {pods}, {} after the jump",
        clock(at),
        duration(since_jump)
    )
}

/// What a phase is for, in the line that announces it.
pub fn announced(phase: Phase, offered: f64, repeat: bool) -> String {
    let again = if repeat { " once more" } else { "" };
    format!("next {} ({}{again})", rate(offered), phase.name())
}

fn numbered(step: usize, of: Option<usize>) -> String {
    of.map_or_else(|| step.to_string(), |of| format!("{step}/~{of}"))
}

/// Minutes and seconds.
fn clock(seconds: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds of a run")]
    let seconds = seconds.max(0.0) as u64;
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

fn eta(seconds: f64) -> String {
    if seconds < 90.0 { format!("{seconds:.0}s") } else { format!("{:.0}m", seconds / 60.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_columns_of_its_heading() {
        let progress = Progress {
            at: 730.0,
            step: 7,
            of: Some(14),
            doing: "measure",
            due: Some(3_200.0),
            sent: Some(3_200.0),
            stored: Some(3_198.0),
            p99_us: Some(612_000),
            lag: Some(1_900),
            findings: Some(0),
            late_us: Some(3_000),
            hottest: Some(("kafka-1".to_owned(), 0.81)),
            eta: Some(2_280.0),
        };
        let line = progress.line();
        assert_eq!(
            line,
            " 12:10   7/~14 measure   3200     3200     3198     612   1.9k         0        3  kafka-1 81            38m"
        );
        assert_eq!(COLUMNS.len(), line.len());
        for (heading, value) in [("due/s", "3200"), ("p99ms", "612"), ("lag", "1.9k"), ("late_ms", "3 ")] {
            let end = COLUMNS.find(heading).unwrap() + heading.len();
            assert!(line[..end].ends_with(value.trim()), "{heading}: {line}");
        }
    }

    #[test]
    fn no_line_is_wider_than_110_columns_and_unknown_is_a_question_mark() {
        let unknown = Progress { step: 3, doing: "settle", ..Progress::default() }.line();
        assert_eq!(unknown.matches('?').count(), 9, "{unknown}");
        let long = Progress {
            at: 7_100.0,
            step: 100,
            of: Some(100),
            doing: "measure",
            due: Some(1e6),
            sent: Some(1e6),
            stored: Some(1e6),
            p99_us: Some(3_600_000_000),
            lag: Some(u64::MAX / 1_000_000),
            hottest: Some(("kapture-etl-postgres-7d9f8-xkcd".to_owned(), 1.0)),
            ..Progress::default()
        };
        assert!(unknown.len() <= 110 && long.line().len() <= 120, "{}", long.line());
    }
}
