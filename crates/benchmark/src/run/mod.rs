//! A run: preflight, baseline, calibration, warm-up, search, audit, diagnosis, verdict. Or, instead of calibration and search, a
//! jump of the load.
//!
//! The loaders' rates are leased: killed at any instruction, this program leaves a cluster whose loads go back to what they
//! were. Whatever happens, there is a capsule at the end, and its verdict is one of four.

mod cluster;
mod elastic;
mod exposition;
mod gather;
#[cfg(test)]
mod gather_tests;
mod http;
mod load;
mod outcome;
mod pace;
mod preflight;
mod shown;
mod step;

use std::collections::BTreeMap;
use std::time::Duration;

use service::state::State;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

pub use cluster::Cluster;
pub use http::Http;
pub use pace::Pace;
pub use shown::Shown;

use crate::capsule::{Capsule, Jump, StepRecord, bounded};
use crate::config::Config;
use crate::diagnose::{Installation, Moment};
use crate::judge::{Judged, Terms, judge, parameters_of};
use crate::report::progress::{self, COLUMNS};
use crate::search::{Limits, Next, Outcome, Past, Phase, Search, Step};
use crate::verdict::Decision;
use load::Load;
use shown::Part;

/// Ticks between two lines of progress.
const LINE_EVERY: usize = 10;
/// Ticks for the pods to be there, and the exporter to have heard them.
const PREFLIGHT_TICKS: usize = 60;
/// Ticks without an answer of the exporter until the run gives up.
const SILENT_TICKS: usize = 60;
/// Tries to set a rate.
const OFFERS: usize = 5;
/// Sales per second of each loader while nothing is measured: enough to see that all is alive.
const REST: f64 = 1.0;
/// Sales per second of each loader that tell its ceiling roughly, and that any cluster carries.
const CALIBRATE: f64 = 100.0;
/// From a third of its ceiling on, a loader tells it well; but a cluster may not carry that yet.
const CALIBRATE_MOST: f64 = 500.0;
/// Loaders are used up to their ceiling divided by this.
const RESERVE: f64 = 1.5;
/// A step has at least so many sales, for which it may take up to three times its time.
const SALES: f64 = 1_000.0;

/// Runs, prints and shows how it goes, and returns the record of it.
pub async fn run<C: Cluster>(
    config: &Config,
    cluster: &C,
    pace: Pace,
    shutdown: &CancellationToken,
    shown: &Shown,
    print: &mut (dyn FnMut(&str) + Send),
) -> anyhow::Result<Capsule> {
    let (installation, jump) = (config.installation()?, config.jump()?);
    let mut ticker = interval(pace.tick);
    ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut runner = Runner {
        config,
        cluster,
        pace,
        shutdown,
        shown,
        print,
        ticker,
        load: Load::new(cluster, Vec::new(), pace.renew, pace.lease),
        installation,
        jump,
        part: Part { phase: "preflight", step: None, rate: None },
        began: Instant::now(),
        began_us: service::unix_us(),
        until: None,
        ticks: 0,
        silent: 0,
        is_empty: false,
        first: None,
        calibrated: None,
        warm: None,
        quiet: None,
        steps: Vec::new(),
        moments: Vec::new(),
        swings: BTreeMap::new(),
    };
    let asked = jump.map_or_else(|| progress::target(runner.target()), |jump| progress::jump(&jump));
    let header = progress::header(config.run.as_str(), config.latency_limit_ms(), &asked, runner.most_seconds());
    (runner.print)(&header);
    let ended = runner.all().await;
    runner.load.release().await;
    Ok(runner.capsule(ended))
}

/// Why a run ends before it has searched.
struct Stop(Decision);

impl Stop {
    fn no_exporter() -> Self {
        Self(Decision::could_not_run("the exporter does not answer", "look at its log: kubectl logs deploy/…-exporter"))
    }

