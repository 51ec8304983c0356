//! Faults injected behind the pipeline's back at every stage: the auditor finds each one, at its stage and with its sale,
//! and nothing else. An auditor that can't fail proves nothing.
//!
//! Needs the servers of `ci/servers up`: see the crate `test-servers`.

mod support;

use std::collections::BTreeSet;
use std::fmt::Display;

use auditor::recount;
use petstore::{BlockId, Sale, SaleId, State};
use pipeline::Stage;
use service::account::Finding;
use service::findings::Kind;
use support::{Auditor, BLOCK, LIMIT, Message, Pipeline, World, other};

/// Which sale of its block a fault is done to.
const AT: usize = 40;

type Found = BTreeSet<(Stage, Kind, String)>;

/// What is done to one block, by its number.
struct Faults {
    expected: Found,
    next: u32,
}

impl Faults {
    fn expect<T: Display>(&mut self, stage: Stage, kind: Kind, what: T) {
        assert!(self.expected.insert((stage, kind, what.to_string())));
    }

    /// The next block, whole on the loaders' account.
    fn block(&mut self, world: &World) -> Vec<Sale> {
        self.next += 1;
        world.account_whole(BlockId { block: self.next, ..BLOCK })
    }
}

fn found(findings: &[Finding]) -> Found {
    findings.iter().map(|finding| (finding.stage, finding.kind, finding.what.clone())).collect()
}

fn compare(expected: &Found, found: &Found) {
    let missed: Vec<_> = expected.difference(found).collect();
    let invented: Vec<_> = found.difference(expected).collect();
    assert!(missed.is_empty() && invented.is_empty(), "missed: {missed:#?}\ninvented: {invented:#?}");
}

/// A sale of a block that nobody reserved.
fn stranger(block: u32) -> Sale {
    World::sales(BlockId { block, ..BLOCK }).swap_remove(0)
}

/// Puts the first sale that has a later one of its store in the block behind that one.
fn disorder(messages: &mut Vec<Message>, block: BlockId) -> SaleId {
    let of_block = |message: &Message| message.id.is_some_and(|id| id.block_id() == block);
    let later = |at: usize| {
        let same = |message: &Message| of_block(message) && message.store == messages[at].store;
        of_block(&messages[at]).then(|| messages[at + 1..].iter().position(same)).flatten().map(|by| (at, at + 1 + by))
    };
    let (first, second) = (0..messages.len()).find_map(later).unwrap();
    let message = messages.remove(first);
    let id = message.id.unwrap();
    messages.insert(second, message);
    id
}

/// Does a fault to the message of a sale, or to one of its block's; gives what it is, and of which sale.
fn spoil(fault: &str, messages: &mut Vec<Message>, id: SaleId, field: &str) -> (Kind, SaleId) {
    let at = messages.iter().position(|message| message.id == Some(id)).unwrap();
    let kind = match fault {
        "lost" => {
            messages.remove(at);
            Kind::Lost
        }
        "twice" => {
            messages.insert(at, messages[at].clone());
            Kind::Duplicate
        }
        "altered" => {
            messages[at].alter(field, 1);
            Kind::Altered
        }
        "broken" => {
            messages[at].body = b"{}".to_vec();
            Kind::Malformed
        }
        "disordered" => return (Kind::OutOfOrder, disorder(messages, id.block_id())),
        _ => panic!("{fault}"),
    };
    (kind, id)
}

/// What is on `sales`, and what the fan-out makes of it.
fn spoil_sales(world: &World, faults: &mut Faults, pipeline: &mut Pipeline) {
    for fault in ["lost", "twice", "altered", "no json", "oversized", "header", "disordered", "right"] {
        let mut sales: Vec<Message> = faults.block(world).iter().map(Message::of).collect();
        let message = &mut sales[AT];
        let id = message.id.unwrap();
        match fault {
            "no json" => message.body = b"{".to_vec(),
            "oversized" => {
                message.body.resize(70_000, b' ');
                // Longer and not only laid out otherwise.
                message.body.push(b'x');
            }
            "header" => message.state = other(message.state),
            "right" => {}
            _ => {
                let (kind, id) = spoil(fault, &mut sales, id, "cents");
                faults.expect(Stage::Accepted, kind, id);
            }
        }
        let mut routed = sales.clone();
        if matches!(fault, "no json" | "oversized" | "header") {
            pipeline.rejected.push((routed.remove(AT), "the fan-out says why"));
            faults.expect(Stage::Accepted, Kind::Rejected, id);
        }
        pipeline.sales.append(&mut sales);
        pipeline.routed.append(&mut routed);
    }
    pipeline.flow(Message::of(&stranger(99)));
    faults.expect(Stage::Accepted, Kind::NeverSent, stranger(99).id);
    // No sale at all: rejected as it should be.
    pipeline.sales.push(Message::garbage());
    pipeline.rejected.push((Message::garbage(), "no headers"));
}

