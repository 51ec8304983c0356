//! Shows what all programs and Kafka say of themselves. See the library for how.

use tracing::info;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    service::init_tracing();
    let service: service::Config = service::from_env("SERVICE_")?;
    let config: exporter::Config = service::from_env("EXPORTER_")?;
    let kafka: kafka::Config = service::from_env("KAFKA_")?;
    info!(?service, ?config, ?kafka, "starting");

    let listener = service::listen(service.admin_addr)?;
    exporter::run(config, kafka, service, listener, service::shutdown_on_signal()?).await
}
