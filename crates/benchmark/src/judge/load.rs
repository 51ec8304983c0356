//! How the loaders kept to their schedule, and whose fault it was if they did not.

use std::time::Duration;

use service::reported::loader::{BLOCKED, BLOCKED_US, DUE, LATE_THROTTLED, SCHEDULE_LAG, SENT, UNKNOWN};

use super::levels::{OFFERED_SHARE, percent};
use super::sample::{Between, Pair};
use super::{Criterion, Met};

/// The component.
pub(super) const LOADER: &str = pipeline::Stage::Accepted.component();
/// Share of the latency limit that a sale may be handed over late: what is measured would be the loader's own doing.
const LATE_OF_LIMIT: f64 = 0.05;
/// Share of the sales that may be later than that.
const LATE_SHARE: f64 = 0.01;
/// Share of the time that a loader's CPU limit may keep it waiting.
const THROTTLED_SHARE: f64 = 0.01;
/// Share of its CPU limit that a loader may use: above it, bursts are throttled.
const CPU_SHARE: f64 = 0.8;
/// How far the plan may be from what was asked: a lease that ran out, a loader that was away.
const PLANNED_SHARE: f64 = 0.01;
/// Share of sales of which nobody can say whether they were accepted.
const UNKNOWN_SHARE: f64 = 0.001;

/// What the loaders did in a step.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Schedule {
    /// Share of sales handed over late by the loaders' own fault.
    pub(super) late_own: Option<f64>,
    /// Share of sales handed over late since Kafka took no more.
    pub(super) late_blocked: Option<f64>,
    /// Share of sales due and not sent, while Kafka did take more.
    pub(super) short_own: Option<f64>,
    /// The same while it did not.
    pub(super) short_blocked: Option<f64>,
    /// Share of sales that the loader with the largest `late_own` handed over late, if by milliseconds only, since it waited
    /// for a CPU; none if it can't tell.
    late_for_cpu: Option<f64>,
}

impl Schedule {
    /// Of the worst loader.
    pub(super) fn of(whole: &Between, limit: Duration) -> Self {
        let bound_us = bound_us(limit);
        let each: Vec<_> = whole.of(LOADER).map(|pair| one(pair, bound_us)).collect();
        let worst = |share: fn(&Self) -> Option<f64>| {
            each.iter().map(|it| share(it.as_ref()?)).reduce(|all, one| Some(all?.max(one?))).flatten()
        };
        let late = |it: &Self| it.late_own.unwrap_or(0.0);
        let latest = each.iter().flatten().max_by(|one, other| late(one).total_cmp(&late(other)));
        Self {
            late_own: worst(|it| it.late_own),
            late_blocked: worst(|it| it.late_blocked),
            short_own: worst(|it| it.short_own),
            short_blocked: worst(|it| it.short_blocked),
            late_for_cpu: latest.and_then(|it| it.late_for_cpu),
        }
    }
}

fn bound_us(limit: Duration) -> u64 {
    u64::try_from(limit.as_micros() / 20).unwrap_or(u64::MAX)
}

fn one(pair: &Pair, bound_us: u64) -> Option<Schedule> {
    let above = |name| {
        let measured = pair.measured(name)?;
        Some(measured.histogram.len() - measured.within(bound_us))
    };
    let (due, sent) = (pair.count(DUE)?, pair.count(SENT)?);
    let (late, blocked) = (above(SCHEDULE_LAG)?, above(BLOCKED)?);
    let of_sent = |n: u64| n as f64 / sent.max(1) as f64;
    let short = due.saturating_sub(sent) as f64 / due.max(1) as f64;
    // A queue that was full for a part of the step is the reason for what is missing at its end.
    let is_blocked = pair.count(BLOCKED_US)? > 0 && blocked * 2 >= late;
    Some(Schedule {
        late_own: Some(of_sent(late.saturating_sub(blocked))),
        late_blocked: Some(of_sent(blocked)),
        short_own: Some(if is_blocked { 0.0 } else { short }),
        short_blocked: Some(if is_blocked { short } else { 0.0 }),
        late_for_cpu: pair.count(LATE_THROTTLED).map(of_sent),
    })
}