/// What the fan-out does wrong.
fn spoil_routed(world: &World, faults: &mut Faults, pipeline: &mut Pipeline) {
    for fault in ["lost", "twice", "altered", "broken", "misrouted", "rejected", "disordered"] {
        let mut routed: Vec<Message> = faults.block(world).iter().map(Message::of).collect();
        pipeline.sales.extend(routed.iter().cloned());
        let id = routed[AT].id.unwrap();
        let (kind, id) = match fault {
            "misrouted" => {
                routed[AT].state = other(routed[AT].state);
                (Kind::Misrouted, id)
            }
            "rejected" => {
                pipeline.rejected.push((routed.remove(AT), "none"));
                (Kind::Rejected, id)
            }
            _ => spoil(fault, &mut routed, id, "time"),
        };
        faults.expect(Stage::Routed, kind, id);
        pipeline.routed.append(&mut routed);
    }
    pipeline.routed.push(Message::of(&stranger(98)));
    faults.expect(Stage::Routed, Kind::NeverSent, stranger(98).id);
    let before = pipeline.routed.iter().filter(|message| message.state == State::Ca).count();
    pipeline.routed.push(Message::garbage());
    faults.expect(Stage::Routed, Kind::Malformed, format!("topic of ca, offset {before}"));
}

async fn spoil_redis(world: &World, faults: &mut Faults, blocks: &[Vec<Sale>; 3]) {
    let (host, port) = (world.servers.get("REDIS_HOST"), world.servers.get("REDIS_PORT"));
    let url = format!("redis://:{}@{host}:{port}/", world.servers.get("REDIS_PASSWORD"));
    let mut connection = redis::Client::open(url).unwrap().get_multiplexed_async_connection().await.unwrap();
    let key = |block: BlockId| format!("{}-block:{block}", world.schema);
    let mut pipe = redis::pipe();
    let [lost, twice, beyond] = blocks.each_ref().map(|sales| sales[AT].id);
    pipe.setbit(key(lost.block_id()), lost.index as usize, false);
    pipe.incr(format!("{}:count", key(lost.block_id())), -1);
    faults.expect(Stage::Cached, Kind::Lost, lost);
    pipe.incr(format!("{}:count", key(twice.block_id())), 1);
    faults.expect(Stage::Cached, Kind::Duplicate, format!("block {}", twice.block_id()));
    pipe.setbit(key(beyond.block_id()), 9_999, true);
    pipe.incr(format!("{}:count", key(beyond.block_id())), 1);
    faults.expect(Stage::Cached, Kind::NeverSent, beyond.block_id().sale(9_999));
    let strange = stranger(97).id.block_id();
    pipe.setbit(key(strange), 3, true);
    faults.expect(Stage::Cached, Kind::NeverSent, format!("block {strange}"));
    let _: Vec<redis::Value> = pipe.query_async(&mut connection).await.unwrap();
}

async fn spoil_postgres(world: &World, faults: &mut Faults, blocks: &[Vec<Sale>; 7]) {
    let client = world.sql().await;
    let columns = "topic, partition, kafka_offset, due, stored_at, state, store, customer, time, cents, items, digest";
    let changes = [
        (Kind::Lost, "DELETE FROM sale_events WHERE {}".to_owned()),
        (Kind::Altered, "UPDATE sale_events SET cents = cents + 1 WHERE {}".to_owned()),
        (Kind::Altered, "UPDATE sale_events SET items = items || items WHERE {}".to_owned()),
        (Kind::Altered, "UPDATE sale_events SET digest = digest + 1 WHERE {}".to_owned()),
        (
            Kind::NeverSent,
            format!("INSERT INTO sale_events SELECT run, loader, block, 9999, {columns} FROM sale_events WHERE {{}}"),
        ),
        (
            Kind::Duplicate,
            format!(
                "INSERT INTO conflicts SELECT run, loader, block, index, {columns}, topic, partition, kafka_offset + 1, \
                 digest FROM sale_events WHERE {{}}"
            ),
        ),
        (
            Kind::NeverSent,
            format!("INSERT INTO sale_events SELECT run, loader, 96, index, {columns} FROM sale_events WHERE {{}}"),
        ),
    ];
    for ((kind, sql), sales) in changes.into_iter().zip(blocks) {
        let SaleId { run, loader, block, index } = sales[AT].id;
        let this = format!("(run, loader, block, index) = ({run}, {loader}, {block}, {index})");
        assert_eq!(client.execute(&sql.replace("{}", &this), &[]).await.unwrap(), 1, "{sql}");
        let id = sales[AT].id;
        if sql.contains("9999") {
            faults.expect(Stage::Stored, kind, id.block_id().sale(9_999));
        } else if sql.contains(" 96,") {
            faults.expect(Stage::Stored, kind, format!("block {}", stranger(96).id.block_id()));
        } else {
            faults.expect(Stage::Stored, kind, id);
        }
    }
}

