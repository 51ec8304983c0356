//! The recount of a pipeline that is running: what goes on meanwhile is no finding, and what is wrong is found.
//!
//! Needs the servers of `ci/servers up`: see the crate `test-servers`.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use auditor::recount;
use auditor::recount::Recount;
use kafka::blocks::Phase;
use petstore::{BlockId, Sale, SaleId, State};
use pipeline::Stage;
use rdkafka::Offset;
use service::findings::Kind;
use stores::{Adopt as _, Outcome, Part, Record, Store as _};
use support::{BLOCK, DUE_US, Message, World, count};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// Some hundred sales a second, in blocks of a few hundred.
const TICK: Duration = Duration::from_millis(100);
const SALES: usize = 100;
/// A loader publishes its account less often than it sends.
const PUBLISHES: u64 = 5;

/// A whole pipeline that one task turns, stage by stage.
struct Load<'a> {
    world: &'a World,
    block: BlockId,
    begun: Instant,
    sales: Vec<Sale>,
    sent: usize,
    ticks: u64,
    redis: stores::redis::Writer,
    postgres: stores::postgres::Writer,
    /// The next offset of each state's topic, as the stores have it.
    next: BTreeMap<State, i64>,
}

impl<'a> Load<'a> {
    async fn new(world: &'a World) -> Self {
        let installation = world.installation().await;
        let mut redis = stores::redis::Writer::new(world.redis.clone(), &installation);
        let mut postgres = stores::postgres::Writer::new(world.postgres.clone(), &installation);
        let partitions: Vec<_> = State::ALL.into_iter().map(|state| (world.kafka.names().state(state), 0)).collect();
        redis.positions(&partitions).await.unwrap();
        postgres.positions(&partitions).await.unwrap();
        let load = Self {
            block: BLOCK,
            begun: Instant::now(),
            sales: World::sales(BLOCK),
            sent: 0,
            ticks: 0,
            redis,
            postgres,
            next: BTreeMap::new(),
            world,
        };
        load.publish(Phase::Reserved);
        load
    }

    fn publish(&self, phase: Phase) {
        self.world.account_since(self.begun.elapsed(), self.block, phase, u32::try_from(self.sent).unwrap());
    }

    /// Sends the next sales, and has each stage pass them.
    async fn turn(&mut self) {
        if self.sent == self.sales.len() {
            self.publish(Phase::Closed);
            self.block.block += 1;
            (self.sales, self.sent, self.begun) = (World::sales(self.block), 0, Instant::now());
            self.publish(Phase::Reserved);
        }
        let upto = self.sales.len().min(self.sent + SALES);
        let sales = self.sales[self.sent..upto].to_vec();
        self.sent = upto;
        let names = self.world.kafka.names();
        self.world.accept(&sales);
        self.world.transaction(|producer| {
            for sale in &sales {
                Message::of(sale).send(producer, &names.state(sale.state()));
            }
        });
        self.world.fan_out_has_passed_all();
        self.store(&sales).await;
        self.world.give_back(&sales);
        self.ticks += 1;
        if self.ticks.is_multiple_of(PUBLISHES) {
            self.publish(Phase::Progress);
        }
    }

    async fn store(&mut self, sales: &[Sale]) {
        let routed = self.world.ends(State::ALL);
        let mut records: BTreeMap<State, Vec<Record>> = BTreeMap::new();
        for sale in sales {
            records.entry(sale.state()).or_default().push(Record::new(sale.clone(), DUE_US, 0).unwrap());
        }
        let mut parts = Vec::new();
        for (state, records) in records {
            let topic = self.world.kafka.names().state(state);
            let Offset::Offset(next) = routed.find_partition(&topic, 0).unwrap().offset() else { panic!("no end") };
            let expected = self.next.insert(state, next).unwrap_or(0);
            parts.push(Part { partition: (topic, 0), expected, next, records });
        }
        for outcomes in [self.redis.write(&parts).await.unwrap(), self.postgres.write(&parts).await.unwrap()] {
            assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Written { conflicts: 0 }), "{outcomes:?}");
        }
    }

    async fn run(mut self, turns: &AtomicU64, shutdown: &CancellationToken) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !shutdown.is_cancelled() {
            ticks.tick().await;
            self.turn().await;
            turns.fetch_add(1, Ordering::Relaxed);
        }
    }
}

