//! Keeping a run's capsule and report on `kapture.results`, where they outlive the pod, and from where the exporter serves them.

use std::time::Duration;

use anyhow::Context;
use kafka::results::{self, Fit, Packed, RunName, RunResult, VERSION};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::capsule::Capsule;
use crate::report;

/// How long Kafka may take: it may have given way in this run.
const LIMIT: Duration = Duration::from_mins(1);
/// The same after a stop, for whose end Kubernetes waits 30 s.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// Keeps the result of a run, and logs where, or what of it is not kept and why. Returns whether the page is kept. Nothing that
/// goes wrong here changes the verdict.
pub async fn publish(
    kafka: Option<&kafka::Config>,
    run: &RunName,
    capsule: &Capsule,
    shutdown: &CancellationToken,
) -> bool {
    let Some(kafka) = kafka else {
        info!("the report is not kept in kafka: KAFKA_BOOTSTRAP_SERVERS is not set");
        return false;
    };
    let topic = kafka.names().results();
    let kept = match result(capsule) {
        Ok(result) => {
            let limit = if shutdown.is_cancelled() { STOP_LIMIT } else { LIMIT };
            results::publish(kafka, run, result, limit).await
        }
        Err(err) => Err(err),
    };
    match &kept {
        Ok(Fit::Whole) => info!("the report is kept on {topic} as {run}"),
        Ok(fit) => warn!("{}", too_large(&topic, run, *fit)),
        Err(err) => warn!("the report is not kept on {topic}: {err:#}"),
    }
    matches!(kept, Ok(Fit::Whole))
}

fn result(capsule: &Capsule) -> anyhow::Result<RunResult> {
    let json = serde_json::to_string(capsule).context("encoding the capsule")?;
    Ok(RunResult {
        version: VERSION,
        verdict: capsule.verdict.to_string(),
        headline: report::headline(capsule),
        reason: capsule.reason.clone(),
        line: report::last_line(capsule, None),
        kapture: capsule.kapture.clone(),
        began_us: capsule.began_us,
        ended_us: capsule.ended_us,
        capsule: Some(Packed::pack(&json)?),
        html: Some(Packed::pack(&report::html(capsule, &[])?)?),
    })
}

fn too_large(topic: &str, run: &RunName, fit: Fit) -> String {
    let what = match fit {
        Fit::VerdictAlone => "only its verdict is kept: set BENCHMARK_CAPSULE to have the capsule in a file",
        _ => "only its capsule is kept: `kapture-benchmark report CAPSULE.json` makes the page from it",
    };
    format!("the result of {run} is larger than the {} bytes that {topic} takes, and {what}", results::RECORD_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_large_is_said_with_the_limit_and_the_fix() {
        let run = RunName::try_from("run-1".to_owned()).unwrap();
        let text = |fit| too_large("a-kapture.results", &run, fit);
        let page = "the result of run-1 is larger than the 2093056 bytes that a-kapture.results takes, and only its capsule is kept";
        assert!(text(Fit::WithoutPage).starts_with(page), "{}", text(Fit::WithoutPage));
        assert!(text(Fit::VerdictAlone).contains("only its verdict is kept: set BENCHMARK_CAPSULE"));
    }
}
