//! Turns the rate until the cluster gives way. See the library for how.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use benchmark::capsule::Capsule;
use benchmark::compare::clusters::Clusters;
use benchmark::compare::{compare, readme};
use benchmark::config::Config;
use benchmark::publish::publish;
use benchmark::report;
use benchmark::run::{Http, Pace, Shown, run};
use benchmark::verdict::Verdict;
use prometheus_client::registry::Registry;
use service::{Admin, Figures, Health};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

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
        ("run", []) => run_benchmark().await.inspect_err(|err| {
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

/// Runs, keeps the result, and prints the verdict as the very last line. It is the pod's termination message as well.
async fn run_benchmark() -> anyhow::Result<ExitCode> {
    service::init_tracing();
    let config: Config = service::from_env("BENCHMARK_")?;
    let service: service::Config = service::from_env("SERVICE_")?;
    let kafka: Option<kafka::Config> = match std::env::var_os("KAFKA_BOOTSTRAP_SERVERS") {
        Some(_) => Some(service::from_env("KAFKA_")?),
        None => None,
    };
    info!(?config, ?service, ?kafka, "starting");
    let shutdown = service::shutdown_on_signal()?;
    let cluster = Http::new(config.exporter.clone(), config.token.clone());
    let shown = Shown::default();
    let admin = serve(&service, &shown);
    let capsule =
        run(&config, &cluster, Pace::of(config.mode), &shutdown, &shown, &mut |line| println!("{line}")).await?;
    if let Some(path) = &config.capsule {
        let json = serde_json::to_string(&capsule).context("encoding the capsule")?;
        std::fs::write(path, json).with_context(|| format!("writing {}", path.display()))?;
    }
    print!("\n{}", report::summary(&capsule));
    let is_kept = publish(kafka.as_ref(), &config.run, &capsule, &shutdown).await;
    if let Some((task, stop)) = admin {
        stop.cancel();
        task.await.context("serving the admin port")??;
    }
    let line = report::last_line(&capsule, config.report_url.as_deref().filter(|_| is_kept));
    if let Some(path) = &config.termination_log {
        std::fs::write(path, &line).with_context(|| format!("writing {}", path.display()))?;
    }
    println!("{line}");
    Ok(capsule.verdict.into())
}

/// Serves the admin port, by which the exporter learns what is being run. Without it only the live page lacks something: on a
/// laptop the port may be that of a `kubectl port-forward`.
fn serve(config: &service::Config, shown: &Shown) -> Option<(JoinHandle<anyhow::Result<()>>, CancellationToken)> {
    let listener = service::listen(config.admin_addr)
        .inspect_err(|err| warn!("the live page won't show this run: {err:#}; set SERVICE_ADMIN_ADDR to a free port"))
        .ok()?;
    let (shown, stop) = (shown.clone(), CancellationToken::new());
    let admin = Admin::new(config, "benchmark", Registry::default(), Health::default(), Figures::default)
        .routes(move |request| std::future::ready(shown.answer(&request)));
    Some((tokio::spawn(admin.serve_on(listener, stop.clone())), stop))
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
