//! Role `fan-out`: each sale from `sales` to the topic of its state, exactly once; anything else to `sales.rejected`.
//!
//! The header names the state where a sale belongs; the body is read to be sure that it is a valid sale, which every store can hold,
//! and the one that the header names. What is not stops nothing: it goes to `sales.rejected` with the reason, cut to a size
//! that always fits, in the same transaction.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use kafka::exactly_once::{self, Processor, Settings};
use kafka::transactions::{Failure, Guarantee, Outbox};
use kafka::{Headers, Malformed, Record, SaleHeader, Topic, TransactionInterval};
use misbehaviour::PerSale;
use petstore::SaleRef;
use serde::Deserialize;
use service::Health;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::habits::Habitual;
use crate::rejected::{Rejected, headers_bytes};
use crate::{Metrics, Role};

/// The role's own variables.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Always `fan-out`; read with the rest, so that a variable that no one knows is refused.
    pub role: Role,
    /// Which instance this is: the same after a restart, and no one else's.
    pub ordinal: u32,
    /// A transaction is closed after this time: what is added to a sale's latency, against the price of a commit.
    #[serde(default = "kafka::transaction_interval")]
    pub transaction_interval: TransactionInterval,
}

/// The loop turns every few milliseconds; inside a transaction it waits for Kafka, which gives up after 10 s, and a
/// rewind may take a minute.
const LOOP_LIMIT: Duration = Duration::from_secs(90);

/// Runs the role until `shutdown`. Blocks: give it a thread of its own.
pub fn run(
    kafka: &kafka::Config,
    config: &Config,
    habits: PerSale,
    metrics: Arc<Metrics>,
    health: &Health,
    runtime: &Handle,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    let ready = health.ready("topics");
    let watch = runtime.block_on(async {
        kafka.ensure_topics(&[Topic::States, Topic::Rejected, Topic::Positions], shutdown).await?;
        kafka.watch(shutdown).await
    });
    if shutdown.is_cancelled() {
        return Ok(());
    }
    let watch = watch?;
    ready.set(true);
    let settings = Settings {
        role: config.role.to_string(),
        ordinal: config.ordinal.to_string(),
        source: kafka.names().sales(),
        interval: config.transaction_interval.get(),
        guarantee: Guarantee::ExactlyOnce,
        time: metrics.time.clone(),
    };
    let events = Arc::clone(&metrics.transactions);
    let mut router = Habitual { processor: Router::new(kafka, metrics), habits: habits.undelayed() };
    let beat = health.loop_(config.role.to_string(), LOOP_LIMIT);
    exactly_once::run(kafka, &settings, &mut router, &events, &watch, &beat, shutdown).context("fanning out")
}

/// A record that is a sale.
pub struct Route {
    /// Its header, and with it where it goes.
    sale: SaleHeader,
    /// Whether its headers go on as they are.
    plain: bool,
}

impl Route {
    /// The route of a record, or why it is not a sale.
    fn of(record: &Record<'_>) -> Result<Self, Malformed> {
        let (sale, plain) = record.sale_and_form()?;
        check(&sale, record.payload().unwrap_or_default())?;
        // A plain record has one short header.
        let headers = if plain { 0 } else { headers_bytes(record) };
        petstore::check_sizes(record.key().map_or(0, <[u8]>::len), headers)?;
        Ok(Self { sale, plain })
    }
}

/// Puts each record where it belongs.
pub struct Router {
    /// By a state's index.
    topics: Vec<String>,
    rejected_topic: String,
    metrics: Arc<Metrics>,
    /// Due times of the sales routed in the open transaction.
    routed: Vec<i64>,
    rejected: u64,
}

impl Router {
    /// Counts in `metrics` what it did.
    pub fn new(kafka: &kafka::Config, metrics: Arc<Metrics>) -> Self {
        let names = kafka.names();
        Self { topics: names.states(), rejected_topic: names.rejected(), metrics, routed: Vec::new(), rejected: 0 }
    }

