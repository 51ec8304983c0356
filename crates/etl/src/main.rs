//! Moves sales one stage on: a role each. See the library for how.

use std::sync::Arc;

use etl::{Config, Metrics};
use prometheus_client::registry::Registry;
use service::{Environment, Health};
use tracing::info;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    service::init_tracing();
    let config = Config::read(&Environment::of_process())?;
    let kafka: kafka::Config = service::from_env("KAFKA_")?;
    let service: service::Config = service::from_env("SERVICE_")?;
    let misbehaviour: misbehaviour::Config = service::from_env("MISBEHAVIOUR_")?;
    info!(?config, ?kafka, ?service, ?misbehaviour, "starting");

    let role = config.role();
    let mut registry = Registry::with_prefix("kapture_etl");
    let metrics = Arc::new(Metrics::register(role, &mut registry));
    let health = Health::default();
    let shutdown = service::shutdown_on_signal()?;
    let figures = {
        let metrics = Arc::clone(&metrics);
        move || metrics.figures(role)
    };
    tokio::try_join!(
        service::serve_admin(&service, role.component(), registry, health.clone(), figures, shutdown.clone()),
        etl::run(kafka, config, misbehaviour, metrics, health, shutdown),
    )?;
    Ok(())
}
