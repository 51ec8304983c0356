//! Loads Kafka with the sales of a chain of pet stores, on schedule. See the library for how.

use std::sync::Arc;

use loader::{Config, Metrics};
use prometheus_client::registry::Registry;
use service::{Admin, Health};
use tracing::info;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    service::init_tracing();
    let config: Config = service::from_env("LOADER_")?;
    let kafka: kafka::Config = service::from_env("KAFKA_")?;
    let service: service::Config = service::from_env("SERVICE_")?;
    info!(?config, ?kafka, ?service, "starting");

    let mut registry = Registry::with_prefix("kapture_loader");
    let load = loader::load(&config, Metrics::register(&mut registry))?;
    let health = Health::default();
    let shutdown = service::shutdown_on_signal()?;
    let figures = {
        let (load, parameters) = (Arc::clone(&load), config.parameters());
        move || loader::figures(&load, &parameters)
    };
    let routes = {
        let (load, token) = (Arc::clone(&load), config.token.clone());
        move |request| std::future::ready(loader::api::answer(&request, &load, token.as_ref()))
    };
    let admin = Admin::new(&service, "loader", registry, health.clone(), figures).routes(routes);
    tokio::try_join!(admin.serve(shutdown.clone()), loader::run(&config, &kafka, load, &health, shutdown.clone()),)?;
    Ok(())
}
