//! What the fan-out promises, against a real Kafka.
//!
//! Needs the servers of `ci/servers up`: see the crate `test-servers`.

mod servers;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use etl::{Metrics, Role, fan_out};
use kafka::transactions::Transactions;
use kafka::{Record, SaleHeader, Topic, read_committed};
use misbehaviour::PerSale;
use petstore::{MAX_DUE_US, MAX_INDEX, MAX_SALE_BYTES, Sale, State};
use prometheus_client::registry::Registry;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord};
use serde_json::json;
use servers::{Part, block_id, sales};
use service::Health;
use service::reported::etl::FENCED;
use test_servers::Servers;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

const LIMIT: Duration = Duration::from_mins(1);

/// The fan-out makes its own topics, routes each sale to its state, and puts anything else aside with the reason.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_malformed_record_is_put_aside_with_its_reason_and_nothing_stops() {
    let kafka = one_partition(&Servers::running().kafka(&format!("test-{:08x}-", rand::random::<u32>())));
    let source = Source::new(&kafka).await;
    let sales = &sales()[..300];
    for (index, sale) in sales.iter().enumerate() {
        if index == 100 {
            source.send("", b"{\"not\":\"a sale\"", None);
        }
        source.sale(sale);
    }
    FanOut::start(&kafka).routes(300, 1).await;

    let reasons: Vec<String> = rejected(&kafka, 1).into_iter().map(|rejected| rejected.own("reason")).collect();
    assert_eq!(reasons, ["no headers"]);
    are_routed(&kafka, sales);
}

/// What one store can't hold, none gets: the fan-out puts it aside, and both stores are complete.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_store_can_not_hold_is_rejected_once_and_the_rest_is_in_both() {
    let redis = Part::new(Role::Redis).await;
    let kafka = one_partition(&redis.kafka);
    let source = Source::new(&kafka).await;
    let mut sales = sales();
    let bad = sales.split_off(300);
    at_the_limits(&mut sales);
    let wrong = wrong(&bad[0]);
    for (index, sale) in sales.iter().enumerate() {
        if let Some((header, body, _)) = wrong.get(index / 5).filter(|_| index.is_multiple_of(5)) {
            source.send("1", body, Some(OwnedHeaders::new().insert(Header { key: "sale", value: Some(header) })));
        }
        source.sale(sale);
    }
    let postgres = redis.of(Role::Postgres);
    let sinks = [redis.start(), postgres.start()];
    FanOut::start(&kafka).routes(300, wrong.len()).await;

    let rejected = rejected(&kafka, wrong.len());
    assert_eq!(rejected.len(), wrong.len());
    for (rejected, (_, body, reason)) in rejected.iter().zip(&wrong) {
        assert!(rejected.own("reason").contains(reason), "{reason}: {}", rejected.own("reason"));
        assert_eq!(rejected.own("bytes"), body.len().to_string());
    }
    redis.expect(block_id(), 300).await;
    postgres.expect(block_id(), 300).await;
    for sink in sinks {
        assert_eq!(sink.stop().await.sink.malformed.get(), 0);
    }
    redis.remove().await;
}

/// A record that leaves no room for the reason, or of which a store's topic would not take the copy, stops nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_with_a_large_key_or_large_headers_is_cut_and_nothing_stops() {
    let kafka = one_partition(&Servers::running().kafka(&format!("test-{:08x}-", rand::random::<u32>())));
    let source = Source::new(&kafka).await;
    let mut sales = sales();
    let rest = sales.split_off(200);
    let key = "k".repeat(1_000_500);
    source.send(&key, b"{}", None);
    let value = "v".repeat(2 << 10);
    let flood = (0..500).fold(header(&rest[0]), |flood, _| flood.insert(Header { key: "reason", value: Some(&value) }));
    source.send("1", &serde_json::to_vec(&rest[0]).unwrap(), Some(flood));
    let huge = "h".repeat(1_000_500);
    let huge = header(&rest[1]).insert(Header { key: "trace", value: Some(&huge) });
    source.send("1", &serde_json::to_vec(&rest[1]).unwrap(), Some(huge));
    source.send(&key, &serde_json::to_vec(&rest[2]).unwrap(), Some(header(&rest[2])));
    let quoted = format!("{}!", "q".repeat(1_000_000));
    source.send("1", &serde_json::to_vec(&json!({"id": quoted})).unwrap(), Some(header(&rest[3])));
    for sale in &sales {
        source.sale(sale);
    }
    FanOut::start(&kafka).routes(200, 5).await;
    are_routed(&kafka, &sales);

    let rejected = rejected(&kafka, 5);
    assert_eq!(rejected.len(), 5);
    for rejected in &rejected {
        assert!(rejected.bytes() < 100_000, "{} bytes", rejected.bytes());
        assert_eq!(rejected.headers[0].0, "reason", "ours is the first of its name");
    }
    let reasons: Vec<String> = rejected.iter().map(|rejected| rejected.own("reason")).collect();
    assert_eq!(reasons[0], "no headers");
    assert!(reasons[1].starts_with("a set of headers of 10"), "{}", reasons[1]);
    assert!(reasons[2].starts_with("a set of headers of 1000"), "{}", reasons[2]);
    assert_eq!(reasons[3], "a key of 1000500 bytes is too large for a sale, 4096 are the most");
    assert!(reasons[4].starts_with("a body of 1000"), "{}", reasons[4]);
    assert_eq!([0, 3].map(|at| rejected[at].own("key-bytes")), ["1000500"; 2]);
    assert!(rejected[1].headers.iter().any(|(name, _)| name == "original-reason"));
    assert_eq!(rejected[1].sale, Some(rest[0].id), "the auditor finds whose it is");
}