    fn reject(&mut self, record: &Record<'_>, malformed: &Malformed, outbox: &mut Outbox<'_>) -> Result<(), Failure> {
        let rejected = Rejected::new(record, &malformed.reason);
        outbox.send(&self.rejected_topic, rejected.key, rejected.body, rejected.headers)?;
        self.rejected += 1;
        Ok(())
    }
}

impl Processor for Router {
    type Judged = Result<Route, Malformed>;

    fn judge(&self, record: &Record<'_>) -> Self::Judged {
        Route::of(record)
    }

    fn handle(&mut self, record: Record<'_>, judged: Self::Judged, outbox: &mut Outbox<'_>) -> Result<(), Failure> {
        match judged {
            Ok(Route { sale, plain }) => {
                let topic = &self.topics[sale.state.index()];
                if plain {
                    outbox.forward(topic, record)?;
                } else {
                    let (key, payload) = (record.key().unwrap_or_default(), record.payload().unwrap_or_default());
                    outbox.send(topic, key, payload, Headers::from(&sale))?;
                }
                self.routed.push(sale.due_us);
                Ok(())
            }
            Err(malformed) => self.reject(&record, &malformed, outbox),
        }
    }

    fn committed(&mut self) {
        self.metrics.routed.inc_by(self.routed.len() as u64);
        self.metrics.routed_latency.record_each(self.routed.drain(..), service::unix_us());
        self.metrics.rejected.inc_by(self.rejected);
        self.rejected = 0;
    }

    fn aborted(&mut self) {
        self.routed.clear();
        self.rejected = 0;
    }
}

/// Whether header and body are a valid sale's, and the same one's.
fn check(header: &SaleHeader, body: &[u8]) -> Result<(), Malformed> {
    petstore::check_due(header.due_us)?;
    let sale = SaleRef::parse(body)?;
    if sale.id != header.id {
        return Err(malformed(format!("the body is sale {}, the header names {}", sale.id, header.id)));
    }
    if sale.store.state != header.state {
        return Err(malformed(format!("the body's state is {}, the header names {}", sale.store.state, header.state)));
    }
    Ok(())
}

fn malformed(reason: String) -> Malformed {
    Malformed { reason }
}

#[cfg(test)]
mod tests {
    use petstore::{BlockId, Parameters, Petstore, Sale, State};

    use super::*;

    fn sale() -> Sale {
        let petstore = Petstore::new(Parameters { days: 10, ..Parameters::default() }).unwrap();
        petstore.block(BlockId { run: 0x2a, loader: 0, block: 7 }).to_sales().swap_remove(3)
    }

    fn header() -> SaleHeader {
        SaleHeader { id: sale().id, due_us: 1, state: sale().state() }
    }

    fn reason(header: &SaleHeader, body: &Sale) -> String {
        check(header, &serde_json::to_vec(body).unwrap()).unwrap_err().reason
    }

    #[test]
    fn a_sale_that_its_header_names_is_accepted() {
        assert_eq!(check(&header(), &serde_json::to_vec(&sale()).unwrap()), Ok(()));
    }

    #[test]
    fn what_is_not_a_valid_sale_is_refused_with_the_reason() {
        let incomplete = br#"{"id":"0000002a/0/7/3","store":{"state":"ca"}}"#;
        assert!(check(&header(), incomplete).unwrap_err().reason.contains("missing field"));
        assert!(reason(&SaleHeader { due_us: -1, ..header() }, &sale()).starts_with("due time"));
        let mut other = sale();
        other.id.index = 4;
        assert!(reason(&header(), &other).ends_with("is sale 0000002a/0/7/4, the header names 0000002a/0/7/3"));
        let mut other = sale();
        other.store.state = if other.state() == State::Tx { State::Ca } else { State::Tx };
        assert!(reason(&header(), &other).starts_with(&format!("the body's state is {}, the", other.state())));
        let mut other = sale();
        other.time = u64::MAX;
        assert!(reason(&header(), &other).starts_with("time of the sale can't be stored"));
    }
}
