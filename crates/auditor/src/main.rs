//! `kapture-auditor` keeps the account of every sale; `kapture-auditor test` is what `helm test` runs;
//! `kapture-auditor recount [--json]` counts everything again. See the library.

use std::process::ExitCode;

use anyhow::bail;
use auditor::{Config, Stores, helm_test, live, recount};
use tracing::info;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Box::pin(watch()).await,
        ["test"] => Box::pin(test()).await,
        ["recount"] => Box::pin(recount(false)).await,
        ["recount", "--json"] => Box::pin(recount(true)).await,
        ["--version"] => {
            println!("kapture-auditor {}", env!("CARGO_PKG_VERSION"));
            Ok(ExitCode::SUCCESS)
        }
        _ => bail!("unknown arguments {arguments:?}: use none, test, recount [--json] or --version"),
    }
}

async fn watch() -> anyhow::Result<ExitCode> {
    service::init_tracing();
    let service: service::Config = service::from_env("SERVICE_")?;
    let (config, kafka, stores) = environment()?;
    info!(?service, ?config, ?kafka, "starting");
    live::run(&service, kafka, stores, service::shutdown_on_signal()?).await?;
    Ok(ExitCode::SUCCESS)
}

async fn test() -> anyhow::Result<ExitCode> {
    // The table is all there is to read, unless somebody asks for more.
    if std::env::var_os("RUST_LOG").is_some() {
        service::init_tracing();
    }
    let (_, kafka, stores) = environment()?;
    let outcome = helm_test::run(&service::from_env("TEST_")?, &kafka, stores, helm_test::Patience::default()).await;
    print!("{}", outcome.text);
    Ok(if outcome.well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn recount(json: bool) -> anyhow::Result<ExitCode> {
    // It takes minutes, and logs how far it is.
    service::init_tracing();
    let (_, kafka, stores) = environment()?;
    let recount = recount::run(&kafka, stores).await?;
    if json {
        println!("{}", serde_json::to_string(&recount)?);
    } else {
        print!("{}", recount.table());
    }
    Ok(if recount.well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn environment() -> anyhow::Result<(Config, kafka::Config, Stores)> {
    let config: Config = service::from_env("AUDITOR_")?;
    Ok((config, service::from_env("KAFKA_")?, config.stores()?))
}
