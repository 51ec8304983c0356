//! A whole run, over real HTTP, against a pipeline that is only simulated.

mod pipeline;

use std::time::Duration;

use benchmark::capsule::Capsule;
use benchmark::config::Config;
use benchmark::mode::Mode;
use benchmark::report;
use benchmark::run::{Http, Pace, Shown, run};
use benchmark::search::End;
use benchmark::verdict::Verdict;
use pipeline::{CONFIGURED, Like, Pipeline, SPEED};
use service::Environment;
use tokio_util::sync::CancellationToken;

fn config(pipeline: &Pipeline, more: &[(&str, &str)]) -> Config {
    let exporter = pipeline.exporter.to_string();
    let least = [("BENCHMARK_EXPORTER", exporter.as_str()), ("BENCHMARK_TOKEN", "x"), ("BENCHMARK_MODE", "smoke")];
    least.iter().chain(more).copied().collect::<Environment>().read("BENCHMARK_").unwrap()
}

/// Runs a smoke that shows what it does; returns its record.
async fn shown_smoke(pipeline: &Pipeline, shown: &Shown) -> Capsule {
    let cluster = Http::new(pipeline.exporter.clone(), Pipeline::token());
    let pace = Pace::of(Mode::Smoke).faster(SPEED);
    run(&config(pipeline, &[]), &cluster, pace, &CancellationToken::new(), shown, &mut |_| {}).await.unwrap()
}

/// Runs a smoke; returns the record and what was printed.
async fn smoke(pipeline: &Pipeline, more: &[(&str, &str)], shutdown: &CancellationToken) -> (Capsule, Vec<String>) {
    let config = config(pipeline, more);
    let cluster = Http::new(pipeline.exporter.clone(), Pipeline::token());
    let mut printed = Vec::new();
    let pace = Pace::of(Mode::Smoke).faster(SPEED);
    let capsule = run(&config, &cluster, pace, shutdown, &Shown::default(), &mut |line| printed.push(line.to_owned()))
        .await
        .unwrap();
    (capsule, printed)
}

async fn quick(like: Like, more: &[(&str, &str)]) -> (Capsule, Vec<String>, Vec<f64>) {
    let pipeline = Pipeline::start(like, 2).await;
    let (capsule, printed) = smoke(&pipeline, more, &CancellationToken::new()).await;
    (capsule, printed, pipeline.rates())
}

