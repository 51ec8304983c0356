//! Two runs side by side: faster, slower, or the same as far as they can tell.
//!
//! Different means that the ranges of the repeats don't overlap *and* the medians differ by more than the search is wide.
//! Tests on pooled samples have found two identical systems far apart; these two conditions have not (verdict methods, Abedi
//! and Brecht, Laaber et al.).

use std::fmt;
use std::process::ExitCode;

use crate::capsule::{Capacity, Capsule};
use crate::verdict::Verdict;

/// The result of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub enum Comparison {
    /// B carries more.
    Faster(Ratio),
    /// B carries less.
    Slower(Ratio),
    /// No difference that these two can see.
    Same(Ratio),
    /// They can't be compared, and why not.
    Unlike(Vec<String>),
}

/// By how much.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    a: Capacity,
    b: Capacity,
    /// Median of B by median of A.
    pub ratio: f64,
    /// A difference below this share can't be seen.
    pub visible: f64,
}

impl Comparison {
    /// 0: B is not slower. 1: it is. 2: they can't be compared. (3 is a file that can't be read.)
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Faster(_) | Self::Same(_) => 0,
            Self::Slower(_) => 1,
            Self::Unlike(_) => 2,
        })
    }
}

/// Compares B with A.
pub fn compare(a: &Capsule, b: &Capsule) -> Comparison {
    let unlike = differences(a, b);
    if !unlike.is_empty() {
        return Comparison::Unlike(unlike);
    }
    let (Some(of_a), Some(of_b)) = (a.capacity(), b.capacity()) else {
        return Comparison::Unlike(vec!["one of them has no capacity".to_owned()]);
    };
    let ratio = of_b.median / of_a.median;
    let width = |of: &Capacity| of.failed.map_or(0.0, |failed| failed / of.held - 1.0);
    let visible = width(&of_a).max(width(&of_b));
    let compared = Ratio { a: of_a, b: of_b, ratio, visible };
    let overlap = of_a.low <= of_b.high && of_b.low <= of_a.high;
    if overlap || (ratio.max(1.0 / ratio) - 1.0) <= visible {
        Comparison::Same(compared)
    } else if ratio > 1.0 {
        Comparison::Faster(compared)
    } else {
        Comparison::Slower(compared)
    }
}

/// What makes them unlike: anything but the cluster, its values and the version of Kapture, which are what one compares.
fn differences(a: &Capsule, b: &Capsule) -> Vec<String> {
    let mut found = Vec::new();
    for (name, capsule) in [("A", a), ("B", b)] {
        if matches!(capsule.verdict, Verdict::Invalid | Verdict::CouldNotRun) {
            found.push(format!("{name} ({}) is {}: {}", capsule.run, capsule.verdict, capsule.reason));
        } else if capsule.capacity().is_none() {
            found.push(format!("{name} ({}) has no capacity: {}", capsule.run, capsule.reason));
        } else if capsule.capacity().is_some_and(|capacity| capacity.failed.is_none()) {
            found.push(format!("{name} ({}) has only a lower bound, because its loaders were the limit", capsule.run));
        }
    }
    let (of_a, of_b) = (&a.parameters, &b.parameters);
    let mut differ = |name: &str, a: String, b: String| {
        if a != b {
            found.push(format!("{name}: {a} and {b}"));
        }
    };
    differ("benchmark.mode", of_a.mode.to_string(), of_b.mode.to_string());
    differ("latency limit", format!("{} ms", of_a.latency_limit_ms), format!("{} ms", of_b.latency_limit_ms));
    differ("stages", of_a.stages.join(", "), of_b.stages.join(", "));
    differ("misbehaviour", listed(&of_a.misbehaviour), listed(&of_b.misbehaviour));
    let names = of_a.load.keys().chain(of_b.load.keys().filter(|name| !of_a.load.contains_key(*name)));
    for name in names {
        let value = |load: &std::collections::BTreeMap<String, String>| {
            load.get(name).cloned().unwrap_or_else(|| "unknown".to_owned())
        };
        differ(&format!("loader.{name}"), value(&of_a.load), value(&of_b.load));
    }
    found
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, of) = match self {
            Self::Faster(of) => ("faster", of),
            Self::Slower(of) => ("slower", of),
            Self::Same(of) => ("no difference that these runs can see", of),
            Self::Unlike(why) => {
                writeln!(f, "not comparable:")?;
                return why.iter().try_for_each(|why| writeln!(f, "  {why}"));
            }
        };
        for (name, of) in [("A", of.a), ("B", of.b)] {
            let Capacity { held, low, high, n, .. } = of;
            let failed = of.failed.map_or_else(String::new, |failed| format!(", gave way at {failed:.0}"));
            writeln!(
                f,
                "{name}  held {held:.0} sales/s{failed}; {n} repeats {low:.0}–{high:.0}, median {:.0}",
                of.median
            )?;
        }
        let (percent, visible) = ((of.ratio - 1.0) * 100.0, of.visible * 100.0);
        match self {
            Self::Same(_) => writeln!(f, "{word}: {percent:+.1} %, and less than {visible:.0} % can't be seen"),
            _ => writeln!(f, "B is {word}: {percent:+.1} % (the ranges do not overlap)"),
        }
    }
}
