//! Two runs side by side: faster, slower, or the same as far as they can tell.
//!
//! Different means that the ranges of the repeats don't overlap *and* the medians differ by more than the search is wide.
//! Tests on pooled samples have found two identical systems far apart; these two conditions have not (verdict methods, Abedi
//! and Brecht, Laaber et al.).

pub mod clusters;
pub mod history;
mod readme;
mod standing;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::process::ExitCode;

pub use readme::readme;
pub use standing::{Peer, Standing};

use crate::capsule::{Capacity, Capsule};
use crate::report::words::{date, rate};
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
#[derive(Clone, Debug, PartialEq)]
pub struct Ratio {
    a: Side,
    b: Side,
    /// Median of B by median of A.
    pub ratio: f64,
    /// A difference below this share can't be seen.
    pub visible: f64,
}

/// One of the two, as far as it is printed.
#[derive(Clone, Debug, PartialEq)]
struct Side {
    run: String,
    began_us: i64,
    kapture: String,
    capacity: Capacity,
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
    let mut unlike = Vec::new();
    if is_same_run(a, b) {
        unlike.push(format!("A and B are the same run, {} of {}: give two runs", a.run, date(a.began_us)));
    }
    let (of_a, of_b) = (usable(a), usable(b));
    for (name, capsule, of) in [("A", a, &of_a), ("B", b, &of_b)] {
        if let Err(why) = of {
            unlike.push(format!("{name} ({}) {why}", capsule.run));
        }
    }
    unlike.extend(differences(a, b));
    let (Ok(of_a), Ok(of_b), true) = (of_a, of_b, unlike.is_empty()) else { return Comparison::Unlike(unlike) };
    let ratio = of_b.median / of_a.median;
    let width = |of: &Capacity| of.failed.map_or(0.0, |failed| failed / of.held - 1.0);
    let visible = width(&of_a).max(width(&of_b));
    let overlap = of_a.low <= of_b.high && of_b.low <= of_a.high;
    let compared = Ratio { a: Side::of(a, of_a), b: Side::of(b, of_b), ratio, visible };
    if overlap || (ratio.max(1.0 / ratio) - 1.0) <= visible {
        Comparison::Same(compared)
    } else if ratio > 1.0 {
        Comparison::Faster(compared)
    } else {
        Comparison::Slower(compared)
    }
}

fn is_same_run(a: &Capsule, b: &Capsule) -> bool {
    a.run == b.run && a.began_us == b.began_us
}

/// The number that can be compared; or why there is none.
fn usable(capsule: &Capsule) -> Result<Capacity, String> {
    if matches!(capsule.verdict, Verdict::Invalid | Verdict::CouldNotRun) {
        return Err(format!("is {}: {}", capsule.verdict, capsule.reason));
    }
    if capsule.parameters.elasticity.is_some() {
        return Err("measured the elasticity, and no capacity".to_owned());
    }
    let capacity = capsule.capacity().ok_or_else(|| format!("has no capacity: {}", capsule.reason))?;
    if capacity.failed.is_none() {
        return Err("has only a lower bound: no rate that was offered failed".to_owned());
    }
    Ok(capacity)
}

/// What makes them unlike: anything but the cluster, its values and the version of Kapture, which are what one compares.
fn differences(a: &Capsule, b: &Capsule) -> Vec<String> {
    let mut found = Vec::new();
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
    differ("model of the sales", of_a.model.to_string(), of_b.model.to_string());
    for name in of_a.load.keys().chain(of_b.load.keys()).collect::<BTreeSet<_>>() {
        let value = |load: &BTreeMap<String, String>| load.get(name).cloned().unwrap_or_else(|| "unknown".to_owned());
        differ(&format!("loader.{name}"), value(&of_a.load), value(&of_b.load));
    }
    found
}

/// Names in the order of the alphabet: in which order they were switched on makes no difference.
fn listed(names: &[String]) -> String {
    let names: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    if names.is_empty() { "none".to_owned() } else { names.into_iter().collect::<Vec<_>>().join(", ") }
}

impl Side {
    fn of(capsule: &Capsule, capacity: Capacity) -> Self {
        let Capsule { run, began_us, kapture, .. } = capsule;
        Self { run: run.clone(), began_us: *began_us, kapture: kapture.clone(), capacity }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Capacity { held, low, high, n, median, .. } = self.capacity;
        let failed = self.capacity.failed.map_or_else(|| "?".to_owned(), rate);
        let repeats = match n {
            0 | 1 => "no repeats".to_owned(),
            n => format!("{n} repeats {}–{}, median {}", rate(low), rate(high), rate(median)),
        };
        write!(f, "{} sales/s held, {failed} did not; {repeats}", rate(held))?;
        write!(f, "  ({}, {}, Kapture {})", self.run, date(self.began_us), self.kapture)
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, of) = match self {
            Self::Faster(of) => ("faster", of),
            Self::Slower(of) => ("slower", of),
            Self::Same(of) => ("the same, as far as these runs can tell", of),
            Self::Unlike(why) => {
                writeln!(f, "not comparable:")?;
                return why.iter().try_for_each(|why| writeln!(f, "  {why}"));
            }
        };
        writeln!(f, "A  {}\nB  {}", of.a, of.b)?;
        if of.b.began_us < of.a.began_us {
            writeln!(f, "note: B is the older of the two; to see what has changed since, give the older one first")?;
        }
        let (percent, visible) = ((of.ratio - 1.0) * 100.0, of.visible * 100.0);
        match self {
            Self::Same(_) => writeln!(f, "B is {word}: {percent:+.1} %, and less than {visible:.0} % can't be seen"),
            _ => writeln!(f, "B is {word}: {percent:+.1} % (the ranges do not overlap)"),
        }
    }
}
