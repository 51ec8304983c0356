//! The live auditor against a hand-made pipeline: each fault gives its finding, and nothing else.
//!
//! Needs the servers of `ci/servers up`: see the crate `test-servers`.

mod support;

use auditor::{Stores, recount};
use kafka::blocks::Phase;
use petstore::{BlockId, Sale};
use pipeline::Stage;
use rdkafka::producer::Producer;
use service::account::{Account, Tally};
use service::findings::Kind;
use support::{Auditor, BLOCK, World, count, other};

/// Findings as (stage, kind, how many), and what the list names.
fn found(account: &Account) -> (Vec<(Stage, Kind, u64)>, Vec<String>) {
    let counts = account.counts.iter().map(|count| (count.stage, count.kind, count.findings)).collect();
    (counts, account.findings.iter().map(|finding| finding.what.clone()).collect())
}

fn without(sales: &[Sale], index: usize) -> impl Iterator<Item = &Sale> {
    sales.iter().enumerate().filter(move |(at, _)| *at != index).map(|(_, sale)| sale)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_is_accounted_for_to_the_sale() {
    let mut world = World::new().await;
    let sales = world.account_whole(BLOCK);
    world.accept(&sales);
    let auditor = Auditor::start(&world.kafka, Stores::default());
    let late = auditor.account(|account| account.open_blocks == 1).await;
    assert_eq!(late.stages.at(Stage::Routed).late, u64::from(count(&sales)), "slow is not lost: {late:?}");

    world.route(&sales);
    world.fan_out_has_passed_all();
    let account = auditor.account(|account| account.done_blocks == 1).await;
    let all = Tally { expected: count(&sales).into(), found: count(&sales).into(), ..Tally::default() };
    let routed = Tally { compared: all.found, ..all };
    assert_eq!((account.stages.at(Stage::Accepted), account.stages.at(Stage::Routed)), (all, routed));
    assert_eq!((found(&account), account.auditable), ((vec![], vec![]), true));
    auditor.stop().await;

    let recount = recount::run(&world.kafka, Stores::default()).await.unwrap();
    assert_eq!((recount.stages, recount.blocks, recount.well), (account.stages, 1, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_gives_its_finding_and_nothing_else() {
    let mut world = World::new().await;
    let block = |number| BlockId { block: number, ..BLOCK };
    let blocks: Vec<Vec<Sale>> = (0..6).map(|number| World::sales(block(number))).collect();
    for (number, sales) in (0..).zip(&blocks) {
        // The last one is still being sent: losses are found there as well.
        let phase = if number == 5 { Phase::Progress } else { Phase::Closed };
        world.account(block(number), phase, count(sales));
    }
    let auditor = Auditor::start(&world.kafka, Stores::default());

    world.accept(without(&blocks[0], 10).chain(blocks[1..].iter().flatten()));
    world.route(without(&blocks[0], 10)); // lost by Kafka
    world.route(without(&blocks[1], 11)); // lost by the fan-out
    world.route(without(&blocks[2], 12)); // rejected
    world.reject([&blocks[2][12]]);
    world.route(blocks[3].iter().chain([&blocks[3][13]])); // twice
    world.route(without(&blocks[4], 14)); // on the wrong topic
    world.misroute(&blocks[4][14], other(blocks[4][14].state()));
    world.route(without(&blocks[5], 15)); // lost, of a block that is not closed
    let stranger = World::sales(block(99));
    world.route([&stranger[16]]); // of a block that nobody reserved
    let read = |account: &Account| account.counts.iter().any(|count| count.kind == Kind::NeverSent);
    let open = auditor.account(read).await;
    assert!(open.counts.iter().all(|count| count.kind != Kind::Lost), "the fan-out has passed nothing: {open:?}");

    world.fan_out_has_passed_all();
    let account = auditor.account(|account| account.done_blocks == 5).await;
    auditor.stop().await;
    let (counts, mut named) = found(&account);
    named.sort();
    assert_eq!(
        counts,
        [
            (Stage::Accepted, Kind::Lost, 1),
            (Stage::Routed, Kind::Lost, 2),
            (Stage::Routed, Kind::Rejected, 1),
            (Stage::Routed, Kind::Duplicate, 1),
            (Stage::Routed, Kind::Misrouted, 1),
            (Stage::Routed, Kind::NeverSent, 1),
        ]
    );
    let expected: Vec<String> = (0..6)
        .map(|number| (number, 10 + number))
        .chain([(99, 16)])
        .map(|(b, i)| block(b).sale(i).to_string())
        .collect();
    assert_eq!(named, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_store_lost_or_has_twice_is_named() {
    let mut world = World::new().await;
    let sales = world.routed(BLOCK);
    let installation = world.installation().await;
    let auditor = Auditor::start(&world.kafka, world.stores(false));
    let waiting = auditor.settled().await;
    assert_eq!(waiting.stages.at(Stage::Stored).late, u64::from(count(&sales)), "{waiting:?}");
    assert_eq!(found(&waiting).0, vec![]);

    world.fill(&mut stores::redis::Writer::new(world.redis.clone(), &installation), &[7]).await;
    world.fill(&mut stores::postgres::Writer::new(world.postgres.clone(), &installation), &[3, 5, 8]).await;
    let account = auditor.account(|account| account.done_blocks == 1).await;
    auditor.stop().await;
    assert_eq!(found(&account).0, [(Stage::Cached, Kind::Lost, 1), (Stage::Stored, Kind::Lost, 3)]);
    let mut named = found(&account).1;
    named.sort();
    assert_eq!(named, [3, 5, 7, 8].map(|index| BLOCK.sale(index).to_string()));
}

#[tokio::test(flavor = "multi_thread")]
async fn judging_goes_on_while_a_search_is_under_way() {
    let mut world = World::new().await;
    let [lossy, whole] = [0, 1].map(|number| BlockId { block: BLOCK.block + number, ..BLOCK });
    let [some, all] = [lossy, whole].map(World::sales);
    world.account(lossy, Phase::Closed, count(&some));
    world.accept(without(&some, 7));
    world.route(without(&some, 7));
    let hidden = world.hide_the_end_of_sales();
    world.fan_out_has_passed_all();
    let auditor = Auditor::start(&world.kafka, Stores::default());
    auditor.account(|account| account.position.waiting_for.contains("search")).await;

    world.account(whole, Phase::Closed, count(&all));
    world.flow(&all);
    let account = auditor.account(|account| account.done_blocks == 1).await;
    assert_eq!((found(&account).0, account.open_blocks), (vec![], 1), "the search is not over: {account:?}");

    hidden.abort_transaction(support::LIMIT).unwrap();
    let account = auditor.account(|account| account.done_blocks == 2).await;
    assert_eq!(found(&account), (vec![(Stage::Accepted, Kind::Lost, 1)], vec![lossy.sale(7).to_string()]));
    auditor.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_in_the_middle_gives_the_same_account() {
    let mut world = World::new().await;
    let (first, second) = (BLOCK, BlockId { block: BLOCK.block + 1, ..BLOCK });
    let (one, two) = (World::sales(first), World::sales(second));
    let half = two.len() / 2;
    world.account(first, Phase::Closed, count(&one));
    world.account(second, Phase::Progress, count(&two[..half]));
    world.accept(one.iter().chain(&two[..half]));
    world.route(without(&one, 4).chain([&one[9]]));
    world.route(without(&two[..half], 6));
    world.fan_out_has_passed_all();

    // Killed, not stopped: what it knows is what it wrote.
    let mut killed = Process::start(&world);
    let before = killed.account(|account| account.done_blocks == 1 && account.counts.len() == 2).await;
    killed.account(|account| account.position.checkpoint_age_ms.is_some()).await;
    killed.kill();
    assert_eq!(found(&before).0, [(Stage::Routed, Kind::Lost, 2), (Stage::Routed, Kind::Duplicate, 1)]);

    world.accept(&two[half..]);
    world.route(&two[half..]);
    world.misroute(&one[20], one[20].state());
    world.account(second, Phase::Closed, count(&two));
    world.fan_out_has_passed_all();
    let restarted = Auditor::start(&world.kafka, Stores::default());
    let after = restarted.account(|account| account.done_blocks == 2).await;
    restarted.stop().await;

    // A third one that never knew the checkpoint has the same account.
    world.delete(&[world.kafka.names().audit()]).await;
    let fresh = Auditor::start(&world.kafka, Stores::default());
    let from_scratch = fresh.account(|account| account.done_blocks == 2).await;
    fresh.stop().await;
    assert_eq!(after.stages, from_scratch.stages);
    assert_eq!(found(&after).0, [(Stage::Routed, Kind::Lost, 2), (Stage::Routed, Kind::Duplicate, 2)]);
    let sorted = |account: &Account| {
        let mut named = found(account).1;
        named.sort();
        named
    };
    assert_eq!(sorted(&after), sorted(&from_scratch));
    let all = u64::from(count(&one) + count(&two));
    assert_eq!((after.stages.at(Stage::Routed).expected, after.stages.at(Stage::Routed).found), (all, all - 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_auditor_that_was_overtaken_by_retention_goes_on_and_judges_the_next_block() {
    let mut world = World::new().await;
    let block = |number| BlockId { block: BLOCK.block + number, ..BLOCK };
    let next = World::sales(block(2));
    world.routed(block(0));
    let mut process = Process::start(&world);
    process.account(|account| account.done_blocks == 1).await;

    process.signal("STOP");
    let deleted = world.routed(block(1));
    world.forget(&world.ends(deleted.iter().map(Sale::state))).await;
    process.signal("CONT");
    let overtaken = process.account(|account| account.done_blocks == 2).await;
    assert!(!overtaken.auditable && overtaken.remarks.iter().any(|remark| remark.contains("Kafka deleted")));

    let publish = |world: &World, phase, sales| world.account_since(std::time::Duration::ZERO, block(2), phase, sales);
    publish(&world, Phase::Reserved, 0);
    world.accept(&next);
    world.route(without(&next, 7));
    world.fan_out_has_passed_all();
    publish(&world, Phase::Closed, count(&next));
    let account = process.account(|account| account.done_blocks == 3).await;
    assert_eq!(found(&account), (vec![(Stage::Routed, Kind::Lost, 1)], vec![block(2).sale(7).to_string()]));
    assert_eq!(account.stages.at(Stage::Routed).not_auditable, u64::from(count(&deleted)));
    assert!(process.child.try_wait().unwrap().is_none(), "it is the same process all along");
}

/// The program itself, to be killed.
struct Process {
    child: std::process::Child,
    address: std::net::SocketAddr,
}

impl Process {
    fn start(world: &World) -> Self {
        let address = support::free_address();
        let child = std::process::Command::new(env!("CARGO_BIN_EXE_kapture-auditor"))
            .env_clear()
            .env("SERVICE_ADMIN_ADDR", address.to_string())
            .envs(world.servers.environment("kafka"))
            .env("KAFKA_PREFIX", world.kafka.prefix.as_str())
            .spawn()
            .unwrap();
        Self { child, address }
    }

    async fn account(&self, enough: impl Fn(&Account) -> bool) -> Account {
        support::account(self.address, enough).await
    }

    fn signal(&self, signal: &str) {
        let kill = std::process::Command::new("kill").args(["-s", signal, &self.child.id().to_string()]).status();
        assert!(kill.unwrap().success());
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
