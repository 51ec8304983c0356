//! The clusters on record: the folder `benchmark/clusters`, which `build.rs` compiles into this program.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use anyhow::{Context, ensure};
use serde::Deserialize;

use super::history::History;
use super::usable;
use crate::capsule::Capsule;

/// Path in the folder and content of each JSON file, without the steps and the evidence of capsules.
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/clusters.rs"));
/// What describes a cluster.
const ABOUT: &str = "cluster.json";
/// The values that it ran with.
const VALUES: &str = "values.yaml";
/// What the tool of 2019 recorded.
const HISTORY: &str = "2019/tables.json";

/// All that is on record.
#[derive(Clone, Debug, Default)]
pub struct Clusters {
    /// In the order of their names.
    pub clusters: Vec<Cluster>,
    /// The tables of 2019, with which nothing is compared; none in a folder without them.
    pub history: Option<History>,
}

/// A cluster, and what was measured on it.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// Its folder.
    pub name: String,
    /// What it is.
    pub about: About,
    /// Its runs, the oldest first.
    pub runs: Vec<Capsule>,
}

/// What a cluster is: `cluster.json`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// The machines, in a sentence: type, disks, network, where.
    pub machine: String,
    /// How many nodes ran Kapture.
    pub nodes: u32,
    /// CPUs of these nodes, all together.
    pub cores: f64,
    /// Their memory, in GiB.
    pub memory_gib: f64,
    /// The commit of this repository that was run, from a clean tree.
    pub commit: String,
}

/// Those that were compiled into this program.
pub fn ours() -> &'static Clusters {
    static OURS: LazyLock<Clusters> = LazyLock::new(|| {
        let files = FILES.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
        Clusters::of(&files.collect()).expect("a test reads what is compiled in")
    });
    &OURS
}

impl Clusters {
    /// Reads a folder like `benchmark/clusters`.
    pub fn read(folder: &Path) -> anyhow::Result<Self> {
        let reading = |path: &Path| format!("reading {}", path.display());
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(folder).with_context(|| reading(folder))? {
            let cluster = entry.with_context(|| reading(folder))?.path();
            if !cluster.is_dir() {
                continue;
            }
            for file in fs::read_dir(&cluster).with_context(|| reading(&cluster))? {
                let file = file.with_context(|| reading(&cluster))?.path();
                if file.extension().is_some_and(|extension| extension == "json") {
                    let name = file.strip_prefix(folder).context("a path outside of the folder")?.display().to_string();
                    files.insert(name, fs::read_to_string(&file).with_context(|| reading(&file))?);
                }
            }
        }
        let all = Self::of(&files).with_context(|| reading(folder))?;
        for Cluster { name, .. } in &all.clusters {
            ensure!(
                folder.join(name).join(VALUES).is_file(),
                "{name} has no {VALUES}: add the values that it ran with, since nobody can repeat it otherwise"
            );
        }
        Ok(all)
    }

    /// Takes path and content of each file.
    fn of(files: &BTreeMap<String, String>) -> anyhow::Result<Self> {
        let history = files.get(HISTORY).map(|text| serde_json::from_str(text)).transpose().context(HISTORY)?;
        let mut folders: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
        for (path, text) in files.iter().filter(|(path, _)| *path != HISTORY) {
            let (folder, name) = path.split_once('/').with_context(|| format!("{path} is in no cluster's folder"))?;
            folders.entry(folder).or_default().push((name, text));
        }
        let clusters = folders.into_iter().map(|(name, files)| Cluster::of(name, &files).context(name.to_owned()));
        Ok(Self { clusters: clusters.collect::<anyhow::Result<_>>()?, history })
    }
}

impl Cluster {
    fn of(name: &str, files: &[(&str, &str)]) -> anyhow::Result<Self> {
        let about = files.iter().find(|(file, _)| *file == ABOUT);
        let (_, about) =
            about.with_context(|| format!("it has no {ABOUT}: add machine, nodes, cores, memory_gib and commit"))?;
        let about: About = serde_json::from_str(about).context(ABOUT)?;
        let mut runs = Vec::new();
        for (file, text) in files.iter().filter(|(file, _)| *file != ABOUT) {
            let run = Capsule::parse(text).context((*file).to_owned())?;
            if let Err(why) = usable(&run) {
                anyhow::bail!("{file}: the run {why}: only runs that can be compared are on record");
            }
            runs.push(run);
        }
        ensure!(!runs.is_empty(), "it has no capsule: add at least one");
        runs.sort_by_key(|run| run.began_us);
        Ok(Self { name: name.to_owned(), about, runs })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_compiled_in_is_what_is_in_the_folder() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../benchmark/clusters");
        let names = |of: &Clusters| of.clusters.iter().map(|it| (it.name.clone(), it.runs.len())).collect::<Vec<_>>();
        let read = Clusters::read(&folder).unwrap();
        assert_eq!(names(ours()), names(&read));
        assert_eq!(ours().history, read.history);
        assert!(ours().history.is_some());
    }

    #[test]
    fn what_is_missing_is_named() {
        let of = |files: &[(&str, &str)]| {
            let files = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
            format!("{:#}", Clusters::of(&files).unwrap_err())
        };
        let about = r#"{"machine": "m", "nodes": 1, "cores": 2, "memory_gib": 8, "commit": "abc"}"#;
        assert_eq!(
            of(&[("big/run.json", "{}")]),
            "big: it has no cluster.json: add machine, nodes, cores, memory_gib and commit"
        );
        assert_eq!(of(&[("big/cluster.json", about)]), "big: it has no capsule: add at least one");
        let wrong = of(&[("big/cluster.json", about), ("big/run.json", "{}")]);
        assert!(wrong.starts_with("big: run.json: it is not a capsule"), "{wrong}");
        let unknown = of(&[("big/cluster.json", &about.replace("cores", "cpus"))]);
        assert!(unknown.contains("cluster.json: unknown field `cpus`"), "{unknown}");
    }
}
