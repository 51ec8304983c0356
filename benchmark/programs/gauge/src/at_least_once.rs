//! The fan-out without transactions: what exactly-once is compared with.
//!
//! It is the fan-out itself, with its input, routes and loop, and commits as often; only that its producer has no
//! transactional id, and that its position follows the sales in a request of its own. So after a crash, a sale may be in its
//! topic twice.

use std::sync::Arc;
use std::time::Duration;

use etl::Metrics;
use etl::fan_out::Router;
use kafka::Topic;
use kafka::exactly_once::{self, Settings};
use kafka::transactions::Guarantee;
use serde_json::{Value, json};
use service::Health;

/// Nobody asks whether the loop turns.
const LOOP_LIMIT: Duration = Duration::MAX;

pub(crate) async fn run(kafka: kafka::Config, interval: Duration) -> anyhow::Result<Value> {
    let shutdown = service::shutdown_on_signal()?;
    kafka.ensure_topics(&[Topic::Positions], &shutdown).await?;
    let watch = kafka.watch(&shutdown).await?;
    let metrics = Arc::new(Metrics::default());
    let settings = Settings {
        role: "at-least-once".to_owned(),
        ordinal: "0".to_owned(),
        source: kafka.names().sales(),
        interval,
        guarantee: Guarantee::AtLeastOnce,
        time: metrics.time.clone(),
    };
    let (events, mut router) = (Arc::clone(&metrics.transactions), Router::new(&kafka, Arc::clone(&metrics)));
    let beat = Health::default().loop_("at-least-once", LOOP_LIMIT);
    let copy = move || exactly_once::run(&kafka, &settings, &mut router, &events, &watch, &beat, &shutdown);
    tokio::task::spawn_blocking(copy).await??;
    Ok(json!({"sent": metrics.routed.get(), "rejected": metrics.rejected.get()}))
}