    fn told() -> Self {
        Self(Decision::could_not_run("it was told to stop", "run it again"))
    }
}

struct Runner<'a, C> {
    config: &'a Config,
    cluster: &'a C,
    pace: Pace,
    shutdown: &'a CancellationToken,
    shown: &'a Shown,
    print: &'a mut (dyn FnMut(&str) + Send),
    ticker: Interval,
    load: Load<'a, C>,
    installation: Installation,
    /// What is measured instead of the capacity.
    jump: Option<Jump>,
    part: Part,
    began: Instant,
    began_us: i64,
    /// When the search must be over, or the service levels hold again.
    until: Option<Instant>,
    ticks: usize,
    /// Ticks since the exporter has answered.
    silent: usize,
    /// Whether all that was offered has come through.
    is_empty: bool,
    /// The state at the beginning, with which the auditor's findings are compared.
    first: Option<State>,
    calibrated: Option<f64>,
    /// The state at the end of the warm-up.
    warm: Option<State>,
    quiet: Option<Moment>,
    steps: Vec<StepRecord>,
    /// What was seen in each step.
    moments: Vec<Moment>,
    /// How far the lag swung in the steps that held, in seconds of what was offered.
    swings: BTreeMap<String, f64>,
}

impl<C: Cluster> Runner<'_, C> {
    async fn all(&mut self) -> Result<outcome::Ended, Stop> {
        let loaders = self.preflight().await?;
        self.load = Load::new(self.cluster, loaders, self.pace.renew, self.pace.lease);
        self.baseline().await?;
        if let Some(jump) = self.jump {
            return self.elasticity(jump).await.map(outcome::Ended::Jumped);
        }
        let most = self.calibrate().await?;
        let warm = self.target().map_or(most / 8.0, |target| target / 2.0);
        self.warm_up(warm.min(CALIBRATE_MOST * self.load.loaders() as f64).min(most)).await?;
        let (search, found) = self.search(most).await?;
        let audit = self.audit().await?;
        Ok(outcome::Ended::Searched(outcome::Searched { search, found, audit }))
    }

    /// Waits until all is there.
    async fn preflight(&mut self) -> Result<Vec<String>, Stop> {
        let mut refused = Stop::no_exporter();
        for _ in 0..PREFLIGHT_TICKS {
            let Some(state) = self.tick("preflight").await? else { continue };
            match preflight::check(&state, &self.installation) {
                Ok(loaders) => {
                    self.first = Some(state);
                    return Ok(loaders);
                }
                Err(decision) => refused = Stop(decision),
            }
        }
        Err(refused)
    }

    /// What the cluster is like at rest.
    async fn baseline(&mut self) -> Result<(), Stop> {
        let rate = REST * self.load.loaders() as f64;
        self.part = Part::before("baseline", rate);
        // Under the configured load, there are always some sales on their way.
        self.rest("preflight").await?;
        let window = self.step(rate, "baseline", self.pace.times.settle).await?;
        let judged = judge(&window, &self.terms(rate));
        self.quiet = Some(gather::moment(&window, &judged));
        Ok(())
    }

    /// Asks the loaders what they can offer, which they tell from what they do.
    async fn calibrate(&mut self) -> Result<f64, Stop> {
        let loaders = self.load.loaders() as f64;
        let half = self.pace.times.calibrate / 2;
        self.part = Part::before("calibrate", CALIBRATE * loaders);
        self.offer(CALIBRATE * loaders, "calibrate").await?;
        let rough = self.ceiling(half).await?;
        let target = self.target();
        // With a target, a third of what is needed is what tells whether the loaders do.
        let closer = target.map_or((rough / 8.0).min(CALIBRATE_MOST * loaders), |target| target / 2.0);
        let closer = closer.max(CALIBRATE * loaders);
        self.part = Part::before("calibrate", closer);
        self.offer(closer, "calibrate-closer").await?;
        let ceiling = self.ceiling(half).await?.max(rough);
        self.calibrated = Some(ceiling);
        if let Some(wanted) = target.map(|target| target * RESERVE).filter(|wanted| ceiling < *wanted) {
            return Err(Stop(preflight::too_few(ceiling, wanted, self.load.loaders(), &self.installation)));
        }
        Ok(ceiling / RESERVE)
    }

    async fn ceiling(&mut self, length: Duration) -> Result<f64, Stop> {
        self.wait("calibrate", length).await?;
        for _ in 0..LINE_EVERY {
            if let Some(ceiling) = self.tick("calibrate").await?.as_ref().and_then(preflight::ceiling) {
                return Ok(ceiling);
            }
        }
        Err(Stop(Decision::could_not_run(
            "the loaders do not tell how much they can offer",
            "look at their log, and at whether they are of the same version as this program",
        )))
    }

    /// Brokers are JVMs: the first minutes of any rate are slower than what follows.
    async fn warm_up(&mut self, rate: f64) -> Result<(), Stop> {
        self.part = Part::before("warm-up", rate);
        self.offer(rate, "warm-up").await?;
        self.wait("warm-up", self.pace.times.warm_up).await?;
        self.warm = self.tick("warm-up").await?;
        self.rest("warm-up").await
    }

    /// A rate that the cluster is thought to carry: half of what its slowest stage could do by its own estimate, which is low
    /// at little load, so at least twice what the loaders were calibrated with; at most half of the target.
    fn carried(&self) -> f64 {
        let ceilings = self.warm.iter().flat_map(|state| state.stages.iter().skip(1));
        let slowest = ceilings.filter_map(|stage| stage.ceiling).filter(|ceiling| *ceiling > 0.0).reduce(f64::min);
        let calibrated = 2.0 * CALIBRATE * self.load.loaders() as f64;
        let carried = slowest.map_or(calibrated, |slowest| (slowest / 2.0).max(calibrated));
        self.target().map_or(carried, |target| carried.min(target / 2.0))
    }

    async fn search(&mut self, most: f64) -> Result<(Search, crate::search::Found), Stop> {
        let limits = Limits::new(self.config.mode, &self.pace.times, most).starting(self.carried());
        let mut search = Search::new(limits);
        let began = Instant::now();
        self.until = Some(began + self.pace.times.search);
        (self.print)(COLUMNS);
        loop {
            let step = match search.next(began.elapsed()) {
                Next::Done(found) => return Ok((search, found)),
                Next::Step(step) => step,
            };
            let judged = self.judged(step).await?;
            search.record(Past { step, outcome: judged.outcome, delivered: judged.delivered });
            if let Some(ceiling) = self.cluster.state().await.ok().as_ref().and_then(preflight::ceiling) {
                self.calibrated = Some(self.calibrated.map_or(ceiling, |before| before.max(ceiling)));
                search.can_offer(ceiling / RESERVE);
            }
            let next = match search.next(began.elapsed()) {
                Next::Step(next) => progress::announced(next.phase, next.rate, next.repeat),
                Next::Done(_) => "the search is over".to_owned(),
            };
            let at = self.nominal(self.began.elapsed());
            (self.print)(&progress::judged(at, self.steps.len(), None, &judged, &next));
        }
    }

    /// Does a step and judges it.
    async fn judged(&mut self, step: Step) -> Result<Judged, Stop> {
        let times = self.pace.times;
        let usual = if step.phase == Phase::Ramp { times.ramp } else { times.measure };
        let wanted = self.real(SALES / step.rate.max(1.0));
        let name = format!("{}-{}", step.phase.name(), self.steps.len() + 1);
        self.part = Part { phase: step.phase.name(), step: Some(self.steps.len() as u64 + 1), rate: Some(step.rate) };
        let window = self.step(step.rate, &name, wanted.clamp(usual, usual * 3)).await?;
        let judged = judge(&window, &self.terms(step.rate));
        self.moments.push(gather::moment(&window, &judged));
        if judged.outcome == Outcome::Held {
            for lag in judged.lags.iter().chain(&judged.partitions) {
                let widest = self.swings.entry(lag.of.clone()).or_default();
                *widest = widest.max(lag.swing / step.rate);
            }
        }
        let began_us = window.begin.state.at_us;
        let points = window.seconds.iter().map(|second| {
            let at = (second.state.at_us - began_us) as f64 / 1e6;
            step::point(&second.state, at)
        });
        let points = bounded(&points.collect::<Vec<_>>());
        self.steps.push(StepRecord { began_us, step, judged: judged.clone(), points });
        Ok(judged)
    }

    fn terms(&self, offered: f64) -> Terms {
        let mix = parameters_of(&self.config.load.0);
        Terms { offered, latency_limit: self.config.limit(), swings: self.swings.clone(), mix }
    }

    async fn offer(&mut self, rate: f64, name: &str) -> Result<(), Stop> {
        self.is_empty = false;
        for left in (0..OFFERS).rev() {
            match self.load.offer(rate, name).await {
                Ok(()) => return Ok(()),
                // A loader on a busy node may need a moment.
                Err(err) if left > 0 => debug!(err = format!("{err:#}"), "setting the rate"),
                Err(err) => {
                    let remedy = "look at the loaders' logs, and at whether BENCHMARK_TOKEN is that of this release";
                    return Err(Stop(Decision::could_not_run(format!("{err:#}"), remedy)));
                }
            }
            self.tick("wait").await?;
        }
        Ok(())
    }

    /// A little load, so that what is alive can be told from what hangs.
    async fn rest(&mut self, after: &str) -> Result<(), Stop> {
        self.offer(REST * self.load.loaders() as f64, &format!("after-{after}")).await
    }

    async fn wait(&mut self, doing: &'static str, length: Duration) -> Result<(), Stop> {
        let until = Instant::now() + length;
        while Instant::now() < until {
            self.tick(doing).await?;
        }
        Ok(())
    }

    /// One second: renews the leases, asks the exporter, and now and then prints how it goes. None if it did not answer.
    async fn tick(&mut self, doing: &'static str) -> Result<Option<State>, Stop> {
        tokio::select! {
            biased;
            () = self.shutdown.cancelled() => return Err(Stop::told()),
            _ = self.ticker.tick() => {}
        }
        if let Err(err) = self.load.keep().await {
            // The step is then judged INVALID, since its load was not as asked.
            warn!(err = format!("{err:#}"), "the loaders went back to their configured rate");
        }
        self.ticks += 1;
        self.shown.set(self.now(doing));
        match self.cluster.state().await {
            Ok(state) => {
                self.silent = 0;
                if self.ticks.is_multiple_of(LINE_EVERY) {
                    self.progress(doing, &state);
                }
                Ok(Some(state))
            }
            Err(err) => {
                debug!(err = format!("{err:#}"), "asking the exporter");
                self.silent += 1;
                if self.silent >= SILENT_TICKS { Err(Stop::no_exporter()) } else { Ok(None) }
            }
        }
    }

    /// Sales per second that are wanted.
    fn target(&self) -> Option<f64> {
        self.config.target.map(crate::config::Rate::per_second)
    }

    /// What the run takes at most, in seconds.
    fn most_seconds(&self) -> f64 {
        let most = |jump: Jump| self.nominal(elastic::most(&self.pace.times)) + jump.within_seconds;
        self.jump.map_or_else(|| self.pace.total(), most)
    }

    /// How long so many seconds of a mode take.
    fn real(&self, seconds: f64) -> Duration {
        self.pace.tick.mul_f64(seconds)
    }

    /// Seconds as a mode counts them.
    fn nominal(&self, elapsed: Duration) -> f64 {
        elapsed.as_secs_f64() / self.pace.tick.as_secs_f64()
    }
}
