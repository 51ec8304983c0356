//! A loader whose sales go through the shop.
//!
//! Needs the servers of `ci/servers up`: see the crate `test-servers`.

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use kafka::blocks::{Phase, Via};
use service::Health;
use support::{Kafka, LIMIT, Loader};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The shop, in this process.
struct Shop {
    stop: CancellationToken,
    running: JoinHandle<anyhow::Result<()>>,
}

impl Shop {
    fn open(kafka: &Kafka, address: &str) -> Self {
        let config = webapp::Config { http_addr: address.parse().unwrap(), redis: None, n_plus_one: false };
        let (metrics, stop) = (Arc::default(), CancellationToken::new());
        let running = webapp::run(config, kafka.config.clone(), metrics, Health::default(), stop.clone());
        Self { running: tokio::spawn(running), stop }
    }

    /// Closes it in good order.
    async fn close(self) {
        self.stop.cancel();
        tokio::time::timeout(LIMIT, self.running).await.expect("it closes").unwrap().unwrap();
    }
}

fn free_address() -> String {
    let listener = std::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    listener.local_addr().unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sale_is_made_in_the_shop_once_also_while_it_is_closed_for_a_time() {
    let (kafka, address) = (Kafka::new(), free_address());
    let shop = Shop::open(&kafka, &address);
    let variables = [
        ("LOADER_RATE", "500"),
        ("LOADER_DAYS", "30"),
        ("LOADER_VIA", "webapp"),
        ("LOADER_WEBAPP", &address),
        ("LOADER_READS", "50"),
    ];
    let mut loader = Loader::start(&kafka, &variables);
    loader.reports("1000 sales", |counters| counters["accepted"] >= 1_000).await;
    shop.close().await;
    let before = loader.report().await.unwrap().counters;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let shop = Shop::open(&kafka, &address);
    let more = before["accepted"] + 2_000;
    let report = loader.reports("2000 more", |counters| counters["accepted"] >= more).await;
    let slowest_us = report.latencies["accepted"].decode().unwrap().max();
    assert!(slowest_us > 1_500_000, "what was due meanwhile waited: {slowest_us} µs");
    let counters = report.counters;
    assert_eq!((counters["queue_full"], counters["refused"]), (0, 0));
    let reads = counters["reads"];
    assert!(reads.abs_diff(counters["accepted"] / 2) <= 512, "half of them ask: {reads}");
    assert!(counters["read_errors"] > 0, "this shop has no Redis");
    loader.stop().await;
    shop.close().await;

    let audit = kafka.audit();
    // A request may be on its way when the door is shut.
    assert!(audit.unknown <= 3, "{} are unknown", audit.unknown);
    assert!(audit.acknowledged >= 3_000);
    assert_eq!(audit.ids(Phase::Closed).len(), audit.blocks.len());
    assert!(
        audit.blocks.iter().all(|block| block.record.load.unwrap().via == Via::Webapp && !block.record.is_in_order())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_that_is_never_there_keeps_the_schedule_and_costs_no_sale() {
    let (kafka, address) = (Kafka::new(), free_address());
    let variables = [("LOADER_RATE", "4000"), ("LOADER_VIA", "webapp"), ("LOADER_WEBAPP", &address)];
    let mut loader = Loader::start(&kafka, &variables);
    let counters = loader.reports("a full queue", |counters| counters["queue_full"] > 0).await.counters;
    assert!(counters["due"] > counters["sent"] && counters["sent"] > 10_000, "{counters:?}");
    assert_eq!((counters["accepted"], counters["unknown"]), (0, 0));
    assert!(loader.log().contains(&format!("the shop at {address}: connecting to {address}")), "{}", loader.log());
    let log = loader.stop().await;
    assert!(log.contains("these sales stay unknown"), "{log}");
    let audit = kafka.audit();
    assert_eq!((audit.acknowledged, audit.unknown), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_way_to_the_shop_needs_its_address() {
    let kafka = Kafka::new();
    let (status, log) = Loader::start(&kafka, &[("LOADER_VIA", "webapp")]).ended().await;
    assert!(!status.success() && log.contains("LOADER_VIA=webapp needs LOADER_WEBAPP=host:port"), "{log}");
}