/// The namesake is a producer only, so that the group does not tell of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fan_out_whose_producer_was_superseded_goes_on_and_counts_that_it_was_fenced() {
    let kafka = one_partition(&Servers::running().kafka(&format!("test-{:08x}-", rand::random::<u32>())));
    let source = Source::new(&kafka).await;
    let sales = &sales()[..200];
    sales[..100].iter().for_each(|sale| source.sale(sale));
    let fan_out = FanOut::start(&kafka);
    let metrics = Arc::clone(&fan_out.metrics);
    let fenced = || metrics.figures(Role::FanOut).counters[FENCED];
    fan_out.has_routed(100, 0).await;
    assert_eq!(fenced(), 0);

    drop(Transactions::connect(&kafka, &kafka.names().transactional_id("fan-out", "0"), &Arc::default()).unwrap());
    sales[100..].iter().for_each(|sale| source.sale(sale));
    fan_out.routes(200, 0).await;
    assert_eq!(fenced(), 1);
    are_routed(&kafka, sales);
}

/// Header, body and a part of the reason of records that look like sales.
fn wrong(sale: &Sale) -> Vec<(String, Vec<u8>, &'static str)> {
    let named = |sale: &Sale| format!("{} 1700000000000000 {}", sale.id, sale.state());
    let json = serde_json::to_string(sale).unwrap();
    let other = if sale.state() == State::Ca { "tx" } else { "ca" };
    let mut wrong = vec![
        (named(sale), json[..json.len() - 1].to_owned(), "EOF"),
        (named(sale), json!({"id": sale.id, "store": {"state": sale.state()}}).to_string(), "missing field"),
        (named(sale), json.replacen("\"time\":", "\"cents\":1,\"time\":", 1), "duplicate field"),
        (named(sale), json.replacen("\"zip\":\"", "\"zip\":\"\\ud800\\n", 1), "hex escape"),
        (named(sale), json.replacen("\"size\":\"", "\"size\":\"\\u0000", 1), "a zero byte"),
        (named(sale), json.replacen("\"time\":", "\"time\":9223372036854775808,\"when\":", 1), "time of the sale"),
        (named(sale), json.replacen("\"cats\":", "\"cats\":256,\"birds\":", 1), "expected u8"),
        (named(sale), format!("{json}{}", " ".repeat(MAX_SALE_BYTES)), "too large for a sale"),
        (named(sale), json.replacen("\"id\":\"", "\"id\":\"f", 1), "not a sale"),
        (format!("{} -1 {}", sale.id, sale.state()), json.clone(), "due time of the sale"),
        (format!("{} 1700000000000000 xx", sale.id), json.clone(), "header `sale` must be"),
        (format!("{} 1700000000000000 {other}", sale.id), json, "the body's state is"),
    ];
    let ids: [fn(&mut Sale); 3] =
        [|sale| sale.id.index = MAX_INDEX + 1, |sale| sale.id.loader = 1 << 31, |sale| sale.id.block = u32::MAX];
    for (change, reason) in ids.into_iter().zip(["index of the sale", "loader of the sale", "block of the sale"]) {
        let mut other = sale.clone();
        change(&mut other);
        wrong.push((named(&other), serde_json::to_string(&other).unwrap(), reason));
    }
    wrong.into_iter().map(|(header, body, reason)| (header, body.into_bytes(), reason)).collect()
}

/// Makes some sales such that a little more would be too much for a store.
fn at_the_limits(sales: &mut [Sale]) {
    sales[10].id.index = MAX_INDEX;
    sales[11].items[0].brand = "\u{1}\"\\\u{7f}\u{2028}\u{fffe}🐕".into();
    sales[12].time = i64::MAX.cast_unsigned();
    sales[13].customer.id = i64::MAX.cast_unsigned();
    (sales[14].cents, sales[14].store.id) = (u32::MAX, u32::MAX);
    sales[15].items.clear();
    let item = sales[16].items[0].clone();
    sales[16].items = vec![item; 500];
}

fn header(sale: &Sale) -> OwnedHeaders {
    SaleHeader { id: sale.id, due_us: service::unix_us(), state: sale.state() }.to_owned_headers()
}

/// So that there is one order.
fn one_partition(kafka: &kafka::Config) -> kafka::Config {
    let mut kafka = kafka.clone();
    kafka.sales_partitions = 1.try_into().unwrap();
    kafka
}

/// Where the records come from.
struct Source {
    producer: BaseProducer,
    topic: String,
}

