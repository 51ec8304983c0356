//! What becomes of a sale that somebody makes in the shop, and of what somebody asks.
//!
//! Needs the servers of `ci/servers up`: see the crate `test-servers`.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use kafka::SaleHeader;
use petstore::{MAX_SALE_BYTES, Sale};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Message, Offset, TopicPartitionList};
use serde_json::{Value, json};
use service::http::{Answer, Method, StatusCode};
use stores::{Part, Record, Store, redis};
use support::{LIMIT, Shop, block, bodies};
use test_servers::Servers;

/// Every record of `sales`: its key, header and body.
fn on_sales(kafka: &kafka::Config) -> Vec<(String, SaleHeader, Vec<u8>)> {
    let consumer: BaseConsumer = kafka.reader().set("enable.partition.eof", "true").create().unwrap();
    let mut partitions = TopicPartitionList::new();
    for partition in 0..kafka.sales_partitions.get() {
        partitions.add_partition_offset(&kafka.names().sales(), partition, Offset::Beginning).unwrap();
    }
    consumer.assign(&partitions).unwrap();
    let (mut records, mut ended) = (Vec::new(), BTreeSet::new());
    let deadline = Instant::now() + LIMIT;
    while ended.len() < partitions.count() {
        assert!(Instant::now() < deadline, "reading the sales took longer than {LIMIT:?}");
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                let key = String::from_utf8(message.key().unwrap().to_vec()).unwrap();
                let header = SaleHeader::from_message(&message).unwrap();
                records.push((key, header, message.payload().unwrap().to_vec()));
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => drop(ended.insert(partition)),
            _ => {}
        }
    }
    records
}

