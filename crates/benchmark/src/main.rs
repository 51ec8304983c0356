//! Turns the rate until the cluster gives way. See the library for how.

use std::path::PathBuf;
use std::process::ExitCode;

use benchmark::capsule::Capsule;
use benchmark::compare::clusters::Clusters;
use benchmark::compare::{compare, readme};
use benchmark::job;
use benchmark::report;
use benchmark::verdict::Verdict;

const USAGE: &str = "usage: kapture-benchmark [run]
       kapture-benchmark report CAPSULE.json [OTHER.json …] > page.html
       kapture-benchmark compare A.json B.json
       kapture-benchmark clusters FOLDER > FOLDER/README.md

compare exits with 0 if B is not slower than A, 1 if it is, 2 if they can't be compared, 3 if a file can't be read";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (verb, files) = arguments.split_first().map_or(("run", &[][..]), |(verb, files)| (verb.as_str(), files));
    let done = match (verb, files) {
        ("run", []) => job::run().await.map(ExitCode::from).inspect_err(|err| {
            println!("verdict={} reason={:?}", Verdict::CouldNotRun, format!("{err:#}"));
        }),
        ("report", [capsule, others @ ..]) => print_report(capsule, others),
        ("compare", [a, b]) => print_comparison(a, b),
        ("clusters", [folder]) => print_clusters(folder),
        ("--version", []) => {
            println!("kapture-benchmark {}", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("{USAGE}");
            return Verdict::CouldNotRun.into();
        }
    };
    done.unwrap_or_else(|err| {
        eprintln!("error: {err:#}");
        Verdict::CouldNotRun.into()
    })
}

fn print_report(capsule: &str, others: &[String]) -> anyhow::Result<ExitCode> {
    let capsule = Capsule::read(&PathBuf::from(capsule))?;
    let others = others.iter().map(|other| Capsule::read(&PathBuf::from(other))).collect::<anyhow::Result<Vec<_>>>()?;
    print!("{}", report::html(&capsule, &others)?);
    Ok(ExitCode::SUCCESS)
}

fn print_comparison(a: &str, b: &str) -> anyhow::Result<ExitCode> {
    let comparison = compare(&Capsule::read(&PathBuf::from(a))?, &Capsule::read(&PathBuf::from(b))?);
    print!("{comparison}");
    Ok(comparison.exit_code())
}

fn print_clusters(folder: &str) -> anyhow::Result<ExitCode> {
    print!("{}", readme(&Clusters::read(&PathBuf::from(folder))?));
    Ok(ExitCode::SUCCESS)
}
