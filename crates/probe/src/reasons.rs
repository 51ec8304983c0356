//! Why something could not be measured.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use service::Figures;
use tracing::info;

/// What can't be measured now, and how often it couldn't. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reasons(Arc<Mutex<BTreeMap<String, Reason>>>);

#[derive(Debug, Default)]
struct Reason {
    why: Option<String>,
    failures: u64,
}

impl Reasons {
    /// Takes whether something could be measured. Only a change is logged.
    pub(crate) fn put(&self, name: &str, why: Option<String>) {
        let mut reasons = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let reason = reasons.entry(name.to_owned()).or_default();
        if reason.why.is_some() != why.is_some() {
            info!(name, why, "what can be measured changed");
        }
        reason.failures += u64::from(why.is_some());
        reason.why = why;
    }

    /// Adds them to the report.
    pub(crate) fn add_to(&self, mut figures: Figures) -> Figures {
        for (name, reason) in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            figures = figures.counter(format!("{name}_failures"), reason.failures);
            if let Some(why) = &reason.why {
                figures = figures.unknown(name, why);
            }
        }
        figures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_counted_and_the_reason_is_that_of_the_last() {
        let reasons = Reasons::default();
        for why in [Some("full"), Some("read-only"), None, Some("gone")] {
            reasons.put("fsync", why.map(str::to_owned));
        }
        reasons.put("neighbour", None);
        let figures = reasons.add_to(Figures::default());
        assert_eq!(figures.unknown, BTreeMap::from([("fsync".to_owned(), "gone".to_owned())]));
        assert_eq!((figures.counters["fsync_failures"], figures.counters["neighbour_failures"]), (3, 0));
    }
}
