//! The program as it is called: what it prints, and its exit codes.

mod sample;

use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicI64, Ordering};

use benchmark::capsule::Capsule;
use benchmark::mode::Mode;
use benchmark::verdict::Verdict;
use sample::capsule;

fn kapture_benchmark(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kapture-benchmark")).args(arguments).env_clear().output().unwrap()
}

/// A file that is removed at the end.
struct File(PathBuf);

impl File {
    fn new(name: &str, content: &str) -> Self {
        let path = std::env::temp_dir().join(format!("kapture-benchmark-{}-{name}", std::process::id()));
        fs::write(&path, content).unwrap();
        Self(path)
    }

    fn of(name: &str, capsule: &Capsule) -> Self {
        Self::new(name, &serde_json::to_string(capsule).unwrap())
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// A run of its own.
fn with_repeats(repeats: [f64; 3]) -> Capsule {
    static LATER: AtomicI64 = AtomicI64::new(1);
    let mut capsule = capsule(Mode::Default, None);
    capsule.began_us += LATER.fetch_add(1, Ordering::Relaxed);
    let found = capsule.found.as_mut().unwrap();
    (found.held, found.failed) = (Some(repeats[1]), Some(repeats[1] * 1.05));
    capsule.repeats = repeats.into();
    capsule
}

#[test]
fn comparing_tells_by_its_exit_code() {
    let a = File::of("a", &with_repeats([2_990.0, 3_000.0, 3_010.0]));
    let same = File::of("same", &with_repeats([2_995.0, 3_000.0, 3_005.0]));
    let slower = File::of("slower", &with_repeats([1_990.0, 2_000.0, 2_010.0]));
    let mut unlike = with_repeats([2_990.0, 3_000.0, 3_010.0]);
    unlike.parameters.latency_limit_ms = 100;
    let unlike = File::of("unlike", &unlike);
    let broken = File::new("broken", "{}");
    let compared = |a: &File, b: &File| {
        let output = kapture_benchmark(&["compare", a.path(), b.path()]);
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code().unwrap(), said)
    };
    let (code, said) = compared(&a, &same);
    assert_eq!((code, said.contains("B is the same, as far as these runs can tell")), (0, true), "{said}");
    assert_eq!(compared(&slower, &a).0, 0, "faster");
    assert_eq!(compared(&a, &slower).0, 1);
    let (code, said) = compared(&a, &unlike);
    assert_eq!((code, said.contains("latency limit: 1000 ms and 100 ms")), (2, true), "{said}");
    let (code, said) = compared(&a, &a);
    assert_eq!((code, said.contains("A and B are the same run")), (2, true), "{said}");
    let mut invalid = with_repeats([2_990.0, 3_000.0, 3_010.0]);
    (invalid.verdict, invalid.reason) = (Verdict::Invalid, "clocks agree: 80 ms".to_owned());
    let (code, said) = compared(&a, &File::of("invalid", &invalid));
    assert_eq!((code, said.contains("B (run-1) is INVALID: clocks agree: 80 ms")), (2, true), "{said}");
    let (code, said) = compared(&File::new("newer", r#"{"format": "kapture-capsule", "version": 9}"#), &a);
    assert_eq!((code, said.contains("it is a capsule of version 9")), (3, true), "{said}");
    let (code, said) = compared(&a, &broken);
    assert_eq!((code, said.contains("it is not a capsule")), (3, true), "{said}");
}

#[test]
fn a_report_is_printed() {
    let file = File::of("report", &capsule(Mode::Smoke, None));
    let output = kapture_benchmark(&["report", file.path(), file.path()]);
    assert!(output.status.success() && output.stdout.starts_with(b"<!doctype html>"));
    let missing = kapture_benchmark(&["report", "nowhere.json"]);
    assert_eq!(missing.status.code(), Some(3));
    assert!(String::from_utf8(missing.stderr).unwrap().contains("reading nowhere.json"));
}

#[test]
fn a_result_that_is_not_kept_changes_neither_the_verdict_nor_the_exit_code() {
    let away = [("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")];
    let (run, reason) = (stopped(&away), "the report is not kept on kapture.results: kafka did not have the topic");
    let (without, unset) = (stopped(&[]), "the report is not kept in kafka: KAFKA_BOOTSTRAP_SERVERS is not set");
    for (output, why) in [(run, reason), (without, unset)] {
        let [printed, logged] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        assert_eq!(output.status.code(), Some(3), "{logged}");
        assert_eq!(
            printed.lines().next_back(),
            Some("verdict=COULD_NOT_RUN reason=\"it was told to stop\""),
            "without the link of a page that is not there: {printed}"
        );
        assert!(logged.contains(why), "{logged}");
    }
}

#[test]
fn a_termination_message_that_can_not_be_written_changes_neither_the_verdict_nor_the_exit_code() {
    let output = stopped(&[("BENCHMARK_TERMINATION_LOG", "/nowhere/termination-log")]);
    let [printed, logged] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert_eq!(printed.lines().next_back(), Some("verdict=COULD_NOT_RUN reason=\"it was told to stop\""), "{printed}");
    assert_eq!(output.status.code(), Some(3), "{logged}");
    assert!(logged.contains("no termination message: writing /nowhere/termination-log: No such file"), "{logged}");
}

/// Begins a run, and tells it to stop.
fn stopped(more: &[(&str, &str)]) -> Output {
    let run = Command::new(env!("CARGO_BIN_EXE_kapture-benchmark"))
        .env_clear()
        .envs([("BENCHMARK_EXPORTER", "127.0.0.1:1"), ("BENCHMARK_TOKEN", "x"), ("BENCHMARK_REPORT_URL", "http://x/y")])
        .env("SERVICE_ADMIN_ADDR", "127.0.0.1:0")
        .envs(more.iter().copied())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut run = Running(run);
    let mut first = [0];
    run.0.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    assert!(Command::new("kill").args(["-s", "TERM", &run.0.id().to_string()]).status().unwrap().success());
    let mut output = Output { status: run.0.wait().unwrap(), stdout: first.to_vec(), stderr: Vec::new() };
    run.0.stdout.as_mut().unwrap().read_to_end(&mut output.stdout).unwrap();
    run.0.stderr.as_mut().unwrap().read_to_end(&mut output.stderr).unwrap();
    output
}

/// A test that fails must not leave its process running.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn what_can_not_run_says_so_on_its_last_line() {
    let output = kapture_benchmark(&[]);
    assert_eq!(output.status.code(), Some(3));
    let printed = String::from_utf8(output.stdout).unwrap();
    let last = printed.lines().next_back().unwrap();
    assert!(last.starts_with("verdict=COULD_NOT_RUN reason=\"BENCHMARK_EXPORTER is not set"), "{printed}");
    let one_file = kapture_benchmark(&["compare", "a.json"]);
    assert_eq!(one_file.status.code(), Some(3));
    let unknown = kapture_benchmark(&["measure"]);
    assert_eq!(unknown.status.code(), Some(3));
    assert!(String::from_utf8(unknown.stderr).unwrap().starts_with("usage: kapture-benchmark"));
}

#[test]
fn the_readme_of_the_clusters_is_printed() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../benchmark/clusters");
    let output = kapture_benchmark(&["clusters", folder]);
    assert!(output.status.success());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), fs::read_to_string(format!("{folder}/README.md")).unwrap());
    let missing = kapture_benchmark(&["clusters", "nowhere"]);
    assert_eq!(missing.status.code(), Some(3));
    assert!(String::from_utf8(missing.stderr).unwrap().contains("reading nowhere"));
}
