//! Figures that two programs must agree on are named once: in `service::reported`, and in `reported.json` for what is not Rust.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use service::reported::ALL;

/// What writes reports, or reads them by name.
const PROGRAMS: [&str; 6] = ["loader", "etl", "probe", "exporter", "benchmark", "../benchmark/programs/gauge"];
/// Ordinary words: in these files they are no figure of a report.
const ANOTHER_MEANING: [(&str, &str); 8] = [
    // The body of `PUT /rate`.
    ("rate", "loader/src/api.rs"),
    ("rate", "benchmark/src/run/http.rs"),
    ("unknown", "benchmark/src/report/page.rs"),
    ("unknown", "benchmark/src/report/text.rs"),
    ("unknown", "benchmark/src/compare/mod.rs"),
    ("unknown", "gauge/src/truth.rs"),
    ("sent", "gauge/src/at_least_once.rs"),
    ("rejected", "gauge/src/at_least_once.rs"),
];

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let of_tests = ["tests.rs", "samples.rs"].iter().any(|end| path.to_string_lossy().ends_with(end));
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !of_tests {
            found.push(path);
        }
    }
}

/// The names that a program's text has as literals.
fn literals(text: &str) -> Vec<&'static str> {
    let program = text.split("#[cfg(test)]").next().unwrap_or_default();
    let code: Vec<&str> = program.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let is_in = |name: &str| {
        // The rest of a prefix follows.
        let literal = if name.ends_with('/') { format!("\"{name}") } else { format!("\"{name}\"") };
        code.iter().any(|line| line.contains(&literal))
    };
    ALL.iter().map(|(.., name)| *name).filter(|name| is_in(name)).collect()
}

#[test]
fn no_program_spells_a_name_that_another_reads() {
    let mut found = Vec::new();
    for program in PROGRAMS {
        sources(&crates().join(program).join("src"), &mut found);
    }
    assert!(found.len() > 100, "only {} files were looked at", found.len());
    for path in found {
        let is_figure =
            |name: &&str| !ANOTHER_MEANING.iter().any(|(other, file)| other == name && path.ends_with(file));
        let literals: Vec<_> = literals(&fs::read_to_string(&path).unwrap()).into_iter().filter(is_figure).collect();
        assert!(literals.is_empty(), "{}: take {literals:?} from `service::reported`", path.display());
    }
}

#[test]
fn a_literal_is_seen_in_code_and_not_in_comments_or_tests() {
    let text = "// \"due\"\n(\"sent\", 1) \"sent_late\" format!(\"round_trip/{address}\")\n#[cfg(test)]\n\"blocked\"";
    assert_eq!(literals(text), ["sent", "round_trip/"]);
}

/// Rewritten when `UPDATE_EXPECT` is set.
#[test]
fn what_is_not_rust_reads_the_same() {
    let mut described: Map<String, Value> = Map::new();
    for (program, constant, name) in ALL {
        described.entry(*program).or_insert_with(|| Value::Object(Map::new()))[*constant] = (*name).into();
    }
    let path = crates().join("service/reported.json");
    let mut text = serde_json::to_string_pretty(&described).unwrap();
    text.push('\n');
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&path, &text).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), text, "run `UPDATE_EXPECT=1 cargo test -p service`");
}
