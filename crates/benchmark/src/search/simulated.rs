//! Clusters to search on: each decides how a step at a rate ends.

use std::time::Duration;

use super::{Found, Limits, Next, Outcome, Past, Phase, Search, Step};

/// How long a step of the simulation takes.
const STEP: Duration = Duration::from_secs(80);

/// A search that is over.
pub(super) struct Searched {
    pub(super) found: Found,
    pub(super) search: Search,
    pub(super) elapsed: Duration,
}

/// Runs a search against a cluster, which is told the step and how many there were before.
pub(super) fn search(limits: Limits, mut cluster: impl FnMut(Step, usize) -> Outcome) -> Searched {
    let (mut search, mut elapsed) = (Search::new(limits), Duration::ZERO);
    loop {
        let step = match search.next(elapsed) {
            Next::Done(found) => return Searched { found, search, elapsed },
            Next::Step(step) => step,
        };
        let outcome = cluster(step, search.past().len());
        let delivered = (outcome == Outcome::Held).then_some(step.rate);
        search.record(Past { step, outcome, delivered });
        elapsed += STEP;
        assert!(search.past().len() < 1_000, "the search does not end");
    }
}

/// Limits that end a search by its own will, not by time.
pub(super) fn unhurried(maximum: f64) -> Limits {
    Limits {
        start: maximum / 32.0,
        minimum: maximum / 512.0,
        maximum,
        width: 0.05,
        repeats: 5,
        above: 3,
        budget: Duration::from_hours(24),
        ramp_step: STEP,
        judged_step: STEP,
    }
}

/// Holds up to a limit, and never above it.
pub(super) fn sharp(limit: f64) -> impl FnMut(Step, usize) -> Outcome {
    move |step, _| if step.rate <= limit { Outcome::Held } else { Outcome::Failed }
}

/// Holds with a chance that falls from 1 to 0 within `spread` of the limit on either side.
pub(super) fn noisy(limit: f64, spread: f64, seed: u64) -> impl FnMut(Step, usize) -> Outcome {
    let mut random = Random(seed);
    move |step, _| {
        let holds = 0.5 - (step.rate / limit - 1.0) / (2.0 * spread);
        if random.next() < holds { Outcome::Held } else { Outcome::Failed }
    }
}

pub(super) fn count(searched: &Searched, phase: Phase) -> usize {
    searched.search.past().iter().filter(|past| past.step.phase == phase).count()
}

/// `SplitMix64`, so that a failing case can be repeated.
pub(super) struct Random(pub(super) u64);

impl Random {
    /// From 0 to 1.
    pub(super) fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}
