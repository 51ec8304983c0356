//! Moves sales one stage on, effectively once. One binary, a role each:
//!
//! - [`fan_out`]: from `sales` to the topic of each state, in Kafka transactions;
//! - [`sink`], role `redis` or `postgres`: from the topics of all states into a store, which keeps the position
//!   beside the data;
//! - [`spout`]: from Postgres back to Kafka, onto `receipts`, in Kafka transactions.
//!
//! Each can be killed at any instruction. A Kafka or a store that is away is waited for, for ever and in bounded memory;
//! the program ends only for what waiting can't mend, and its last words tell what would.
//!
//! # What can still go wrong
//!
//! What is lost or repeated by these the auditor finds, with the stage; none is mended here.
//!
//! - What Kafka's retention deletes before it was read is gone, and so is what Kafka acknowledged and lost: without
//!   persistence, or with fewer copies on disk than brokers that died.
//! - What somebody writes to a state's topic beside the fan-out is stored like any other sale, if it looks like one.
//! - `kapture.positions` and a group deleted while none of its members runs: everything is done again. Redis and Postgres
//!   drop what they know. Either alone repeats nothing.
//! - A group's coordinator in Kafka 4.1 that becomes leader, follower and leader again while it still loads may answer "not
//!   coordinator" until it moves or its broker restarts. Its members wait, and lose nothing.
//! - A store that is put back is filled again only as far as Kafka still has the sales.
//! - Two releases with the same `kafka.external.prefix` on one Kafka are one to it: they fence each other for ever.

mod bite;
mod config;
pub mod fan_out;
mod habits;
mod metrics;
mod rejected;
pub mod sink;
pub mod spout;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use service::Health;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

pub use config::Config;
pub use metrics::Metrics;
pub use pipeline::Role;
use sink::Sink;

/// How soon a stop is seen while there is nothing else to do.
const IDLE: Duration = Duration::from_millis(100);

/// A fifth more sales a second than with glibc's; librdkafka, which is C, takes it as well.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Runs the role that `config` names until `shutdown`.
///
/// librdkafka's calls block, so the role has a thread of its own.
pub async fn run(
    kafka: kafka::Config,
    config: Config,
    misbehaviour: misbehaviour::Config,
    metrics: Arc<Metrics>,
    health: Health,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Handle::current();
    let (end, ended) = oneshot::channel();
    let role = config.role();
    let run = move || {
        let started = health.ready("start-up");
        let habits = misbehaviour.begin(&shutdown)?;
        started.set(true);
        let decode = habits::habitual(habits, sink::decode);
        let sink = |config, metrics| Sink {
            role,
            kafka: &kafka,
            config,
            decode: &decode,
            metrics,
            health: &health,
            shutdown: &shutdown,
            runtime: &runtime,
        };
        match &config {
            Config::FanOut(config) => fan_out::run(&kafka, config, habits, metrics, &health, &runtime, &shutdown),
            Config::Spout(config, store) => spout::run(&kafka, config, store, metrics, &health, &runtime, &shutdown),
            Config::Redis(config, store) => {
                sink(config, metrics).run(|installation| stores::redis::Writer::new(store.clone(), installation))
            }
            Config::Postgres(config, store) => {
                sink(config, metrics).run(|installation| stores::postgres::Writer::new(store.clone(), installation))
            }
        }
    };
    let work = move || {
        // Nobody listens any more when the process is about to end.
        let _ = end.send(run());
    };
    std::thread::Builder::new().name(role.to_string()).spawn(work).context("starting the role's thread")?;
    ended.await.with_context(|| format!("role {role} panicked"))?
}
