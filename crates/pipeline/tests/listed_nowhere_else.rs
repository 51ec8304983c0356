//! Nothing else in the tree lists the stages, or what fills them: a list written by hand is the one that a new stage forgets.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use pipeline::{FLOW, Role, Stage};

/// Programs and scripts. Tests of Rust, and the cases of ci/poor, may name what they expect.
const PLACES: [&str; 5] = ["crates", "ci", "benchmark/programs", "charts/kapture/templates", "charts/kapture/tests"];
const LEFT_OUT: [&str; 10] = [
    "pipeline",
    "target",
    "golden",
    "results",
    "tests.rs",
    "samples.rs",
    "cases.py",
    "crates/*/tests",
    "programs/tests",
    "benchmark/programs/auditor",
];
/// So many of them within so many lines are a list.
const NAMES: usize = 3;
const LINES: usize = 4;

fn is_left_out(path: &Path) -> bool {
    let ends = |name: &&str| match name.split_once("/*/") {
        Some((above, name)) => path.ends_with(name) && path.iter().nth_back(2).is_some_and(|it| it == above),
        None => path.ends_with(name) || (name.contains('.') && path.to_string_lossy().ends_with(*name)),
    };
    LEFT_OUT.iter().any(ends)
}

fn files(path: PathBuf, found: &mut Vec<PathBuf>) {
    if is_left_out(&path) {
        return;
    }
    if path.is_file() {
        found.push(path);
        return;
    }
    for entry in fs::read_dir(&path).unwrap() {
        files(entry.unwrap().path(), found);
    }
}

/// The first lines of `text` that list some of `names`, each in quotes.
fn list_of(names: &[&str], text: &str) -> Option<usize> {
    if names.iter().filter(|name| text.contains(*name)).count() < NAMES {
        return None;
    }
    let lines: Vec<&str> = text.lines().collect();
    let quoted = |line: &&str, name: &str| ['"', '\''].iter().any(|it| line.contains(&format!("{it}{name}{it}")));
    lines.windows(LINES).position(|lines| {
        let listed = names.iter().filter(|name| lines.iter().any(|line| quoted(line, name)));
        listed.collect::<BTreeSet<_>>().len() >= NAMES
    })
}

fn kinds() -> [Vec<&'static str>; 4] {
    let roles = || FLOW.iter().filter(|row| row.role.is_some());
    [
        Stage::ALL.map(Stage::name).to_vec(),
        Role::ALL.map(Role::name).to_vec(),
        roles().map(|row| row.component).collect(),
        roles().map(|row| row.values).collect(),
    ]
}

#[test]
fn no_other_list_of_stages_is_written_by_hand() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found = Vec::new();
    for place in PLACES {
        files(root.join(place), &mut found);
    }
    assert!(found.len() > 200, "only {} files were looked at", found.len());
    for path in found {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let program = text.split("#[cfg(test)]").next().unwrap_or_default();
        for names in kinds() {
            let line = list_of(&names, program).map(|line| line + 1);
            assert_eq!(line, None, "{}: derive this from `pipeline`, or from pipeline.json", path.display());
        }
    }
}

#[test]
fn a_list_is_seen_on_one_line_or_on_several() {
    let text = "a\nGROUPS = {'routed': 1,\n  'cached': 2,\n\n  \"stored\": 3}\n";
    assert_eq!(list_of(&kinds()[0], text), Some(1));
    assert_eq!(list_of(&kinds()[0], "if name == 'routed' or name == 'cached':\n\n\n\n'stored'"), None);
}
