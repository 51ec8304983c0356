//! Says what the server beside it did, and whether a broker can be counted on. See the library for how.

use tracing::info;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    service::init_tracing();
    let service: service::Config = service::from_env("SERVICE_")?;
    let config: probe::Config = service::from_env("PROBE_")?;
    let kafka: Option<kafka::Config> = config.broker_id.map(|_| service::from_env("KAFKA_")).transpose()?;
    info!(?service, ?config, ?kafka, "starting");

    let listener = service::listen(service.admin_addr)?;
    probe::run(config, kafka, service, listener, service::shutdown_on_signal()?).await
}
