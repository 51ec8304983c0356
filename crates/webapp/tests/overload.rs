//! A Kafka that hangs behind the shop.
//!
//! Needs the servers of `ci/servers up`: see the crate `test-servers`. A binary of its own: this test stops the broker that the
//! others use.

mod support;

use std::time::Duration;

use service::http::StatusCode;
use support::{Shop, block};
use test_servers::Servers;

#[tokio::test(flavor = "multi_thread")]
async fn while_kafka_hangs_few_wait_and_the_rest_are_told_to_come_again() {
    let servers = Servers::running();
    let shop = Shop::open(&servers, &[]).await;
    // The longest body that is a sale: 32 of them are all that there is room for.
    let mut sale = block().to_sales().swap_remove(0);
    sale.items[0].brand = "x".repeat(60_000).into();
    let body = serde_json::to_vec(&sale).unwrap();
    assert_eq!(shop.customer().await.buy(body.clone(), None).await.unwrap().status(), StatusCode::CREATED);

    servers.signal("kafka", "STOP");
    let mut buying = Vec::new();
    for _ in 0..100 {
        let (mut customer, body) = (shop.customer().await, body.clone());
        buying.push(tokio::spawn(async move { customer.buy(body, None).await.unwrap() }));
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    let answered = buying.iter().filter(|customer| customer.is_finished()).count();
    let busy = shop.report().await.counters["busy"];
    servers.signal("kafka", "CONT");
    assert_eq!((answered as u64, busy), (busy, busy), "whoever finds no room is told so at once");
    assert!((60..=90).contains(&answered), "{answered} of 100");
    let mut taken = 0;
    for customer in buying {
        let answer = customer.await.unwrap();
        match answer.status() {
            StatusCode::CREATED => taken += 1,
            StatusCode::SERVICE_UNAVAILABLE => assert_eq!(answer.headers()["retry-after"], "1"),
            other => panic!("{other}: {answer:?}"),
        }
    }
    assert_eq!(taken + answered, 100);
    assert_eq!(shop.report().await.counters["taken"], taken as u64 + 1);
}
