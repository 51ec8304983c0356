//! What a jump of the load did.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::judge::Criterion;
use crate::report::words::{duration, rate};

/// What was asked: a jump of the load.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Jump {
    /// Sales per second before it, all loaders together.
    pub from: f64,
    /// Sales per second after it.
    pub to: f64,
    /// Seconds after it within which all service levels must hold again.
    pub within_seconds: f64,
}

impl Jump {
    /// The two rates, in a text.
    pub fn rates(&self) -> String {
        format!("{} to {} sales/s", rate(self.from), rate(self.to))
    }
}

/// What came of the jump.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Recovery {
    /// Seconds from the jump until all service levels held again: 0 if they were never seen broken, none if they did not hold
    /// again in time.
    pub seconds: Option<f64>,
    /// Seconds for which they had to hold.
    pub window_seconds: f64,
    /// What was wrong in the first window that did not hold; none if the first one held.
    pub broken: Option<Criterion>,
    /// Pods of each role when the load jumped.
    pub before: BTreeMap<String, usize>,
    /// The same at the end.
    pub after: BTreeMap<String, usize>,
    /// Each change of their number, in order.
    pub scaled: Vec<Scaled>,
}

/// A change of the number of pods.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Scaled {
    /// Seconds since the jump.
    pub seconds: f64,
    /// The role.
    pub component: String,
    /// How many pods it had from then on.
    pub pods: usize,
}

impl Recovery {
    /// How many pods there were before and after, of roles whose number is not the same; none if all are.
    pub fn pods(&self) -> Option<String> {
        let roles = self.before.keys().chain(self.after.keys().filter(|role| !self.before.contains_key(*role)));
        let count = |pods: &BTreeMap<String, usize>, role: &String| pods.get(role).copied().unwrap_or(0);
        let changed = roles.filter_map(|role| {
            let (before, after) = (count(&self.before, role), count(&self.after, role));
            (before != after).then(|| format!("{role} from {before} to {after} pods"))
        });
        Some(changed.collect::<Vec<_>>().join(", ")).filter(|text| !text.is_empty())
    }

    /// The result in a few words.
    pub fn headline(&self, jump: &Jump) -> String {
        match self.seconds {
            None => format!("not recovered within {} of a jump from {}", duration(jump.within_seconds), jump.rates()),
            Some(seconds) if self.broken.is_some() => {
                format!("recovered in {} from a jump from {}", duration(seconds), jump.rates())
            }
            Some(_) => format!("recovered in 0s: a jump from {} broke no service level", jump.rates()),
        }
    }

    pub(crate) fn reason(&self, jump: &Jump) -> String {
        let pods = self.pods().unwrap_or_else(|| "no pod was added".to_owned());
        match &self.broken {
            None => format!(
                "no service level was seen broken after the jump from {}: nothing had to recover; {pods}",
                jump.rates()
            ),
            Some(_) => format!(
                "all service levels held again {} after the jump from {}, for {}; {pods}",
                duration(self.seconds.unwrap_or(0.0)),
                jump.rates(),
                duration(self.window_seconds)
            ),
        }
    }
}