impl Source {
    async fn new(kafka: &kafka::Config) -> Self {
        kafka.ensure_topics(&[Topic::Sales], &CancellationToken::new()).await.unwrap();
        // As a producer that may write all that brokers take.
        let producer = kafka.idempotent_producer().set("message.max.bytes", "2000000").create().unwrap();
        Self { producer, topic: kafka.names().sales() }
    }

    fn sale(&self, sale: &Sale) {
        let due_us = [0, MAX_DUE_US, service::unix_us()][sale.id.index.min(2) as usize];
        let header = SaleHeader { id: sale.id, due_us, state: sale.state() };
        let (key, body) = (sale.store.id.to_string(), serde_json::to_vec(sale).unwrap());
        self.send(&key, &body, Some(header.to_owned_headers()));
    }

    fn send(&self, key: &str, body: &[u8], headers: Option<OwnedHeaders>) {
        let record = BaseRecord::to(&self.topic).key(key).payload(body);
        let record = match headers {
            Some(headers) => record.headers(headers),
            None => record,
        };
        self.producer.send(record).map_err(|(err, _)| err).unwrap();
        kafka::flush(&self.producer, LIMIT).unwrap();
    }
}

/// A running fan-out.
struct FanOut {
    metrics: Arc<Metrics>,
    shutdown: CancellationToken,
    thread: JoinHandle<anyhow::Result<()>>,
}

impl FanOut {
    fn start(kafka: &kafka::Config) -> Self {
        let metrics = Arc::new(Metrics::register(Role::FanOut, &mut Registry::default()));
        let shutdown = CancellationToken::new();
        let config: fan_out::Config = serde_json::from_value(json!({"role": "fan-out", "ordinal": 0})).unwrap();
        let thread = {
            let (kafka, metrics, shutdown) = (kafka.clone(), Arc::clone(&metrics), shutdown.clone());
            let runtime = Handle::current();
            std::thread::spawn(move || {
                fan_out::run(&kafka, &config, PerSale::default(), metrics, &Health::default(), &runtime, &shutdown)
            })
        };
        Self { metrics, shutdown, thread }
    }

    /// Waits until so many are routed and rejected.
    async fn has_routed(&self, routed: u64, rejected: usize) {
        let (metrics, deadline) = (&self.metrics, Instant::now() + LIMIT);
        while metrics.routed.get() < routed || metrics.rejected.get() < rejected as u64 {
            assert!(Instant::now() < deadline, "{} routed, {} rejected", metrics.routed.get(), metrics.rejected.get());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until so many are routed and rejected, and stops it.
    async fn routes(self, routed: u64, rejected: usize) {
        let _stop = self.shutdown.clone().drop_guard();
        self.has_routed(routed, rejected).await;
        let Self { shutdown, thread, .. } = self;
        let deadline = Instant::now() + LIMIT;
        shutdown.cancel();
        while !thread.is_finished() {
            assert!(Instant::now() < deadline, "it does not stop");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        thread.join().unwrap().unwrap();
    }
}

/// A record on `sales.rejected`.
struct Rejected {
    key: usize,
    body: usize,
    headers: Vec<(String, Vec<u8>)>,
    sale: Option<petstore::SaleId>,
}

impl Rejected {
    /// The first header of the name, which is ours.
    fn own(&self, name: &str) -> String {
        let found = self.headers.iter().find(|(other, _)| other == name);
        String::from_utf8_lossy(found.map(|(_, value)| value.as_slice()).unwrap_or_default()).into_owned()
    }

    fn bytes(&self) -> usize {
        self.key + self.body + self.headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
    }
}

/// A commit is answered before its marker is in every topic: what is read is waited for.
fn rejected(kafka: &kafka::Config, count: usize) -> Vec<Rejected> {
    read(kafka, &kafka.names().rejected(), count, |record| {
        let text = |(name, value): (&[u8], Option<&[u8]>)| {
            (String::from_utf8(name.to_vec()).unwrap(), value.unwrap_or_default().to_vec())
        };
        let headers: Vec<_> = record.headers().map(text).collect();
        assert!(!headers.is_empty(), "a rejected record has headers");
        Rejected {
            key: record.key().unwrap_or_default().len(),
            body: record.payload().unwrap_or_default().len(),
            headers,
            sale: record.sale_id(),
        }
    })
}

fn are_routed(kafka: &kafka::Config, sales: &[Sale]) {
    for state in State::ALL {
        let expected: Vec<_> = sales.iter().filter(|sale| sale.state() == state).map(|sale| sale.id).collect();
        let found = read(kafka, &kafka.names().state(state), expected.len(), |record| {
            record.sale().expect("a routed record is a sale").id
        });
        assert_eq!(found, expected, "the topic of {}", state.code());
    }
}

/// What `each` makes of every record of a topic, once there are `count` of them.
fn read<T>(kafka: &kafka::Config, topic: &str, count: usize, each: impl Fn(&Record<'_>) -> T) -> Vec<T> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let mut found = Vec::new();
        read_committed(kafka, topic, LIMIT, |record| found.push(each(record))).unwrap();
        if found.len() >= count || Instant::now() >= deadline {
            return found;
        }
    }
}
