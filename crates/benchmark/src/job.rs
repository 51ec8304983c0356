//! A run from its variables to its last line, as a Job has it.

use anyhow::Context;
use prometheus_client::registry::Registry;
use service::{Admin, Figures, Health};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::Config;
use crate::publish::publish;
use crate::report;
use crate::run::{self, Http, Pace, Shown};
use crate::verdict::Verdict;

/// Runs as the environment says, keeps the result, and prints the verdict as the very last line. It is the pod's termination
/// message as well.
pub async fn run() -> anyhow::Result<Verdict> {
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
        run::run(&config, &cluster, Pace::of(config.mode), &shutdown, &shown, &mut |line| println!("{line}")).await?;
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
    // It repeats the last line, and changes nothing about the verdict.
    if let Some(path) = &config.termination_log
        && let Err(err) = std::fs::write(path, &line)
    {
        warn!("the pod has no termination message: writing {}: {err}", path.display());
    }
    println!("{line}");
    Ok(capsule.verdict)
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
