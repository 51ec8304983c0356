//! What goes wrong for every sale is logged now and then.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Between two lines about the same trouble, at least.
const EVERY: Duration = Duration::from_secs(1);

/// When a line was last logged.
#[derive(Debug, Default)]
pub(crate) struct Seldom(Mutex<Option<Instant>>);

impl Seldom {
    /// Whether a line is due; it then counts as logged.
    pub(crate) fn is_due(&self) -> bool {
        let mut logged = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = logged.is_none_or(|logged| logged.elapsed() >= EVERY);
        if is_due {
            *logged = Some(Instant::now());
        }
        is_due
    }
}
