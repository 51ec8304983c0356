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

const JUMP: [(&str, &str); 2] = [("BENCHMARK_ELASTICITY_FROM", "500"), ("BENCHMARK_ELASTICITY_TO", "3000")];

#[tokio::test(flavor = "multi_thread")]
async fn after_a_jump_the_time_until_the_levels_hold_again_is_told_with_the_pods() {
    // A backlog of 1,000 sales a second for 10 s, which two pods then take as long to catch up with.
    let pipeline = Pipeline::start(Like { scales: Some((10.0, 2)), ..Like::default() }, 2).await;
    let (capsule, printed) = smoke(&pipeline, &JUMP, &CancellationToken::new()).await;
    let all = format!("{}\n{}", summary_of(&capsule), printed.join("\n"));
    let (_, recovery) = capsule.elasticity().unwrap_or_else(|| panic!("{all}"));
    assert_eq!(capsule.verdict, Verdict::Pass, "{all}");
    let seconds = recovery.seconds.unwrap();
    assert!((14.0..=40.0).contains(&seconds), "{seconds}: {all}");
    assert!(recovery.broken.is_some(), "{all}");
    assert_eq!(recovery.pods().unwrap(), "etl-postgres from 1 to 2 pods");
    let [scaled] = &recovery.scaled[..] else { panic!("{all}") };
    assert!((scaled.component.as_str(), scaled.pods) == ("etl-postgres", 2) && scaled.seconds < seconds, "{scaled:?}");
    assert!(printed[0].contains("jump from 500 to 3,000 sales/s within 10m00s"), "{all}");
    assert!(printed.iter().any(|line| line.contains(" pods     etl-postgres from 1 to 2, ")), "{all}");
    let line = report::last_line(&capsule, None);
    assert!(line.starts_with("verdict=PASS recovered=") && line.ends_with(" etl-postgres=1..2"), "{line}");
    assert_eq!(pipeline.rates(), [CONFIGURED; 2], "the loads are what they were");
    // An autoscaler would answer to anything above the low rate.
    let before: Vec<_> = pipeline.told().into_iter().take_while(|step| step != "jump").collect();
    assert_eq!(
        before,
        [
            "after-preflight",
            "baseline",
            "after-baseline",
            "warm-up",
            "after-warm-up",
            "before-1",
            "after-before-1",
            "before-the-jump"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jump_that_is_too_much_fails_with_the_bound_and_what_was_still_broken() {
    let more = [JUMP[0], JUMP[1], ("BENCHMARK_ELASTICITY_WITHIN", "30s")];
    let (capsule, printed, rates) = quick(Like::default(), &more).await;
    let all = format!("{}\n{}", summary_of(&capsule), printed.join("\n"));
    assert_eq!(capsule.verdict, Verdict::Fail, "{all}");
    let told = "the service levels did not hold again within 30s of the jump from 500 to 3,000 sales/s: p99";
    assert!(capsule.reason.starts_with(told), "{all}");
    let (_, recovery) = capsule.elasticity().unwrap();
    assert_eq!((recovery.seconds, recovery.pods()), (None, None), "{all}");
    assert!(report::last_line(&capsule, None).contains(" recovered=none within=30s "), "{all}");
    assert_eq!(capsule.diagnosis.unwrap().stage.as_deref(), Some("stored"));
    assert_eq!(rates, [CONFIGURED; 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jump_that_breaks_nothing_has_nothing_to_recover_from() {
    let (capsule, printed, _) = quick(Like { limit: 9_000.0, ..Like::default() }, &JUMP).await;
    let all = format!("{}\n{}", summary_of(&capsule), printed.join("\n"));
    let (_, recovery) = capsule.elasticity().unwrap_or_else(|| panic!("{all}"));
    assert_eq!((capsule.verdict, recovery.seconds, &recovery.broken), (Verdict::Pass, Some(0.0), &None), "{all}");
    assert!(
        capsule.reason.contains("no service level was seen broken") && capsule.reason.contains("no pod was added"),
        "{all}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jump_from_a_rate_that_does_not_hold_could_not_run() {
    let (capsule, printed, rates) = quick(Like { limit: 300.0, ..Like::default() }, &JUMP).await;
    let all = format!("{}\n{}", summary_of(&capsule), printed.join("\n"));
    assert_eq!(capsule.verdict, Verdict::CouldNotRun, "{all}");
    assert!(capsule.reason.starts_with("500 sales/s do not hold, even before the jump: "), "{all}");
    assert_eq!(rates, [CONFIGURED; 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn throttled_loaders_make_a_jump_invalid() {
    let (capsule, printed, _) = quick(Like { throttled_above: 400.0, limit: 9_000.0, ..Like::default() }, &JUMP).await;
    let all = format!("{}\n{}", summary_of(&capsule), printed.join("\n"));
    assert_eq!(capsule.verdict, Verdict::Invalid, "{all}");
    assert!(capsule.reason.starts_with("loaders not throttled"), "{all}");
}