fn said(answer: &Answer) -> String {
    let body: Value = serde_json::from_slice(answer.body()).unwrap();
    body["error"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sale_that_was_taken_is_in_kafka_once_and_unaltered() {
    let shop = Shop::open(&Servers::running(), &[]).await;
    let block = block();
    let bodies = bodies(&block);
    assert!(bodies.len() > 100);
    let mut buying = Vec::new();
    for some in bodies.chunks(bodies.len().div_ceil(8)) {
        let (mut customer, some) = (shop.customer().await, some.to_vec());
        buying.push(tokio::spawn(async move {
            for body in some {
                let id = serde_json::from_slice::<Sale>(&body).unwrap().id;
                let answer = customer.buy(body, Some(&format!("17000000000{:05}", id.index))).await.unwrap();
                assert_eq!(answer.status(), StatusCode::CREATED, "{answer:?}");
                assert_eq!(serde_json::from_slice::<Value>(answer.body()).unwrap(), json!({"id": id}));
            }
        }));
    }
    for customer in buying {
        customer.await.unwrap();
    }
    let mut found: BTreeMap<_, _> = BTreeMap::new();
    for (key, header, body) in on_sales(&shop.kafka) {
        let sale: Sale = serde_json::from_slice(&body).unwrap();
        assert_eq!((key, header.id, header.state), (sale.store.id.to_string(), sale.id, sale.state()));
        assert_eq!(header.due_us, 1_700_000_000_000_000 + i64::from(sale.id.index));
        assert!(found.insert(sale.id.index, body).is_none(), "{} is there twice", sale.id);
    }
    assert_eq!(found.len(), bodies.len());
    assert!(found.into_values().eq(bodies.iter().cloned()), "bodies differ");
    let report = shop.report().await;
    assert_eq!((report.program.as_str(), report.counters["taken"]), ("webapp", bodies.len() as u64));
    assert_eq!(report.latencies["take"].decode().unwrap().len(), bodies.len() as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_sale_is_refused_with_the_reason_and_is_not_in_kafka() {
    let shop = Shop::open(&Servers::running(), &[]).await;
    let mut customer = shop.customer().await;
    let good = bodies(&block()).swap_remove(0);
    let zero_byte = String::from_utf8(good.clone()).unwrap().replace(r#""first":""#, r#""first":"\u0000"#);
    let long = [good.clone(), vec![b' '; MAX_SALE_BYTES]].concat();
    for (body, due, status, reason) in [
        (b"{".to_vec(), None, StatusCode::BAD_REQUEST, "the body is not a sale: EOF"),
        (b"\xff".to_vec(), None, StatusCode::BAD_REQUEST, "the body is not a sale: invalid utf-8"),
        (Vec::new(), None, StatusCode::BAD_REQUEST, "the body is not a sale: EOF"),
        (zero_byte.into_bytes(), None, StatusCode::BAD_REQUEST, "zero byte"),
        (
            good.clone(),
            Some("soon"),
            StatusCode::BAD_REQUEST,
            "header kapture-due must be microseconds since 1970, not \"soon\"",
        ),
        (good.clone(), Some("-1"), StatusCode::BAD_REQUEST, "due time of the sale can't be stored: -1"),
        (long, None, StatusCode::PAYLOAD_TOO_LARGE, "the body of a sale has at most 65536 bytes"),
    ] {
        let answer = customer.buy(body, due).await.unwrap();
        assert_eq!(answer.status(), status, "{reason}");
        assert!(said(&answer).contains(reason), "{:?} and not {reason:?}", said(&answer));
        if status == StatusCode::PAYLOAD_TOO_LARGE {
            // What is left of the body is on the old one.
            customer = shop.customer().await;
        }
    }
    for (method, path, status) in [
        (Method::GET, "/sales", StatusCode::METHOD_NOT_ALLOWED),
        (Method::DELETE, "/states", StatusCode::METHOD_NOT_ALLOWED),
        (Method::GET, "/nothing", StatusCode::NOT_FOUND),
        (Method::GET, "/states/xx", StatusCode::NOT_FOUND),
        (Method::GET, "/", StatusCode::OK),
    ] {
        assert_eq!(customer.ask(method, path).await.status(), status, "{path}");
    }
    assert!(on_sales(&shop.kafka).is_empty());
    assert_eq!(customer.buy(good, None).await.unwrap().status(), StatusCode::CREATED);
    assert_eq!(on_sales(&shop.kafka).len(), 1);
    let counters = shop.report().await.counters;
    assert_eq!(["taken", "invalid", "busy", "unknown"].map(|name| counters[name]), [1, 7, 0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sold_is_told_as_redis_has_it_whatever_habits_the_shop_has() {
    // The totals of all states, those of one, two lists of which the second is empty.
    what_was_sold("false", |_| 4).await;
    what_was_sold("true", |purchases| 51 + 1 + (1 + purchases) + 1).await;
}

async fn what_was_sold(n_plus_one: &str, lookups: impl Fn(u64) -> u64) {
    let servers = Servers::running();
    let redis_prefix = format!("webapp-test-{:08x}-", rand::random::<u32>());
    let variables: Vec<_> = servers
        .environment("redis")
        .chain([("REDIS_PREFIX", redis_prefix.as_str()), ("WEBAPP_REDIS", "true"), ("WEBAPP_N_PLUS_ONE", n_plus_one)])
        .collect();
    let shop = Shop::open(&servers, &variables).await;
    let sales: Vec<Sale> = block().to_sales();
    let config: redis::Config = servers.redis(&redis_prefix);
    let mut writer = redis::Writer::new(config, "a kafka");
    let records = (0..).zip(&sales).map(|(offset, sale)| Record::new(sale.clone(), 1, offset).unwrap()).collect();
    let part =
        Part { partition: ("sales.ca".into(), 0), expected: 0, next: i64::try_from(sales.len()).unwrap(), records };
    writer.write(&[part]).await.unwrap();

    let mut customer = shop.customer().await;
    let mut read = async |path: &str| {
        let answer = customer.ask(Method::GET, path).await;
        assert_eq!(answer.status(), StatusCode::OK, "{path}: {answer:?}");
        serde_json::from_slice::<Value>(answer.body()).unwrap()
    };
    let states = read("/states").await;
    let states = states.as_array().unwrap();
    assert_eq!(states.len(), 51);
    let sum = |field: &str| states.iter().map(|state| state[field].as_u64().unwrap()).sum::<u64>();
    assert_eq!(sum("sales"), sales.len() as u64);
    assert_eq!(sum("cents"), sales.iter().map(|sale| u64::from(sale.cents)).sum::<u64>());
    let sale = sales.last().unwrap();
    let of_state = read(&format!("/states/{}", sale.state().code())).await;
    assert!(states.contains(&of_state) && of_state["name"] == sale.state().name(), "{of_state}");

    let theirs: Vec<&Sale> =
        sales.iter().rev().filter(|other| other.customer.id == sale.customer.id).take(10).collect();
    let purchase =
        |sale: &&Sale| json!({"id": sale.id, "time": sale.time, "store": sale.store.id, "cents": sale.cents});
    let recent: Vec<Value> = theirs.iter().map(purchase).collect();
    assert_eq!(
        read(&format!("/customers/{}", sale.customer.id)).await,
        json!({"customer": sale.customer.id, "recent": recent})
    );
    assert_eq!(read("/customers/4000000000").await, json!({"customer": 4_000_000_000_u64, "recent": []}));
    let counters = shop.report().await.counters;
    assert_eq!((counters["reads"], counters["lookups"]), (4, lookups(theirs.len() as u64)));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_redis_only_questions_are_not_answered() {
    let servers = Servers::running();
    // Nobody listens on port 1.
    let away = [("WEBAPP_REDIS", "true"), ("REDIS_HOST", "127.0.0.1"), ("REDIS_PORT", "1")];
    for (variables, why) in [(&away[..], "redis can't be read: "), (&[], "this shop has no Redis")] {
        let shop = Shop::open(&servers, variables).await;
        let mut customer = shop.customer().await;
        for path in ["/states", "/states/ca", "/customers/1"] {
            let answer = customer.ask(Method::GET, path).await;
            assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
            assert_eq!(answer.headers()["retry-after"], "1");
            assert!(said(&answer).starts_with(why), "{}", said(&answer));
        }
        let body = bodies(&block()).swap_remove(0);
        assert_eq!(customer.buy(body, None).await.unwrap().status(), StatusCode::CREATED);
        let counters = shop.report().await.counters;
        assert_eq!(["taken", "reads", "read_errors"].map(|name| counters[name]), [1, 3, 3]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_that_closes_answers_those_who_are_there() {
    let mut shop = Shop::open(&Servers::running(), &[]).await;
    let body = bodies(&block()).swap_remove(0);
    let mut buying = Vec::new();
    for _ in 0..50 {
        let (mut customer, body) = (shop.customer().await, body.clone());
        buying.push(tokio::spawn(async move { customer.buy(body, None).await }));
    }
    tokio::time::sleep(Duration::from_millis(3)).await;
    shop.signal("TERM");
    let mut taken = 0;
    for customer in buying {
        // Those whose request was not read yet are sent away.
        if let Ok(answer) = customer.await.unwrap() {
            assert_eq!(answer.status(), StatusCode::CREATED);
            taken += 1;
        }
    }
    assert!(shop.ended().await, "{}", shop.log());
    let there = on_sales(&shop.kafka).len();
    assert_eq!(there, taken, "what is in kafka was answered");
}