/// What the spout does wrong.
fn spoil_receipts(faults: &mut Faults, blocks: &[Vec<Sale>; 5], pipeline: &mut Pipeline) {
    let receipts = &mut pipeline.receipts;
    for (fault, sales) in ["lost", "twice", "altered", "broken", "disordered"].into_iter().zip(blocks) {
        let (kind, id) = spoil(fault, receipts, sales[AT].id, "customer");
        faults.expect(Stage::Returned, kind, id);
    }
    let strange = stranger(95);
    receipts.push(Message::receipt(&strange));
    faults.expect(Stage::Returned, Kind::NeverSent, strange.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_is_found_at_its_stage_and_nothing_else_restarts_or_not() {
    let world = World::new().await;
    let mut faults = Faults { expected: Found::new(), next: BLOCK.block };
    let mut pipeline = Pipeline::default();
    spoil_sales(&world, &mut faults, &mut pipeline);
    spoil_routed(&world, &mut faults, &mut pipeline);
    let mut right = || {
        let sales = faults.block(&world);
        for sale in &sales {
            pipeline.flow(Message::of(sale));
        }
        sales
    };
    let redis = [(); 3].map(|()| right());
    let postgres = [(); 7].map(|()| right());
    let receipts = [(); 5].map(|()| right());
    pipeline.store(&world).await;
    // One that ends in the middle: nothing has come back, and what is in the stores is right as yet.
    let auditor = Auditor::start(&world.kafka, world.stores(true));
    let routed = auditor.account(|account| account.stages.at(Stage::Routed).out_of_order > 0).await;
    auditor.checkpointed().await;
    auditor.stop().await;
    assert_eq!(routed.done_blocks, 0);

    spoil_redis(&world, &mut faults, &redis).await;
    spoil_postgres(&world, &mut faults, &postgres).await;
    spoil_receipts(&mut faults, &receipts, &mut pipeline);
    pipeline.give_back(&world);

    let blocks = u64::from(faults.next - BLOCK.block);
    let auditor = Auditor::start(&world.kafka, world.stores(true));
    let expected = faults.expected.clone();
    auditor.account(|account| account.done_blocks == blocks).await;
    // Strangers belong to no block, and are looked up at leisure. Whether all is found is asked below.
    auditor.within(LIMIT, |account| found(&account.findings) == expected).await;
    let account = auditor.settled().await;
    auditor.checkpointed().await;
    auditor.stop().await;
    compare(&expected, &found(&account.findings));
    let counted: u64 = account.counts.iter().map(|count| count.findings).sum();
    assert_eq!(counted, expected.len() as u64, "{:#?}", account.counts);
    for (stage, tally) in &account.stages.0 {
        let accounted = tally.found + tally.lost + tally.rejected + tally.not_auditable + tally.late;
        assert_eq!((tally.expected, tally.late), (accounted, 0), "{stage:?}: {tally:?}");
    }
    // Another one, which knows only what was written.
    let auditor = Auditor::start(&world.kafka, world.stores(true));
    let restarted = auditor.settled().await;
    auditor.stop().await;
    assert_eq!((&restarted.stages, &restarted.rejected_records), (&account.stages, &account.rejected_records));
    compare(&expected, &found(&restarted.findings));

    let recount = recount::run(&world.kafka, world.stores(true)).await.unwrap();
    println!("{}", recount.table());
    compare(&expected, &found(&recount.findings));
    assert_eq!(recount.stages, account.stages, "two that share nothing but the model agree");
    assert_eq!((recount.blocks, recount.well, recount.rejected_records), (blocks, false, 5));

    assert_eq!(account.rejected_records.count, 5);
    assert!(account.rejected_records.first.iter().any(|record| record.reason == "no headers"));
    let detail = |stage, kind| {
        let is = |finding: &&Finding| (finding.stage, finding.kind) == (stage, kind);
        account.findings.iter().find(is).unwrap().detail.clone()
    };
    assert!(detail(Stage::Routed, Kind::Altered).contains("/time: "), "{}", detail(Stage::Routed, Kind::Altered));
    assert!(detail(Stage::Returned, Kind::Altered).contains("/customer: "));
    assert!(detail(Stage::Stored, Kind::Altered).contains("column "));
}
