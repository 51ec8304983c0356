//! Collects `benchmark/clusters` for `compare::clusters`, without what makes a capsule large: its steps and its evidence.

use std::error::Error;
use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

use serde_json::Value;

const CLUSTERS: &str = "../../benchmark/clusters";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={CLUSTERS}");
    let mut files = String::new();
    for folder in fs::read_dir(CLUSTERS).map_err(|err| format!("reading {CLUSTERS}: {err}"))? {
        let folder = folder?.path();
        if !folder.is_dir() {
            continue;
        }
        for file in fs::read_dir(&folder)? {
            let file = file?.path();
            if file.extension().is_some_and(|extension| extension == "json") {
                let path = file.strip_prefix(CLUSTERS)?.display().to_string();
                let text = small(&file).map_err(|err| format!("{CLUSTERS}/{path}: {err}"))?;
                writeln!(files, "    ({path:?}, {text:?}),")?;
            }
        }
    }
    let list = Path::new(&env::var("OUT_DIR")?).join("clusters.rs");
    fs::write(list, format!("&[\n{files}]\n"))?;
    Ok(())
}

fn small(file: &Path) -> Result<String, Box<dyn Error>> {
    let mut value: Value = serde_json::from_str(&fs::read_to_string(file)?)?;
    if value.get("steps").is_some() {
        value["steps"] = Value::Array(Vec::new());
        value["evidence"] = Value::Null;
    }
    Ok(value.to_string())
}