async fn delete_row(world: &World, SaleId { run, loader, block, index }: SaleId) {
    let this = format!("(run, loader, block, index) = ({run}, {loader}, {block}, {index})");
    let deleted = world.sql().await.execute(&format!("DELETE FROM sale_events WHERE {this}"), &[]).await.unwrap();
    assert_eq!(deleted, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_on_meanwhile_is_no_finding_and_a_row_that_is_deleted_is_found() {
    let world = World::new().await;
    let (turns, shutdown) = (AtomicU64::new(0), CancellationToken::new());
    let load = Load::new(&world).await.run(&turns, &shutdown);
    tokio::join!(load, async {
        recount_meanwhile(&world, &turns).await;
        shutdown.cancel();
    });
}

async fn recount_meanwhile(world: &World, turns: &AtomicU64) {
    let block = u64::from(count(&World::sales(BLOCK)));
    let sent = || turns.load(Ordering::Relaxed) * SALES as u64;
    while sent() < 3 * block {
        tokio::time::sleep(TICK).await;
    }

    for _ in 0..3 {
        let before = sent();
        let Recount { stages, findings, well, .. } = recount::run(&world.kafka, world.stores(true)).await.unwrap();
        let meanwhile = sent() - before;
        println!("{meanwhile} sales were sent meanwhile");
        assert!(meanwhile > 0);
        assert!(well && findings.is_empty(), "{findings:#?}\n{stages:#?}");
        let expected: BTreeSet<u64> = stages.0.values().map(|tally| tally.expected).collect();
        assert_eq!(expected.len(), 1, "each stage answers for what was acknowledged at the cut: {stages:#?}");
        assert!(stages.at(Stage::Returned).found > block, "{stages:#?}");
    }
    let gone = World::sales(BLOCK)[7].id;
    delete_row(world, gone).await;
    let recount = recount::run(&world.kafka, world.stores(true)).await.unwrap();
    println!("{}", recount.table());
    let found: Vec<_> = recount.findings.iter().map(|found| (found.stage, found.kind, found.what.as_str())).collect();
    assert_eq!((found, recount.well), (vec![(Stage::Stored, Kind::Lost, gone.to_string().as_str())], false));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stores_hold_of_an_earlier_kafka_is_counted_and_not_judged_before_and_after_it_is_given_up() {
    let mut world = World::new().await;
    let old = u64::from(count(&world.routed(BLOCK)));
    let before = world.installation().await;
    world.fill(&mut stores::redis::Writer::new(world.redis.clone(), &before), &[]).await;
    world.fill(&mut stores::postgres::Writer::new(world.postgres.clone(), &before), &[]).await;
    world.replace_kafka().await;
    let earlier = BTreeMap::from([(Stage::Cached, old), (Stage::Stored, old)]);
    let recounted = recount::run(&world.kafka, world.stores(true)).await.unwrap();
    assert_eq!((&recounted.findings, &recounted.earlier, recounted.well), (&vec![], &earlier, true));
    let table = recounted.table();
    assert!(table.contains(&format!("  {old} stored sales are of an earlier Kafka, not judged\n")), "{table}");

    let installation = world.installation().await;
    let mut redis = stores::redis::Writer::new(world.redis.clone(), &installation);
    let mut postgres = stores::postgres::Writer::new(world.postgres.clone(), &installation);
    assert!(redis.adopt(&before).await.unwrap() && postgres.adopt(&before).await.unwrap());
    let new = world.routed(BlockId { run: BLOCK.run + 1, ..BLOCK });
    world.fill(&mut redis, &[]).await;
    world.fill(&mut postgres, &[]).await;
    world.give_back(&new);
    let recounted = recount::run(&world.kafka, world.stores(true)).await.unwrap();
    assert_eq!((&recounted.findings, &recounted.earlier, recounted.well), (&vec![], &earlier, true));
    assert_eq!(recounted.stages.at(Stage::Stored).found, u64::from(count(&new)));
}
