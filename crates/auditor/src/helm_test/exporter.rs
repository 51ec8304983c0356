//! Whether the exporter knows of every stage, and its counts move.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use service::state::State;

use super::table::Row;
use super::{Settings, ask};

/// Between two looks: the exporter asks every second.
const REST: Duration = Duration::from_secs(2);

/// The sales that it knew of at one moment, by stage.
pub(super) type Sales = BTreeMap<String, u64>;

/// What it knows now; nothing if it doesn't answer.
pub(super) async fn sales(settings: &Settings) -> Sales {
    let known = state(settings).await.unwrap_or_default().stages.into_iter();
    known.filter_map(|stage| Some((stage.name, stage.sales?))).collect()
}

/// Looks until the sales of these stages are known, and are more than `before`, or the time is over. `moving`: whether they
/// must be more, since something is being sent.
pub(super) async fn row(
    settings: &Settings,
    stages: &[&str],
    moving: bool,
    mut before: Sales,
    deadline: Instant,
) -> Row {
    let move_or_not =
        if moving { ", and sales move" } else { "; whether they move is not checked, since no loader sends" };
    loop {
        match state(settings).await.and_then(|state| judge(&state, stages, moving, &mut before)) {
            Ok(()) => return Row::ok("exporter", format!("sales and latency of every stage are known{move_or_not}")),
            Err(err) if Instant::now() >= deadline => {
                return Row::fail("exporter", format!("{err:#}"), format!("deploy/{}", settings.object("exporter")));
            }
            Err(_) => tokio::time::sleep(REST).await,
        }
    }
}

async fn state(settings: &Settings) -> anyhow::Result<State> {
    ask(&settings.exporter, "/api/v1/state").await
}

/// One look. `before`: the sales of each stage when they were first known.
fn judge(state: &State, stages: &[&str], moving: bool, before: &mut Sales) -> anyhow::Result<()> {
    if state.kafka.is_none() {
        bail!("it knows nothing of Kafka");
    }
    let counted = |name: &&str| {
        let found = state.stages.iter().find(|found| found.name == **name);
        let found = found.with_context(|| format!("it has no stage {name}"))?;
        found.latency.with_context(|| format!("it knows no latency of {name}"))?;
        found.sales.with_context(|| format!("it knows no sales of {name}"))
    };
    let sales = stages.iter().map(counted).collect::<anyhow::Result<Vec<u64>>>()?;
    for (stage, now) in stages.iter().zip(sales) {
        let before = before.entry((*stage).to_owned()).or_insert(now);
        if now < *before {
            bail!("the sales of {stage} fell from {before} to {now}");
        }
        if moving && now <= *before {
            bail!("the sales of {stage} remain at {now}");
        }
    }
    Ok(())
}

/// p99 from due time to a stage, in milliseconds: of the last seconds, else since the start.
pub(super) async fn p99_ms(settings: &Settings, stage: &str) -> Option<f64> {
    let known = state(settings).await.ok()?;
    let stage = known.stages.into_iter().find(|found| found.name == stage)?;
    let p99_us = stage.recent.and_then(|recent| recent.p99_us).or(stage.latency?.p99_us)?;
    Some(p99_us as f64 / 1_000.0)
}

#[cfg(test)]
mod tests {
    use service::state::{Kafka, Percentiles, Stage};

    use super::*;

    fn known(sales: [u64; 2]) -> State {
        let stage = |(name, sales): (&str, u64)| Stage {
            name: name.to_owned(),
            sales: Some(sales),
            latency: Some(Percentiles::default()),
            ..Stage::default()
        };
        let stages = ["accepted", "routed"].into_iter().zip(sales).map(stage).collect();
        State { stages, kafka: Some(Kafka::default()), ..State::default() }
    }

    fn error(state: &State, moving: bool, before: &mut Sales) -> Option<String> {
        judge(state, &["accepted", "routed"], moving, before).err().map(|err| err.to_string())
    }

    #[test]
    fn sales_move_if_each_stage_has_more_than_when_it_was_first_known() {
        let mut first = Sales::new();
        assert_eq!(error(&known([120, 118]), false, &mut first), None);
        assert_eq!(error(&known([121, 118]), true, &mut first).unwrap(), "the sales of routed remain at 118");
        assert_eq!(error(&known([121, 117]), false, &mut first).unwrap(), "the sales of routed fell from 118 to 117");
        assert_eq!(error(&known([121, 119]), true, &mut first), None);
        let mut first = [("accepted".to_owned(), 7), ("cached".to_owned(), 500)].into();
        assert_eq!(error(&known([8, 8]), true, &mut first).unwrap(), "the sales of routed remain at 8");
        assert_eq!(error(&known([8, 9]), true, &mut first), None, "accepted has moved since it was first known");
    }

    #[test]
    fn what_is_missing_is_named() {
        let mut none = Sales::new();
        assert_eq!(error(&State::default(), false, &mut none).unwrap(), "it knows nothing of Kafka");
        let mut state = known([1, 1]);
        state.stages[1].latency = None;
        assert_eq!(error(&state, false, &mut none).unwrap(), "it knows no latency of routed");
        state.stages[0].sales = None;
        assert_eq!(error(&state, false, &mut none).unwrap(), "it knows no sales of accepted");
        state.stages.clear();
        assert_eq!(error(&state, false, &mut none).unwrap(), "it has no stage accepted");
    }
}
