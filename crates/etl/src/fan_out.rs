//! Role `fan-out`: each sale from `sales` to the topic of its state, exactly once; what is no sale to `sales.rejected`.
//!
//! The header says where a sale belongs; the body is only read to be sure that it is the sale that the header names.
//! A record that is no valid sale stops nothing: it goes to `sales.rejected` with the reason, in the same transaction.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use kafka::exactly_once::{self, Settings, Stage};
use kafka::transactions::{Failure, Outbox};
use kafka::{Malformed, SaleHeader, Topic, TransactionInterval};
use petstore::SaleId;
use rdkafka::Message;
use rdkafka::message::{BorrowedMessage, Header, OwnedHeaders};
use serde::Deserialize;
use service::Health;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

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
    #[serde(default = "interval")]
    pub transaction_interval: TransactionInterval,
}

fn interval() -> TransactionInterval {
    TransactionInterval::from_ms::<100>()
}

/// A generated sale has some 550 bytes; what is a hundred times as large is no sale.
const MAX_SALE_BYTES: usize = 64 << 10;

/// The loop turns every few milliseconds; inside a transaction it waits for Kafka, which gives up after 10 s, and a
/// rewind may take a minute.
const LOOP_LIMIT: Duration = Duration::from_secs(90);

/// Runs the role until `shutdown`. Blocks: give it a thread of its own.
pub fn run(
    kafka: &kafka::Config,
    config: &Config,
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
        role: "fan-out".to_owned(),
        ordinal: config.ordinal.to_string(),
        source: kafka.names().sales(),
        interval: config.transaction_interval.get(),
    };
    let events = Arc::clone(&metrics.transactions);
    let mut router = Router::new(kafka, metrics);
    let beat = health.loop_("fan-out", LOOP_LIMIT);
    exactly_once::run(kafka, &settings, &mut router, &events, &watch, &beat, shutdown).context("fanning out")
}

/// A record that is a sale.
pub struct Route {
    /// What its header says, and with it where it goes.
    pub sale: SaleHeader,
    /// Whether its headers go on as they are.
    pub plain: bool,
}

impl Route {
    /// The route of a record, or why it is no sale.
    pub fn of(message: &BorrowedMessage<'_>) -> Result<Self, Malformed> {
        let (sale, plain) = SaleHeader::and_form(message)?;
        check_body(&sale, message.payload().unwrap_or_default())?;
        Ok(Self { sale, plain })
    }
}

struct Router {
    /// By a state's index.
    topics: Vec<String>,
    rejected_topic: String,
    metrics: Arc<Metrics>,
    /// Due times of the sales routed in the open transaction.
    routed: Vec<i64>,
    rejected: u64,
}

impl Router {
    fn new(kafka: &kafka::Config, metrics: Arc<Metrics>) -> Self {
        let names = kafka.names();
        Self { topics: names.states(), rejected_topic: names.rejected(), metrics, routed: Vec::new(), rejected: 0 }
    }

    fn reject(
        &mut self,
        message: &BorrowedMessage<'_>,
        malformed: &Malformed,
        outbox: &mut Outbox<'_>,
    ) -> Result<(), Failure> {
        let payload = message.payload().unwrap_or_default();
        let kept = &payload[..payload.len().min(MAX_SALE_BYTES)];
        let source = format!("{}/{}/{}", message.topic(), message.partition(), message.offset());
        let headers = message
            .headers()
            .map_or_else(OwnedHeaders::new, rdkafka::message::BorrowedHeaders::detach)
            .insert(Header { key: "reason", value: Some(&malformed.reason) })
            .insert(Header { key: "source", value: Some(&source) })
            .insert(Header { key: "bytes", value: Some(&payload.len().to_string()) });
        outbox.send(&self.rejected_topic, message.key().unwrap_or_default(), kept, headers)?;
        self.rejected += 1;
        Ok(())
    }
}

impl Stage for Router {
    type Verdict = Result<Route, Malformed>;

    fn judge(&self, message: &BorrowedMessage<'_>) -> Self::Verdict {
        Route::of(message)
    }

    fn handle(
        &mut self,
        message: BorrowedMessage<'_>,
        verdict: Self::Verdict,
        outbox: &mut Outbox<'_>,
    ) -> Result<(), Failure> {
        match verdict {
            Ok(Route { sale, plain }) => {
                let topic = &self.topics[sale.state.index()];
                if plain {
                    outbox.forward(topic, message)?;
                } else {
                    let (key, payload) = (message.key().unwrap_or_default(), message.payload().unwrap_or_default());
                    outbox.send(topic, key, payload, sale.to_owned_headers())?;
                }
                self.routed.push(sale.due_us);
                Ok(())
            }
            Err(malformed) => self.reject(&message, &malformed, outbox),
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

/// The part of a sale that tells whether header and body speak of the same one.
#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    id: &'a str,
    #[serde(borrow)]
    store: Store<'a>,
}

#[derive(Deserialize)]
struct Store<'a> {
    state: &'a str,
}

fn check_body(header: &SaleHeader, payload: &[u8]) -> Result<(), Malformed> {
    if payload.len() > MAX_SALE_BYTES {
        return malformed(format!("{} bytes are too large for a sale, {MAX_SALE_BYTES} are the most", payload.len()));
    }
    // As text: looked at once as a whole, not string by string.
    let text = str::from_utf8(payload).or_else(|err| malformed(format!("the body is no sale: {err}")))?;
    let body: Body<'_> = serde_json::from_str(text).or_else(|err| malformed(format!("the body is no sale: {err}")))?;
    if body.id.parse::<SaleId>().ok() != Some(header.id) {
        return malformed(format!("the body is sale {:?}, the header says {}", body.id, header.id));
    }
    if !body.store.state.eq_ignore_ascii_case(header.state.code()) {
        return malformed(format!(
            "the body's state is {:?}, the header says {}",
            body.store.state,
            header.state.code()
        ));
    }
    Ok(())
}

fn malformed<T>(reason: String) -> Result<T, Malformed> {
    Err(Malformed { reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> SaleHeader {
        SaleHeader { id: "0000002a/0/7/3".parse().unwrap(), due_us: 1, state: "ca".parse().unwrap() }
    }

    fn reason(payload: &str) -> String {
        check_body(&header(), payload.as_bytes()).unwrap_err().reason
    }

    #[test]
    fn a_sale_that_its_header_names_is_accepted() {
        let payload = r#"{"id":"0000002a/0/7/3","store":{"id":1,"state":"CA"},"cents":5}"#;
        assert_eq!(check_body(&header(), payload.as_bytes()), Ok(()));
    }

    #[test]
    fn what_is_no_sale_is_refused_with_the_reason() {
        assert!(reason("{").starts_with("the body is no sale"));
        assert!(reason(r#"{"id":"0000002a/0/7/3","store":{"state":"CA"}} x"#).starts_with("the body is no sale"));
        assert!(reason(r#"{"id":"0000002a/0/7/4","store":{"state":"CA"}}"#).contains("the header says 0000002a/0/7/3"));
        assert!(reason(r#"{"id":"0000002a/0/7/3","store":{"state":"TX"}}"#).contains("the header says ca"));
        assert!(reason(&" ".repeat(MAX_SALE_BYTES + 1)).contains("too large"));
    }
}
