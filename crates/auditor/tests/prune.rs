//! What Kafka no longer holds is deleted from Postgres, and nothing else is.
//!
//! Needs the servers of `ci/servers up`: see the crate `test-servers`.

mod support;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use auditor::{Stores, recount};
use kafka::blocks::Phase;
use petstore::BlockId;
use pipeline::Stage;
use stores::postgres::{Reader, Writer};
use stores::{Adopt, Counts, Outcome, Part, Record, Store as _};
use support::{Auditor, BLOCK, LIMIT, World, count};

const HOUR: Duration = Duration::from_hours(1);

#[tokio::test(flavor = "multi_thread")]
async fn a_done_block_is_deleted_from_postgres_when_kafka_no_longer_holds_it() {
    let mut world = World::new().await;
    // Of one of the old blocks something can still come. The logs will begin within the young one, and hold the last whole.
    let [done, open, young, last] = [0, 1, 2, 3].map(|number| BlockId { block: BLOCK.block + number, ..BLOCK });
    let [done_sales, open_sales, young_sales, last_sales] = [done, open, young, last].map(World::sales);
    world.account_since(HOUR, done, Phase::Closed, count(&done_sales));
    world.account_since(HOUR, open, Phase::Progress, count(&open_sales));
    world.account(young, Phase::Closed, count(&young_sales));
    world.flow(done_sales.iter().chain(&open_sales));
    let old = world.ends(young_sales.iter().map(petstore::Sale::state));
    world.flow(&young_sales);
    world.account_since(Duration::ZERO, last, Phase::Closed, count(&last_sales));
    world.flow(&last_sales);
    let installation = world.installation().await;
    world.fill(&mut stores::postgres::Writer::new(world.postgres.clone(), &installation), &[]).await;

    let auditor = Auditor::start(&world.kafka, world.only_postgres());
    auditor.account(|account| account.done_blocks == 3).await;
    auditor.checkpointed().await;
    auditor.stop().await;
    let held = |sales: &[_]| Counts { found: count(sales).into(), conflicts: 0 };
    let all = [held(&done_sales), held(&open_sales), held(&young_sales), held(&last_sales)];
    assert_eq!(in_postgres(&world, &[done, open, young, last], |_| true).await, all, "kafka holds all of them");

    world.forget(&old).await;
    let auditor = Auditor::start(&world.kafka, world.only_postgres());
    let left = in_postgres(&world, &[done, open, young, last], |counts| counts[0].found == 0).await;
    assert_eq!(left, [Counts::default(), all[1], all[2], all[3]]);
    let account = auditor.settled().await;
    assert_eq!((account.done_blocks, account.counts), (3, vec![]));
    auditor.stop().await;

    let recount = recount::run(&world.kafka, world.only_postgres()).await.unwrap();
    assert_eq!((recount.blocks, recount.well), (1, true), "only the last one is judged: {recount:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_done_block_that_no_log_holds_is_deleted_from_the_account() {
    let mut world = World::new().await;
    let [old, open, last] = [0, 1, 2].map(|number| BlockId { block: BLOCK.block + number, ..BLOCK });
    let [old_sales, last_sales] = [old, last].map(World::sales);
    world.account_closed(HOUR, old, count(&old_sales));
    world.account_since(HOUR, open, Phase::Reserved, 0);
    world.flow(&old_sales);
    let auditor = Auditor::start(&world.kafka, Stores::default());
    auditor.account(|account| account.done_blocks == 1).await;
    auditor.checkpointed().await;
    auditor.stop().await;

    world.forget(&world.ends(petstore::State::ALL)).await;
    world.forget(&world.ends_of_sales()).await;
    world.account_since(Duration::ZERO, last, Phase::Reserved, 0);
    world.flow(&last_sales);
    world.account_closed(Duration::ZERO, last, count(&last_sales));
    let auditor = Auditor::start(&world.kafka, Stores::default());
    assert_eq!(on_the_account(&world, |blocks| blocks.len() < 3).await, [open, last]);
    let account = auditor.settled().await;
    assert_eq!((account.done_blocks, account.counts), (2, vec![]));
    auditor.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_an_earlier_kafka_are_deleted_with_their_conflicts_once_its_account_was_left() {
    let mut world = World::new().await;
    let sales = world.routed(BLOCK);
    let (before, partition) = (world.installation().await, (world.kafka.names().state(sales[0].state()), 0));
    let mut postgres = Writer::new(world.postgres.clone(), &before);
    world.fill(&mut postgres, &[]).await;
    let first = Auditor::start(&world.kafka, world.only_postgres());
    first.account(|account| account.done_blocks == 1).await;
    first.checkpointed().await;
    world.replace_kafka().await;
    first.last_words().await;
    let end = postgres.positions(std::slice::from_ref(&partition)).await.unwrap()[0];
    let again = vec![Record::new(sales[0].clone(), 0, end).unwrap()];
    let again = Part { partition, expected: end, next: end + 1, records: again };
    assert_eq!(postgres.write(&[again]).await.unwrap(), [Outcome::Written { conflicts: 1 }]);

    let second = Auditor::start(&world.kafka, world.only_postgres());
    second.account(|account| account.position.rounds > 2).await;
    let old = Counts { found: count(&sales).into(), conflicts: 1 };
    assert_eq!(in_postgres(&world, &[BLOCK], |_| true).await, [old], "its sinks may still be writing");
    let mut postgres = Writer::new(world.postgres.clone(), world.installation().await);
    assert!(postgres.adopt(&before).await.unwrap());
    let next = BlockId { run: BLOCK.run + 1, ..BLOCK };
    let new = Counts { found: count(&world.routed(next)).into(), conflicts: 0 };
    world.fill(&mut postgres, &[]).await;
    let left = in_postgres(&world, &[BLOCK, next], |counts| counts[0] == Counts::default()).await;
    assert_eq!(left, [Counts::default(), new]);
    second.account(|account| account.done_blocks == 1).await;
    let account = second.settled().await;
    assert_eq!((account.counts, account.stages.at(Stage::Stored).found), (vec![], old.found + new.found));
    second.stop().await;
}

/// Which blocks are on the loaders' account, as soon as that is `enough`.
async fn on_the_account(world: &World, enough: impl Fn(&[BlockId]) -> bool) -> Vec<BlockId> {
    let look = async || {
        let blocks = kafka::blocks::read_all(&world.kafka, LIMIT).unwrap().into_iter();
        blocks.map(|block| block.id).collect::<BTreeSet<_>>().into_iter().collect()
    };
    soon(look, enough).await
}

/// What Postgres has of blocks, as soon as that is `enough`.
async fn in_postgres(world: &World, blocks: &[BlockId], enough: impl Fn(&[Counts]) -> bool) -> Vec<Counts> {
    let mut reader = Reader::new(world.postgres.clone());
    soon(async || reader.counts(blocks).await.unwrap(), enough).await
}

/// What is there once it is `enough`, or the time is over.
async fn soon<T>(mut look: impl AsyncFnMut() -> Vec<T>, enough: impl Fn(&[T]) -> bool) -> Vec<T> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let found = look().await;
        if enough(&found) || Instant::now() > deadline {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
