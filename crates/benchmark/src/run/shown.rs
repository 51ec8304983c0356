//! What a run does at present, for those who ask on its admin port: the exporter, which shows it on its page.

use std::sync::{Arc, Mutex, PoisonError};

use service::http::{self, Request, Response, StatusCode};
use service::state::BenchmarkRun;

use super::Runner;
use super::cluster::Cluster;
use crate::search::Outcome;

/// Where a run leaves what it does, each second. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Shown(Arc<Mutex<Option<BenchmarkRun>>>);

impl Shown {
    /// What it does; none before it begins.
    pub fn now(&self) -> Option<BenchmarkRun> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set(&self, now: BenchmarkRun) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

    /// Answers `/api/v1/run`; none for other paths.
    pub fn answer(&self, request: &Request) -> Option<Response> {
        (request.uri().path() == "/api/v1/run").then(|| match self.now() {
            Some(now) => http::json(&now),
            None => http::error(StatusCode::SERVICE_UNAVAILABLE, "the run has not begun"),
        })
    }
}

/// What is being done.
pub(super) struct Part {
    pub(super) phase: &'static str,
    /// Number of the step of the search.
    pub(super) step: Option<u64>,
    /// Sales per second that it is about.
    pub(super) rate: Option<f64>,
}

impl Part {
    pub(super) fn before(phase: &'static str, rate: f64) -> Self {
        Self { phase, step: None, rate: Some(rate) }
    }
}

impl<C: Cluster> Runner<'_, C> {
    /// What is shown of this moment.
    pub(super) fn now(&self, doing: &str) -> BenchmarkRun {
        let judged = |outcome: Outcome| {
            let steps = self.steps.iter().filter(move |record| record.judged.outcome == outcome);
            steps.map(|record| record.step.rate)
        };
        let held = judged(Outcome::Held).reduce(f64::max);
        let failed = judged(Outcome::Failed).filter(|failed| held.is_none_or(|held| *failed > held)).reduce(f64::min);
        BenchmarkRun {
            name: self.config.run.to_string(),
            mode: self.config.mode.to_string(),
            phase: self.part.phase.to_owned(),
            doing: doing.to_owned(),
            step: self.part.step,
            rate: self.part.rate,
            held,
            failed,
            elapsed_seconds: self.nominal(self.began.elapsed()),
            most_seconds: self.most_seconds(),
        }
    }
}
