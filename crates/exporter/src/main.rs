//! Shows what all programs and Kafka say of themselves. See the library for how.

use anyhow::Context;
use tokio::net::TcpListener;
use tracing::info;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    service::init_tracing();
    let service: service::Config = service::from_env("SERVICE_")?;
    let config: exporter::Config = service::from_env("EXPORTER_")?;
    let kafka: kafka::Config = service::from_env("KAFKA_")?;
    info!(?service, ?config, ?kafka, "starting");

    let addr = service.admin_addr;
    let listener = TcpListener::bind(addr).await.with_context(|| format!("listening on {addr}"))?;
    exporter::run(config, kafka, service, listener, service::shutdown_on_signal()?).await
}
