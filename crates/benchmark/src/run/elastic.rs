//! A jump of the load: hold a low rate, jump to a high one, and watch until all service levels hold again.
//!
//! Nothing before the jump offers more than the low rate, since an autoscaler would answer to it: it would have added the pods
//! already, and takes minutes to remove them.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::cluster::Cluster;
use super::shown::Part;
use super::{Runner, Stop, gather, outcome, preflight, step};
use crate::capsule::{Jump, Point, Recovery, Scaled, StepRecord, bounded};
use crate::decide::untrusted;
use crate::elasticity::{Seen, Watch, changes, does_not_hold, holds, pods, wrong};
use crate::judge::{Judged, Terms, judge};
use crate::mode::Times;
use crate::report::progress::{self, COLUMNS};
use crate::search::{Outcome, Phase, Step};

/// Windows that begin while one lasts: the result is exact to this part of it.
const LOOKS: u32 = 12;
/// A look takes two ticks at least.
const LEAST_BETWEEN: u32 = 2;
/// Times that the low rate is judged, as a step of the search is: one bad step is not the truth.
const TRIES: usize = 2;

/// What a run takes at most, without the time to recover.
pub(super) fn most(times: &Times) -> Duration {
    let Times { warm_up, settle, measure, drain, audit, .. } = *times;
    // The baseline, and the low rate twice; the jump ends in a window, and is drained.
    warm_up + (settle * 2 + drain) + (settle + measure + drain) * 2 + settle + measure + drain + audit
}

impl<C: Cluster> Runner<'_, C> {
    /// The run after the baseline.
    pub(super) async fn elasticity(&mut self, jump: Jump) -> Result<outcome::Jumped, Stop> {
        self.warm_up(jump.from).await?;
        (self.print)(COLUMNS);
        self.before(&jump).await?;
        let recovery = self.jump(&jump).await?;
        let audit = self.audit().await?;
        Ok(outcome::Jumped { jump, recovery, audit })
    }

    /// Sees that the low rate holds.
    async fn before(&mut self, jump: &Jump) -> Result<(), Stop> {
        for tried in 1..=TRIES {
            let step = Step { rate: jump.from, phase: Phase::Before, repeat: tried > 1 };
            let judged = self.judged(step).await?;
            let next = match judged.outcome {
                Outcome::Held => progress::announced(Phase::Jump, jump.to, false),
                _ if tried < TRIES => progress::announced(Phase::Before, jump.from, true),
                _ => "the run ends".to_owned(),
            };
            let at = self.nominal(self.began.elapsed());
            (self.print)(&progress::judged(at, self.steps.len(), None, &judged, &next));
            match judged.outcome {
                Outcome::Held => return Ok(()),
                _ if tried < TRIES => {}
                Outcome::Failed => return Err(Stop(does_not_hold(jump, &judged))),
                Outcome::Invalid => return Err(Stop(untrusted(&self.steps))),
            }
        }
        Ok(())
    }

    /// Jumps, and watches until the levels hold again or the time is over.
    async fn jump(&mut self, jump: &Jump) -> Result<Recovery, Stop> {
        let times = self.pace.times;
        let every = (times.measure / LOOKS).max(self.pace.tick * LEAST_BETWEEN);
        let number = self.steps.len() as u64 + 1;
        self.part = Part { phase: Phase::Jump.name(), step: Some(number), rate: Some(jump.to) };
        self.offer(jump.from, "before-the-jump").await?;
        self.wait("settle", times.settle).await?;
        let before = pods(&self.snapshot().await?.state);
        let mut watching = Watching {
            jumped: Instant::now(),
            recovery: Recovery {
                seconds: None,
                window_seconds: self.nominal(times.measure),
                broken: None,
                after: before.clone(),
                before,
                scaled: Vec::new(),
            },
            points: Vec::new(),
            asked: 0,
        };
        self.until = Some(watching.jumped + self.real(jump.within_seconds) + times.measure);
        self.offer(jump.to, "jump").await?;
        self.wait("watch", self.pace.tick * step::POLLED).await?;
        let look = self.snapshot().await?;
        let began_us = look.state.at_us;
        let mut watch = Watch::new(watching.recovery.window_seconds, self.nominal(watching.jumped.elapsed()), look);
        let terms = Terms { swings: BTreeMap::new(), ..self.terms(jump.to) };
        let (seen, judged) = loop {
            self.watch(&mut watching, &mut watch, every).await?;
            let look = self.snapshot().await?;
            let Some(seen) = watch.look(self.nominal(watching.jumped.elapsed()), look) else { continue };
            let judged = judge(&seen.window, &terms);
            if holds(&judged, &terms) {
                watching.recovery.seconds = Some(seen.from);
                break (seen, judged);
            }
            watching.recovery.broken = watching.recovery.broken.or_else(|| wrong(&judged).cloned());
            if seen.from + self.nominal(every) > jump.within_seconds {
                break (seen, judged);
            }
        };
        let judged = watch.since_jump(judged, &terms);
        self.jumped(jump, began_us, &watching, &seen, judged).await?;
        Ok(watching.recovery)
    }

    /// Looks each second until the next look at all reports, and tells which pods came and went.
    async fn watch(&mut self, watching: &mut Watching, watch: &mut Watch, length: Duration) -> Result<(), Stop> {
        let until = Instant::now() + length;
        while Instant::now() < until {
            let second = self.second("watch", watching.asked).await?;
            watching.asked += 1;
            let at = self.nominal(watching.jumped.elapsed());
            if let Some(second) = &second {
                watching.points.push(step::point(&second.state, at));
                let now = pods(&second.state);
                for (role, pods) in changes(&watching.recovery.after, &now) {
                    let run_at = self.nominal(self.began.elapsed());
                    (self.print)(&progress::scaled(run_at, role, watching.recovery.after.get(role).copied(), pods, at));
                    watching.recovery.scaled.push(Scaled { seconds: at, component: role.clone(), pods });
                }
                watching.recovery.after = now;
            }
            watch.second(at, second);
        }
        Ok(())
    }

    /// Takes the rate back, and records what was seen as a step.
    async fn jumped(
        &mut self,
        jump: &Jump,
        began_us: i64,
        watching: &Watching,
        seen: &Seen,
        mut judged: Judged,
    ) -> Result<(), Stop> {
        self.calibrated = preflight::ceiling(&seen.window.end.state);
        self.rest("jump").await?;
        judged.drain_seconds = self.drain().await?.map(|drain| drain.as_secs_f64());
        let at = self.nominal(self.began.elapsed());
        (self.print)(&progress::judged(at, self.steps.len() + 1, None, &judged, &watching.recovery.headline(jump)));
        self.moments.push(gather::moment(&seen.window, &judged));
        let step = Step { rate: jump.to, phase: Phase::Jump, repeat: false };
        self.steps.push(StepRecord { began_us, step, judged, points: bounded(&watching.points) });
        Ok(())
    }
}

/// What is noted while the levels are watched.
struct Watching {
    jumped: Instant,
    recovery: Recovery,
    points: Vec<Point>,
    /// How many times the exporter was asked.
    asked: usize,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mode::Mode;

    #[test]
    fn without_the_time_to_recover_a_jump_takes_less_than_a_search() {
        for mode in [Mode::Smoke, Mode::Default, Mode::Certificate] {
            let times = mode.times();
            let search = times.calibrate + times.warm_up + times.search + times.audit;
            assert!(most(&times) < search, "{mode}: {:?}", most(&times));
        }
    }
}
