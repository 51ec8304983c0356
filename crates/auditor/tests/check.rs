//! What `helm test` runs, against a hand-made pipeline: right is ok, and each fault fails at its own stage.
//!
//! Needs the servers of `ci/servers up`: see the crate `test-servers`.

mod support;

use std::time::Duration;

use auditor::Stores;
use auditor::helm_test::{Outcome, Patience, Settings, run};
use kafka::blocks::Phase;
use petstore::{BlockId, Sale};
use pipeline::Stage;
use service::account::Account;
use support::{Auditor, BLOCK, Exporter, World, count};

/// Short where a test waits for what will not come.
const PATIENCE: Patience =
    Patience { sales: Duration::from_secs(1), pass: Duration::from_secs(8), alive: Duration::from_secs(20) };

async fn test(world: &World, stores: fn(&World) -> Stores) -> Outcome {
    test_when(world, stores, |_| true).await
}

/// Tests once the live auditor knows what it is to know.
async fn test_when(world: &World, stores: fn(&World) -> Stores, knows: fn(&Account) -> bool) -> Outcome {
    let auditor = Auditor::start(&world.kafka, stores(world));
    auditor.account(knows).await;
    let exporter = Exporter::start();
    let settings = Settings {
        auditor: auditor.address(),
        exporter: exporter.address(),
        release: "kapture".to_owned(),
        namespace: "perf-test".to_owned(),
        objects: "kapture".to_owned(),
    };
    let outcome = run(&settings, &world.kafka, stores(world), PATIENCE).await;
    println!("{}", outcome.text);
    auditor.stop().await;
    outcome
}

/// A closed block and one that is still being sent, accepted and routed.
async fn world() -> (World, Vec<Sale>, u32) {
    let mut world = World::new().await;
    let open = BlockId { block: BLOCK.block + 1, ..BLOCK };
    let (sales, more) = (World::sales(BLOCK), World::sales(open));
    let more = &more[..50];
    world.account(BLOCK, Phase::Closed, count(&sales));
    world.account(open, Phase::Progress, 40);
    world.flow(sales.iter().chain(more));
    let all = count(&sales) + 40;
    (world, sales, all)
}