fn summary_of(capsule: &Capsule) -> String {
    report::summary(capsule)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_smoke_brackets_the_limit_and_gives_the_rates_back() {
    let pipeline = Pipeline::start(Like::default(), 2).await;
    let (capsule, printed) = smoke(&pipeline, &[], &CancellationToken::new()).await;
    let found = capsule.found.clone().unwrap_or_else(|| panic!("{}", summary_of(&capsule)));
    assert_eq!(
        (capsule.verdict, found.end),
        (Verdict::Pass, End::Complete),
        "{}\n{}",
        summary_of(&capsule),
        printed.join("\n")
    );
    let (held, failed) = (found.held.unwrap(), found.failed.unwrap());
    assert!(held <= 2_000.0 && failed > 2_000.0 && failed <= held * 2.01, "{found:?}");
    assert_eq!(pipeline.rates(), [CONFIGURED; 2], "the loads are what they were");
    let told = pipeline.told();
    assert!(told[..2] == ["after-preflight", "baseline"] && told.contains(&"ramp-1".to_owned()), "{told:?}");
    assert!(printed.iter().any(|line| line.contains(" measure ")), "{}", printed.join("\n"));
    assert!(printed.iter().any(|line| line.contains(" FAIL ") && line.contains("stored")), "{}", printed.join("\n"));
    let evidence = capsule.evidence.unwrap();
    let stored = evidence.failed.stages.iter().find(|stage| stage.stage == "stored").unwrap();
    assert_eq!(stored.lag_grows, Some(true));
    assert_eq!(capsule.diagnosis.unwrap().stage.as_deref(), Some("stored"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_shows_its_parts_and_is_not_spoilt_by_its_own_pod() {
    let pipeline = Pipeline::start(Like { benchmark: true, ..Like::default() }, 1).await;
    let (shown, mut parts) = (Shown::default(), Vec::new());
    assert_eq!(shown.now(), None);
    let running = shown_smoke(&pipeline, &shown);
    let mut running = std::pin::pin!(running);
    let capsule = loop {
        tokio::select! {
            capsule = &mut running => break capsule,
            () = tokio::time::sleep(Duration::from_millis(10)) => {}
        }
        let Some(now) = shown.now() else { continue };
        assert_eq!((now.name.as_str(), now.mode.as_str()), ("run", "smoke"));
        assert_eq!(now.step.is_some(), now.phase == "ramp", "{now:?}");
        parts.push(now.phase);
    };
    parts.push(shown.now().unwrap().phase);
    parts.dedup();
    assert_eq!(parts, ["preflight", "baseline", "calibrate", "warm-up", "ramp", "audit"]);
    let (last, found) =
        (shown.now().unwrap(), capsule.found.clone().unwrap_or_else(|| panic!("{}", summary_of(&capsule))));
    assert_eq!((last.held, last.failed), (found.held, found.failed));
    assert_eq!(capsule.verdict, Verdict::Pass, "{}", summary_of(&capsule));
    assert!(capsule.pods.iter().all(|pod| pod.component != "benchmark"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_beyond_the_limit_fails() {
    let (capsule, printed, _) =
        quick(Like { ceiling: 30_000.0, ..Like::default() }, &[("BENCHMARK_TARGET", "9000")]).await;
    assert_eq!(capsule.verdict, Verdict::Fail, "{}\n{}", summary_of(&capsule), printed.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn throttled_loaders_make_it_invalid() {
    let (capsule, printed, rates) = quick(Like { throttled_above: 400.0, ..Like::default() }, &[]).await;
    assert_eq!(capsule.verdict, Verdict::Invalid, "{}\n{}", summary_of(&capsule), printed.join("\n"));
    assert!(capsule.reason.starts_with("loaders not throttled"), "{}", capsule.reason);
    assert!(capsule.remedy.unwrap().contains("loader.resources.limits.cpu"));
    assert_eq!(rates, [CONFIGURED; 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_differ_make_it_invalid() {
    let (capsule, _, _) = quick(Like { clock_us: 300_000, ..Like::default() }, &[]).await;
    assert_eq!(capsule.verdict, Verdict::Invalid, "{}", summary_of(&capsule));
    assert!(capsule.reason.starts_with("clocks agree: 299.8 ms"), "{}", capsule.reason);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_auditor_found_fails_and_an_auditor_behind_makes_it_invalid() {
    let (lost, behind) = tokio::join!(
        quick(Like { lost: 3, ..Like::default() }, &[]),
        quick(Like { backlog: 700, ..Like::default() }, &[])
    );
    assert_eq!(lost.0.verdict, Verdict::Fail, "{}", summary_of(&lost.0));
    assert_eq!(behind.0.verdict, Verdict::Invalid, "{}", summary_of(&behind.0));
    assert!(behind.0.reason.contains("700 records left"), "{}", behind.0.reason);
}

#[tokio::test(flavor = "multi_thread")]
async fn loaders_too_weak_for_the_target_are_named_with_the_command() {
    let more = [("BENCHMARK_TARGET", "9000"), ("BENCHMARK_RELEASE", "kapture"), ("BENCHMARK_NAMESPACE", "perf-test")];
    let (capsule, _, rates) = quick(Like { ceiling: 3_000.0, limit: 1e6, ..Like::default() }, &more).await;
    assert_eq!(capsule.verdict, Verdict::CouldNotRun, "{}", summary_of(&capsule));
    let remedy = "helm upgrade kapture ./charts/kapture -n perf-test --reset-then-reuse-values --set loader.replicas=5";
    assert_eq!(capsule.remedy.as_deref(), Some(remedy));
    assert_eq!(rates, [CONFIGURED; 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_told_to_stop_gives_the_rates_back() {
    let pipeline = Pipeline::start(Like::default(), 1).await;
    let shutdown = CancellationToken::new();
    let stop = async {
        while !pipeline.told().iter().any(|step| step.starts_with("ramp")) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(pipeline.rates()[0] > CONFIGURED);
        shutdown.cancel();
    };
    let ((capsule, _), ()) = tokio::join!(smoke(&pipeline, &[], &shutdown), stop);
    assert_eq!((capsule.verdict, capsule.reason.as_str()), (Verdict::CouldNotRun, "it was told to stop"));
    assert_eq!(pipeline.rates(), [CONFIGURED]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_killed_leaves_a_load_that_goes_back_by_itself() {
    let pipeline = Pipeline::start(Like::default(), 1).await;
    let shutdown = CancellationToken::new();
    tokio::select! {
        _ = smoke(&pipeline, &[], &shutdown) => panic!("it ended"),
        () = async {
            while !pipeline.told().iter().any(|step| step.starts_with("ramp")) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        } => {}
    }
    assert!(pipeline.rates()[0] > CONFIGURED, "nobody has given it back");
    let limit = Duration::from_secs(10);
    let back = async {
        while pipeline.rates() != [CONFIGURED] {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(limit, back).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_could_not_run() {
    let pipeline = Pipeline::start(Like::default(), 1).await;
    let cluster = Http::new(pipeline.exporter.clone(), service::Secret::new("another's"));
    let pace = Pace::of(Mode::Smoke).faster(SPEED);
    let capsule =
        run(&config(&pipeline, &[]), &cluster, pace, &CancellationToken::new(), &Shown::default(), &mut |_| {})
            .await
            .unwrap();
    assert_eq!(capsule.verdict, Verdict::CouldNotRun);
    assert!(
        capsule.reason.contains("401") && capsule.reason.contains("the token is not this loader's"),
        "{}",
        capsule.reason
    );
}
