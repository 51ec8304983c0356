//! What the loader says on `kapture.blocks` is what is on `sales`, however it ends.
//!
//! Needs the servers of `ci/servers up`: see the crate `test-servers`.

mod support;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use kafka::blocks::Phase;
use petstore::digest;
use support::{Audit, Kafka, LIMIT, Loader};

#[tokio::test(flavor = "multi_thread")]
async fn after_a_graceful_stop_what_was_acknowledged_is_exactly_what_is_there() {
    let kafka = Kafka::new();
    // Blocks of a month: several are sent to their end.
    let mut loader = Loader::start(&kafka, &[("LOADER_RATE", "1000"), ("LOADER_DAYS", "30")]);
    let report = loader.reports("6000 sales", |counters| counters["accepted"] >= 6_000).await;
    assert!(loader.is_ready().await);
    assert!(report.counters["blocks_closed"] >= 2, "{:?}", report.counters);
    loader.stop().await;

    let audit = kafka.audit();
    assert_eq!(audit.unknown, 0);
    assert!(audit.acknowledged >= 6_000);
    assert_eq!(audit.ids(Phase::Closed).len(), audit.blocks.len(), "every block is closed");
    let numbers: Vec<u32> = audit.ids(Phase::Closed).iter().map(|id| id.block).collect();
    assert_eq!(numbers, (0..u32::try_from(numbers.len()).unwrap()).collect::<Vec<_>>(), "no number is left out");
    for block in &audit.blocks {
        let size = u32::try_from(audit.regenerate(block.id).len()).unwrap();
        assert_eq!(block.record.acknowledged.len(), block.record.end.unwrap_or(size), "{}", block.id);
    }
    assert!(audit.blocks.iter().any(|block| block.record.end == Some(0)), "some were reserved ahead");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_records_are_the_generated_block_and_due_at_the_rate() {
    let kafka = Kafka::new();
    let mut loader = Loader::start(&kafka, &[("LOADER_RATE", "300"), ("LOADER_DAYS", "30")]);
    loader.reports("1500 sales", |counters| counters["accepted"] >= 1_500).await;
    loader.stop().await;

    let audit = kafka.audit();
    let mut records = kafka.sales();
    records.sort_unstable_by_key(|record| record.header.id);
    let first_due_us = records[0].header.due_us;
    let mut regenerated = audit.ids(Phase::Closed).into_iter().flat_map(|id| audit.regenerate(id));
    for (number, record) in (0i64..).zip(&records) {
        let truth = regenerated.next().unwrap();
        assert_eq!(digest(&record.sale), digest(&truth), "sale {number}: {:?} is not {truth:?}", record.sale);
        assert_eq!(record.header.id, truth.id);
        assert_eq!(record.header.state, truth.state());
        assert_eq!(record.key, truth.store.id.to_string());
        assert_eq!(record.header.due_us - first_due_us, number * 1_000_000 / 300, "sale {number}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_loader_leaves_an_account_that_is_right() {
    let kafka = Kafka::new();
    let variables = [("LOADER_RATE", "1000"), ("LOADER_DAYS", "30")];
    let mut first = Loader::start(&kafka, &variables);
    first.reports("3000 sales", |counters| counters["accepted"] >= 3_000).await;
    first.signal("KILL");
    first.ended().await;
    let before = kafka.blocks();

    let mut second = Loader::start(&kafka, &variables);
    second.reports("3000 more", |counters| counters["accepted"] >= 3_000).await;
    second.stop().await;

    let audit = kafka.audit();
    let cut = audit.ids(Phase::Cut);
    let left_open: Vec<_> = before.iter().filter(|block| !block.record.phase.is_final()).collect();
    assert!(!left_open.is_empty());
    assert_eq!(cut.len(), left_open.len(), "what was left open is cut");
    for block in left_open {
        let now = &audit.blocks.iter().find(|now| now.id == block.id).unwrap().record;
        assert_eq!(now.phase, Phase::Cut);
        assert_eq!(now.acknowledged, block.record.acknowledged, "the last word is final");
        assert_ne!(now.incarnation, block.record.incarnation);
    }
    // Published every half second; a busy machine gets more.
    assert!(audit.unknown < 3_000, "{} are unknown", audit.unknown);
    goes_on(&audit, before.iter().map(|block| block.id.block).max().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_loader_is_fenced_by_its_successor() {
    let kafka = Kafka::new();
    let variables = [("LOADER_RATE", "500"), ("LOADER_DAYS", "30")];
    let mut zombie = Loader::start(&kafka, &variables);
    zombie.reports("1000 sales", |counters| counters["accepted"] >= 1_000).await;
    zombie.signal("STOP");
    let highest = kafka.blocks().iter().map(|block| block.id.block).max().unwrap();

    let mut successor = Loader::start(&kafka, &variables);
    successor.reports("500 sales", |counters| counters["accepted"] >= 500).await;
    zombie.signal("CONT");
    let (status, log) = tokio::time::timeout(Duration::from_secs(20), zombie.ended()).await.expect("it ends by itself");
    assert!(!status.success(), "{log}");
    assert!(log.contains("another loader with ordinal 0 has begun"), "{log}");

    let sent = successor.report().await.unwrap().counters["accepted"];
    successor.reports("more sales", |counters| counters["accepted"] >= sent + 500).await;
    successor.stop().await;
    let audit = kafka.audit();
    assert!(!audit.ids(Phase::Cut).is_empty());
    goes_on(&audit, highest);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_parameters_begin_another_run() {
    let kafka = Kafka::new();
    for seed in ["1", "2", "1"] {
        let mut loader = Loader::start(&kafka, &[("LOADER_RATE", "200"), ("LOADER_DAYS", "30"), ("LOADER_SEED", seed)]);
        loader.reports("100 sales", |counters| counters["accepted"] >= 100).await;
        loader.stop().await;
    }
    let audit = kafka.audit();
    let runs = |seed| {
        let of_seed = audit.blocks.iter().filter(move |block| block.record.parameters.seed == seed);
        of_seed.map(|block| block.id.run).collect::<std::collections::BTreeSet<u32>>()
    };
    assert_eq!((runs(1).len(), runs(2).len()), (1, 1), "the same parameters go on in their run");
    assert!(runs(1).is_disjoint(&runs(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_that_has_ended_stays_ended_and_another_length_begins_another() {
    let kafka = Kafka::new();
    let variables = [("LOADER_RATE", "500"), ("LOADER_DAYS", "30"), ("LOADER_STOP_AFTER", "3s")];
    let mut first = Loader::start(&kafka, &variables);
    first.reports("all sales", |counters| counters["accepted"] == 1_500).await;
    first.reports("closed", |counters| counters["blocks_closed"] == counters["blocks_reserved"]).await;
    let deadline = Instant::now() + LIMIT;
    while first.threads().contains(&"contact".to_owned()) {
        assert!(Instant::now() < deadline, "a Kafka that goes away now would still end it: {:?}", first.threads());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    first.stop().await;

    let mut second = Loader::start(&kafka, &variables);
    let deadline = Instant::now() + LIMIT;
    while !second.log().contains("loader.stopAfter ends it after 3 s, restarts included; to load again, change") {
        assert!(Instant::now() < deadline, "{}", second.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(second.is_ready().await);
    second.reports("nothing", |counters| counters["due"] == 0 && counters["blocks_reserved"] == 0).await;
    second.stop().await;
    assert_eq!(kafka.audit().acknowledged, 1_500);

    let mut third = Loader::start(&kafka, &[("LOADER_STOP_AFTER", "2s"), variables[0], variables[1]]);
    third.reports("all sales", |counters| counters["accepted"] == 1_000).await;
    third.stop().await;
    let audit = kafka.audit();
    assert_eq!((audit.acknowledged, audit.unknown), (2_500, 0));
    goes_on(&audit, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_ends_when_it_would_have_although_its_loader_was_killed() {
    let kafka = Kafka::new();
    let variables = [("LOADER_RATE", "500"), ("LOADER_DAYS", "30"), ("LOADER_STOP_AFTER", "20s")];
    let mut first = Loader::start(&kafka, &variables);
    first.reports("4 s of sales", |counters| counters["accepted"] >= 2_000).await;
    first.signal("KILL");
    first.ended().await;

    let mut second = Loader::start(&kafka, &variables);
    let closed = second
        .reports("the end", |counters| {
            counters["blocks_reserved"] > 0 && counters["blocks_closed"] == counters["blocks_reserved"]
        })
        .await;
    second.stop().await;
    let sent = closed.counters["sent"];
    assert!(sent > 0 && sent <= 500 * 16, "{sent} in what was left of 20 s");
    let loads: BTreeSet<_> = kafka.blocks().iter().map(|block| block.record.load.unwrap().began_at_us).collect();
    assert_eq!(loads.len(), 1, "it is one load");
}

/// The successor took new blocks of the same run, right after the highest that was reserved.
fn goes_on(audit: &Audit, highest: u32) {
    let runs: std::collections::BTreeSet<u32> = audit.blocks.iter().map(|block| block.id.run).collect();
    assert_eq!(runs.len(), 1, "the run goes on");
    let closed = audit.ids(Phase::Closed);
    assert!(closed.iter().any(|id| id.block == highest + 1), "{closed:?} after {highest}");
}
