//! What the fan-out promises, against a real Kafka.
//!
//! Needs the servers of `ci/servers up`: see the crate `test-servers`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use etl::{Metrics, Role, fan_out};
use kafka::{SaleHeader, Topic, read_to_end};
use petstore::{BlockId, Parameters, Petstore, State};
use prometheus_client::registry::Registry;
use rdkafka::Message;
use rdkafka::message::{BorrowedMessage, Headers};
use rdkafka::producer::{BaseProducer, BaseRecord};
use serde_json::json;
use service::Health;
use test_servers::Servers;
use tokio_util::sync::CancellationToken;

const LIMIT: Duration = Duration::from_mins(1);

/// The fan-out makes its own topics, routes each sale to its state, and puts what is no sale aside with the reason.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_malformed_record_is_put_aside_with_its_reason_and_nothing_stops() {
    let mut kafka: kafka::Config = Servers::running().kafka(&format!("test-{:08x}-", rand::random::<u32>()));
    // So that there is one order.
    kafka.sales_partitions = 1.try_into().unwrap();
    let shutdown = CancellationToken::new();
    let _stop = shutdown.clone().drop_guard();
    kafka.ensure_topics(&[Topic::Sales], &shutdown).await.unwrap();
    let sales = Petstore::new(Parameters::default()).unwrap().block(BlockId { run: 1, loader: 0, block: 0 });
    let sales = &sales[..300];
    let producer: BaseProducer = kafka.idempotent_producer().create().unwrap();
    let topic = kafka.names().sales();
    for (index, sale) in sales.iter().enumerate() {
        if index == 100 {
            producer
                .send(BaseRecord::<(), _>::to(&topic).payload("{\"not\":\"a sale\""))
                .map_err(|(err, _)| err)
                .unwrap();
        }
        let headers = SaleHeader { id: sale.id, due_us: service::unix_us(), state: sale.state() }.to_owned_headers();
        let (key, body) = (sale.store.id.to_string(), serde_json::to_vec(sale).unwrap());
        let record = BaseRecord::to(&topic).key(&key).payload(&body).headers(headers);
        producer.send(record).map_err(|(err, _)| err).unwrap();
    }
    kafka::flush(&producer, LIMIT).unwrap();

    let metrics = Arc::new(Metrics::register(Role::FanOut, &mut Registry::default()));
    let thread = {
        let (kafka, metrics, shutdown) = (kafka.clone(), Arc::clone(&metrics), shutdown.clone());
        let runtime = tokio::runtime::Handle::current();
        let config: fan_out::Config = serde_json::from_value(json!({"role": "fan-out", "ordinal": 0})).unwrap();
        std::thread::spawn(move || fan_out::run(&kafka, &config, metrics, &Health::default(), &runtime, &shutdown))
    };
    let deadline = Instant::now() + LIMIT;
    while metrics.routed.get() < 300 || metrics.rejected.get() < 1 {
        assert!(Instant::now() < deadline, "{} routed, {} rejected", metrics.routed.get(), metrics.rejected.get());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    shutdown.cancel();
    while !thread.is_finished() {
        assert!(Instant::now() < deadline, "it does not stop");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    thread.join().unwrap().unwrap();

    // A commit is answered before its marker is in every topic: what is read is waited for.
    let reasons = read(&kafka, &kafka.names().rejected(), 1, |message| {
        let headers = message.headers().expect("a rejected record has headers");
        let reason = headers.iter().find(|header| header.key == "reason").and_then(|header| header.value);
        String::from_utf8_lossy(reason.unwrap_or_default()).into_owned()
    });
    assert_eq!(reasons, ["no headers"]);
    for state in State::ALL {
        let expected: Vec<_> = sales.iter().filter(|sale| sale.state() == state).map(|sale| sale.id).collect();
        let found = read(&kafka, &kafka.names().state(state), expected.len(), |message| {
            SaleHeader::from_message(message).expect("a routed record is a sale").id
        });
        assert_eq!(found, expected, "the topic of {}", state.code());
    }
}

/// What `each` makes of every record of a topic, once there are `count` of them.
fn read<T>(kafka: &kafka::Config, topic: &str, count: usize, each: impl Fn(&BorrowedMessage<'_>) -> T) -> Vec<T> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let mut found = Vec::new();
        read_to_end(kafka, topic, LIMIT, |message| {
            found.push(each(message));
            Ok(())
        })
        .unwrap();
        if found.len() >= count || Instant::now() >= deadline {
            return found;
        }
    }
}
