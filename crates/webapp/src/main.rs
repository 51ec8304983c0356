//! The shop: takes sales by HTTP, and tells what was sold. See the library for how.

use std::sync::Arc;

use prometheus_client::registry::Registry;
use service::{Environment, Health};
use tracing::info;
use webapp::{Config, Metrics};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    service::init_tracing();
    let config = Config::read(&Environment::of_process())?;
    let kafka: kafka::Config = service::from_env("KAFKA_")?;
    let service: service::Config = service::from_env("SERVICE_")?;
    info!(?config, ?kafka, ?service, "starting");

    let mut registry = Registry::with_prefix("kapture_webapp");
    let metrics = Arc::new(Metrics::register(&mut registry));
    let health = Health::default();
    let shutdown = service::shutdown_on_signal()?;
    let figures = {
        let metrics = Arc::clone(&metrics);
        move || metrics.figures()
    };
    tokio::try_join!(
        service::serve_admin(&service, "webapp", registry, health.clone(), figures, shutdown.clone()),
        webapp::run(config, kafka, metrics, health, shutdown),
    )?;
    Ok(())
}
