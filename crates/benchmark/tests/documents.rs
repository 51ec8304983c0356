//! What is written beside the code is true of the code.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

use benchmark::compare::clusters::Clusters;
use benchmark::compare::readme;
use benchmark::mode::Mode;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn current(path: &Path, wanted: &str) {
    if env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(path, wanted).unwrap();
    }
    let there = fs::read_to_string(path).unwrap_or_default();
    assert!(
        there == wanted,
        "{} is out of date: UPDATE_EXPECT=1 cargo test -p kapture-benchmark --test documents",
        path.display()
    );
}

#[test]
fn the_readme_of_the_clusters_is_that_of_their_capsules() {
    let folder = repository().join("benchmark/clusters");
    current(&folder.join("README.md"), &readme(&Clusters::read(&folder).unwrap()));
}

/// The times of each mode, as METHOD.md has them.
fn modes() -> String {
    let mut table = "\
        | mode | calibrate | warm up | settle | ramp step | judged step | drain, at most | search, at most | auditor, at most | to | confirmed by |\n\
        | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
        .to_owned();
    for mode in [Mode::Smoke, Mode::Default, Mode::Certificate] {
        let times = mode.times();
        let parts = [
            times.calibrate,
            times.warm_up,
            times.settle,
            times.ramp,
            times.measure,
            times.drain,
            times.search,
            times.audit,
        ];
        let parts: Vec<_> = parts.iter().map(|part| format!("{} s", part.as_secs())).collect();
        let confirmed = match mode.confirming() {
            (0, _) => "nothing: the ramp's bracket is the answer".to_owned(),
            (repeats, above) => format!("{repeats} steps at the rate that held, {above} at the one above"),
        };
        let _ = writeln!(table, "| `{mode}` | {} | {:.0} % | {confirmed} |", parts.join(" | "), mode.width() * 100.0);
    }
    table
}

#[test]
fn the_method_has_the_times_of_the_modes() {
    let path = repository().join("benchmark/METHOD.md");
    let text = fs::read_to_string(&path).unwrap();
    let (begin, end) = ("<!-- modes -->\n", "<!-- /modes -->");
    let from = text.find(begin).unwrap() + begin.len();
    let to = text.find(end).unwrap();
    current(&path, &format!("{}{}{}", &text[..from], modes(), &text[to..]));
}

/// The sources in which METHOD.md's constants are.
fn sources() -> Vec<String> {
    let mut sources = Vec::new();
    let mut folders = vec![repository().join("crates/benchmark/src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                sources.push(fs::read_to_string(path).unwrap());
            }
        }
    }
    sources
}

/// Spans such as `LATE_SHARE = 0.01`.
fn constants(text: &str) -> Vec<(&str, &str)> {
    let spans = text.split('`').skip(1).step_by(2);
    spans
        .filter_map(|span| span.split_once(" = "))
        .filter(|(name, _)| name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'))
        .collect()
}

#[test]
fn every_constant_in_the_method_is_the_one_in_the_code() {
    let text = fs::read_to_string(repository().join("benchmark/METHOD.md")).unwrap();
    // A span may go over two lines.
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let sources = sources();
    let constants = constants(&text);
    assert!(constants.len() > 50, "only {} constants were found", constants.len());
    for (name, value) in constants {
        let declared: Vec<&str> = sources
            .iter()
            .flat_map(|source| source.lines())
            .filter_map(|line| line.trim_start().split_once(&format!("const {name}: ")))
            .filter_map(|(_, rest)| Some(rest.split_once(" = ")?.1.trim_end_matches(';')))
            .collect();
        assert!(declared.contains(&value), "METHOD.md has {name} = {value}, and the code has {declared:?}");
        assert!(declared.iter().all(|it| *it == value), "there are several {name}: {declared:?}");
    }
}

#[test]
fn a_constant_is_found_in_its_span_and_not_elsewhere() {
    let text = "The share (`LATE_SHARE = 0.01`) of `benchmark.mode = smoke` and A = 1.";
    assert_eq!(constants(text), [("LATE_SHARE", "0.01")]);
}