async fn fill(world: &World, missing_in_postgres: &[u32]) {
    let installation = world.installation().await;
    world.fill(&mut stores::redis::Writer::new(world.redis.clone(), &installation), &[]).await;
    world.fill(&mut stores::postgres::Writer::new(world.postgres.clone(), &installation), missing_in_postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_right_is_ok_open_blocks_included() {
    let (world, sales, count) = world().await;
    fill(&world, &[]).await;
    let open = World::sales(BlockId { block: BLOCK.block + 1, ..BLOCK });
    world.give_back(sales.iter().chain(&open[..50]));
    let Outcome { text, well } = test(&world, |world| world.stores(true)).await;
    assert!(well, "{text}");
    for line in [
        format!("  ok    accepted   {count} of {count}\n"),
        format!("  ok    routed     {count} of {count} in "),
        format!("  ok    cached     {count} of {count} in Redis\n"),
        format!("  ok    stored     {count} of {count} in Postgres\n"),
        format!("  ok    returned   {count} of {count} on receipts\n"),
        "  ok    auditor    no finding in ".to_owned(),
        "  ok    exporter   ".to_owned(),
        "\nok: all 7 checks.".to_owned(),
    ] {
        assert!(text.contains(&line), "{line:?} is not in\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_missing_fail_their_stage_alone_and_are_named() {
    let (world, sales, all) = world().await;
    // Index 45 of the second block is not acknowledged: it may be missing. Three of the first block are not.
    fill(&world, &[100, 101, 102]).await;
    let both = |world: &World| world.stores(false);
    let Outcome { text, well } = test_when(&world, both, |account| !account.counts.is_empty()).await;
    assert!(!well);
    let found = all - 3;
    let line = format!("  FAIL  stored     {found} of {all} in Postgres   3 missing, oldest {} ", sales[100].id);
    assert!(text.contains(&line), "{line:?} is not in\n{text}");
    assert!(text.contains("look at: kubectl -n perf-test logs deploy/kapture-etl-postgres"), "{text}");
    assert!(text.contains("  ok    cached ") && text.contains("  ok    routed "), "{text}");
    assert!(text.contains("  FAIL  auditor    3 lost at stored"), "{text}");
    assert!(text.contains("\nnot ok: 2 of 6 checks."), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fan_out_that_stands_still_fails_its_stage_and_is_no_loss() {
    let (world, _, _) = world().await;
    let late = BlockId { block: BLOCK.block + 2, ..BLOCK };
    let sales = World::sales(late);
    world.account(late, Phase::Progress, 30);
    world.accept(&sales[..30]);
    let Outcome { text, well } = test(&world, |_| Stores::default()).await;
    assert!(!well);
    assert!(text.contains("30 missing") && text.contains("(the fan-out has not passed the cut)"), "{text}");
    assert!(text.contains("logs statefulset/kapture-etl-fan-out"), "{text}");
    assert!(text.contains("  skip  stored     postgres.enabled=true turns it on"), "{text}");
    assert!(text.contains("  ok    auditor    no finding in "), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sale_twice_one_altered_and_one_nobody_sent_fail_where_they_lie() {
    let (mut world, sales, all) = world().await;
    let stranger = World::sales(BlockId { block: 99, ..BLOCK });
    let altered = Sale { cents: sales[9].cents + 1, ..sales[9].clone() };
    world.route([&sales[5], &altered, &stranger[0]]);
    let Outcome { text, well } = test(&world, |_| Stores::default()).await;
    assert!(!well);
    let line = format!("   2 duplicate, such as {}   1 altered, such as {}   1 never sent", sales[5].id, sales[9].id);
    assert!(text.contains(&format!("{all} of {all} in ")) && text.contains(&line), "{line:?} is not in\n{text}");
    assert!(text.contains("  ok    accepted "), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_rejected_or_out_of_order_fails_as_well() {
    let mut world = World::new().await;
    let mut sales = world.account_whole(BLOCK);
    world.accept(&sales);
    world.reject([&sales.pop().unwrap()]);
    let later = |at: usize| (at + 1..sales.len()).find(|later| sales[*later].store.id == sales[at].store.id);
    let (early, late) = (0..sales.len()).find_map(|at| Some((at, later(at)?))).unwrap();
    sales.swap(early, late);
    world.route(&sales);
    world.fan_out_has_passed_all();
    let Outcome { text, well } = test(&world, |_| Stores::default()).await;
    assert!(!well);
    let all = World::sales(BLOCK);
    assert!(text.contains(&format!("   1 rejected, such as {}   ", all[all.len() - 1].id)), "{text}");
    assert!(text.contains(&format!(" out of order, such as {}", all[early].id)), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_lost_with_an_earlier_kafka_is_told_and_fails_nothing() {
    let mut world = World::new().await;
    let sales = world.account_whole(BLOCK);
    world.accept(&sales);
    world.route(&sales[3..]);
    let auditor = Auditor::start(&world.kafka, Stores::default());
    auditor.account(|account| account.stages.at(Stage::Routed).late == 3).await;
    world.replace_kafka().await;
    auditor.last_words().await;
    let new = world.routed(BlockId { run: BLOCK.run + 1, ..BLOCK });
    let Outcome { text, well } = test_when(&world, |_| Stores::default(), |account| account.done_blocks == 1).await;
    assert!(well, "{text}");
    let ok = format!("  ok    auditor    no finding in {} sales since the first on today's Kafka\n", new.len());
    assert!(text.contains(&ok), "{ok:?} is not in\n{text}");
    assert!(
        text.contains("  before Kafka was last replaced, ") && text.contains(" ago: 3 lost at accepted;"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn fewer_than_100_sales_are_nothing_to_judge() {
    let world = World::new().await;
    world.account(BLOCK, Phase::Progress, 99);
    let Outcome { text, well } = test(&world, |_| Stores::default()).await;
    assert!(!well);
    assert!(text.contains("nothing to judge: 99 sales were acknowledged, 100 are wanted"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_kafka_deletes_too_soon_is_nothing_to_judge() {
    let (world, sales, _) = world().await;
    let state = sales[0].state();
    let mut all_but_one = rdkafka::TopicPartitionList::new();
    let last = rdkafka::Offset::Offset(world.end_of(state) - 2);
    all_but_one.add_partition_offset(&world.kafka.names().state(state), 0, last).unwrap();
    world.forget(&all_but_one).await;
    let Outcome { text, well } = test(&world, |_| Stores::default()).await;
    assert!(!well);
    assert!(text.contains("nothing to judge: Kafka deletes sales sooner than they can be counted"), "{text}");
}