/// The loaders were late for their own reasons.
pub(super) fn on_schedule(schedule: &Schedule, limit: Duration) -> Criterion {
    let bound = limit.mul_f64(LATE_OF_LIMIT);
    let (name, bound) = ("loaders on schedule", format!("99 % within {} ms, 99.9 % sent", bound.as_millis()));
    let (Some(late), Some(short)) = (schedule.late_own, schedule.short_own) else {
        return Criterion::unknown(name, bound, "a loader did not report").or(LOOK_AT_LOADERS);
    };
    let met = late <= LATE_SHARE && short <= 1.0 - OFFERED_SHARE;
    let mut text = format!("{} late, {} not sent by own fault", percent(late), percent(short));
    let waited = !met && schedule.late_for_cpu.is_some_and(|share| share * 2.0 >= late);
    if waited {
        text += ", mostly while waiting for a CPU";
    }
    Criterion::new(name, bound, text, Met::from(met)).or(if waited { GIVE_CPU } else { GIVE_MORE })
}

/// The node's CPUs are shared in proportion to the requests.
const GIVE_CPU: &str = "raise loader.resources.requests.cpu, the loaders' share of a busy node, or place them on a node of their \
                        own with loader.nodeSelector";
const GIVE_MORE: &str = "raise loader.resources.limits.cpu or loader.replicas, or place the loaders on a node of their own \
                         with loader.nodeSelector";
const LOOK_AT_LOADERS: &str = "look at the loaders' logs: kubectl logs -l app.kubernetes.io/component=loader";

/// The loaders were at the limit of their own CPU.
pub(super) fn not_throttled(window: &Between) -> Criterion {
    let (name, limit) = ("loaders not throttled", "1 % of the time, 80 % of the CPU limit");
    let remedy = "raise loader.resources.limits.cpu, or spread the load with loader.replicas";
    let mut worst: Option<(f64, String, bool)> = None;
    for pair in window.of(LOADER) {
        let Some(throttled) = pair.throttled() else {
            return Criterion::unknown(name, limit, &format!("the CPU of {} can't be read", pair.pod()));
        };
        // Without a limit nothing is used of it.
        let share = pair.cores().zip(pair.cpu_limit()).map_or(0.0, |(used, limit)| used / limit);
        let text = format!("{}: throttled {}, CPU {:.0} % of its limit", pair.pod(), percent(throttled), share * 100.0);
        let badness = (throttled / THROTTLED_SHARE).max(share / CPU_SHARE);
        let broken = badness > 1.0;
        if worst.as_ref().is_none_or(|(before, ..)| badness > *before) {
            worst = Some((badness, text, broken));
        }
    }
    match worst {
        Some((_, text, broken)) => Criterion::new(name, limit, text, Met::from(!broken)).or(remedy),
        None => Criterion::unknown(name, limit, "no loader reports").or(LOOK_AT_LOADERS),
    }
}

/// What the loaders planned is what they were asked for.
pub(super) fn planned(window: &Between, offered: f64) -> Criterion {
    let (name, limit) = ("load as asked", format!("{offered:.0} sales/s ± 1 %"));
    let remedy =
        "a loader stopped, restarted or lost its lease in the step: look at its log and run the benchmark again";
    let Some(due) = window.rate(LOADER, DUE) else {
        return Criterion::unknown(name, limit, "a loader did not report").or(LOOK_AT_LOADERS);
    };
    let met = (due / offered - 1.0).abs() <= PLANNED_SHARE.max(2.0 / offered);
    Criterion::new(name, limit, format!("{due:.0} sales/s due"), Met::from(met)).or(remedy)
}

/// Too much is unknown.
pub(super) fn known(whole: &Between) -> Criterion {
    let (name, limit) = ("sales of unknown fate", "0.1 %");
    let (Some(unknown), Some(sent)) = (whole.count(LOADER, UNKNOWN), whole.count(LOADER, SENT)) else {
        return Criterion::unknown(name, limit, "a loader did not report").or(LOOK_AT_LOADERS);
    };
    let share = unknown as f64 / sent.max(1) as f64;
    let text = format!("{unknown} of {sent} ({})", percent(share));
    Criterion::new(name, limit, text, Met::from(share <= UNKNOWN_SHARE))
        .or("Kafka refused sales or a loader lost its connection: look at the loaders' and brokers' logs")
}
