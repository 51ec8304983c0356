//! A Kafka that was replaced, while Postgres kept its rows: the account has what was lost, and nothing else is found.
//!
//! Needs the servers of `ci/servers up`: see the crate `test-servers`.

mod support;

use std::time::Duration;

use kafka::Batches;
use kafka::blocks::Phase;
use petstore::{BlockId, Sale};
use pipeline::Stage;
use service::account::Account;
use service::findings::Kind;
use stores::Adopt;
use stores::postgres::{Reader, Writer};
use support::{Auditor, BLOCK, World, count};

/// A loader begins another run on another Kafka.
const NEXT: BlockId = BlockId { run: BLOCK.run + 1, ..BLOCK };

fn counts(account: &Account) -> Vec<(Stage, Kind, u64)> {
    account.counts.iter().map(|count| (count.stage, count.kind, count.findings)).collect()
}

fn start(world: &World) -> Auditor {
    Auditor::start(&world.kafka, world.only_postgres())
}

/// The next run's block goes all the way.
async fn flow(world: &mut World, postgres: &mut Writer) -> Vec<Sale> {
    let sales = World::sales(NEXT);
    world.account(NEXT, Phase::Reserved, 0);
    world.flow(&sales);
    world.account(NEXT, Phase::Closed, count(&sales));
    world.fill(postgres, &[]).await;
    sales
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_auditor_ends_and_the_next_one_has_what_was_lost_and_nothing_else() {
    let mut world = World::new().await;
    let sales = world.account_whole(BLOCK);
    let (all, stored) = (sales.len(), sales.len() - 8);
    world.accept(&sales);
    world.route(&sales[..stored]);
    let before = world.installation().await;
    world.fill(&mut Writer::new(world.postgres.clone(), &before), &[]).await;
    world.route(&sales[stored..stored + 5]);
    let first = start(&world);
    first
        .account(|account| {
            let (routed, at_stored) = (account.stages.at(Stage::Routed), account.stages.at(Stage::Stored));
            (routed.late, at_stored.found, at_stored.late) == (3, stored as u64, 5)
        })
        .await;
    first.checkpointed().await;

    world.replace_kafka().await;
    let words = first.last_words().await;
    assert!(words.contains("kafka was emptied or replaced"), "{words}");

    let lost = [(Stage::Accepted, Kind::Lost, 3), (Stage::Stored, Kind::Lost, 5)];
    let second = start(&world);
    let account = second.account(|account| account.position.rounds > 2).await;
    assert_eq!(counts(&account), lost);
    assert_eq!(account.stages.at(Stage::Accepted).expected, all as u64);
    assert_eq!(account.stages.at(Stage::Stored).found, stored as u64);
    assert!(account.auditable && account.findings.len() == 8, "{account:?}");
    assert!(account.remarks.len() == 1 && account.remarks[0].contains(&before), "{:?}", account.remarks);
    // Postgres still has the rows and the positions of the old one: for two looks at it.
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(counts(&second.settled().await), lost);

    let mut postgres = Writer::new(world.postgres.clone(), world.installation().await);
    assert!(postgres.adopt(&before).await.unwrap());
    let next = flow(&mut world, &mut postgres).await;
    let account = second.account(|account| account.done_blocks == 1).await;
    assert_eq!(account.stages.at(Stage::Stored).found, (stored + next.len()) as u64);
    tokio::time::sleep(Duration::from_secs(5)).await;
    second.checkpointed().await;
    let account = second.settled().await;
    second.stop().await;
    assert_eq!((counts(&account), account.remarks.len()), (lost.to_vec(), 1));

    let third = start(&world);
    let restarted = third.account(|account| account.done_blocks == 1).await;
    assert_eq!((&restarted.stages, restarted.findings), (&account.stages, account.findings));
    third.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_checkpoint_is_not_used_on_a_new_kafka_whose_predecessor_nobody_gave_account_of() {
    let mut world = World::new().await;
    let old = count(&world.routed(BLOCK));
    let before = world.installation().await;
    world.fill(&mut Writer::new(world.postgres.clone(), &before), &[]).await;
    let first = start(&world);
    first.account(|account| account.done_blocks == 1).await;
    first.checkpointed().await;
    first.stop().await;
    let audit = world.kafka.names().audit();
    let mut written: Vec<(String, Option<Vec<u8>>)> = Vec::new();
    kafka::read_committed(&world.kafka, &audit, support::LIMIT, |record| {
        let key = String::from_utf8(record.key().unwrap().to_vec()).unwrap();
        written.push((key, record.payload().map(<[u8]>::to_vec)));
    })
    .unwrap();

    world.replace_kafka().await;
    world.kafka.ensure_topics(&[kafka::Topic::Audit], &tokio_util::sync::CancellationToken::new()).await.unwrap();
    let late = Batches::connect(&world.kafka, &format!("{}-late", world.schema), audit).unwrap();
    late.write(written.iter().map(|(key, value)| (key.as_str(), value.as_deref()))).unwrap();
    let mut postgres = Writer::new(world.postgres.clone(), world.installation().await);
    assert!(postgres.adopt(&before).await.unwrap());
    let next = flow(&mut world, &mut postgres).await;

    let second = start(&world);
    let account = second.account(|account| account.done_blocks == 1 && !account.remarks.is_empty()).await;
    assert_eq!((counts(&account), account.auditable), (vec![], true));
    assert_eq!(account.stages.at(Stage::Routed).found, next.len() as u64);
    assert!(account.remarks[0].contains("of an earlier Kafka can't be judged"), "{:?}", account.remarks);
    second.checkpointed().await;
    let held = Reader::new(world.postgres.clone()).counts(&[BLOCK]).await.unwrap();
    assert_eq!(held[0].found, u64::from(old), "somebody may still be about to give account of them");
    second.stop().await;
}
