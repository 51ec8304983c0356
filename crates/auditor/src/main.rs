//! Keeps the account of every sale. See the library for how.

use auditor::{Config, live};
use tracing::info;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    service::init_tracing();
    let service: service::Config = service::from_env("SERVICE_")?;
    let config: Config = service::from_env("AUDITOR_")?;
    let kafka: kafka::Config = service::from_env("KAFKA_")?;
    let stores = config.stores()?;
    info!(?service, ?config, ?kafka, "starting");
    Box::pin(live::run(&service, kafka, stores, service::shutdown_on_signal()?)).await
}
