//! A store is away for hours, and memory stays bounded.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use kafka::Ranges;
use kafka::blocks::{BlockRecord, Phase};
use petstore::{BlockId, State};

use super::done::Odd;
use super::tests::{closed, model, prove, watched};
use super::*;
use crate::audit::block::Fate;
use crate::audit::findings::{Stage, Tallies, Tally};
use crate::model::tests::MadeUp;

/// Blocks of some 3,350 sales at 10,000 sales/s.
const BLOCKS_PER_HOUR: u32 = 3 * 3_600;
/// Sales of a block here: of how many it is the audit doesn't care.
const SALES: usize = 2;

/// A pipeline whose Redis is away.
struct Simulated {
    audit: Audit,
    /// The next block that the auditor reads on the account, and of which it reads sales.
    account: u32,
    sales: u32,
    rests: Vec<bool>,
}

fn block(number: u32) -> BlockId {
    BlockId { run: 1, loader: 0, block: number }
}

/// The first sales of a block.
fn first(id: BlockId) -> Vec<petstore::Sale> {
    static FIRST: LazyLock<Vec<petstore::Sale>> = LazyLock::new(|| model(block(0)).into_iter().take(SALES).collect());
    FIRST.iter().map(|sale| petstore::Sale { id: id.sale(sale.id.index), ..sale.clone() }).collect()
}

impl Simulated {
    fn new() -> Self {
        let mut audit = Audit::new(watched([true, false], false), Box::new(MadeUp(first)));
        audit.follow(Source::all(0));
        Self { audit, account: 0, sales: 0, rests: vec![false; Source::all(0).len()] }
    }

    /// Reads what there is when so many blocks were sent, as far as it may.
    fn read(&mut self, sent: u32) {
        let count = u32::try_from(SALES).unwrap();
        if !self.audit.rests_account() {
            for number in self.account..sent {
                let acknowledged = Ranges::from(vec![(0, count)]);
                self.audit.record(block(number), BlockRecord { acknowledged, end: None, ..closed() });
            }
            self.account = sent;
        }
        self.rests = self.audit.rest(&self.rests);
        if !self.rests[0] {
            for number in self.sales..sent {
                for sale in first(block(number)) {
                    let body = serde_json::to_vec(&sale).unwrap();
                    let (state, offset) = (sale.state(), i64::from(number * count + sale.id.index));
                    let (source, body) = (Source::State(state), Body::new(&body));
                    self.audit.sale(Record { id: sale.id, state, source, offset, body });
                }
            }
            self.sales = sent;
            prove(&mut self.audit, Fate::LostByFanOut);
        }
    }

    /// Redis has all that was read.
    fn store_answers(&mut self) {
        let mut after = None;
        loop {
            let asked = self.audit.ask(0, after, 500);
            let Some(last) = asked.last() else { break };
            after = Some(last.id);
            for asked in &asked {
                let held = Held { present: asked.seen.iter().collect(), rows: Vec::new() };
                self.audit.store_said(0, asked, &BTreeMap::new(), (held.present.count(), 0));
                self.audit.store_verified(0, asked, &held, BTreeMap::new());
            }
        }
        self.audit.close();
    }
}

#[test]
fn a_store_that_is_away_for_hours_fills_no_memory_and_nothing_is_forgotten() {
    let mut simulated = Simulated::new();
    let all = 2 * BLOCKS_PER_HOUR;
    let mut sent = 0;
    while sent < all {
        sent += 400;
        simulated.read(sent);
        let audit = &simulated.audit;
        assert!(audit.open.len() <= WAITING_BLOCKS + 400, "{} are open", audit.open.len());
        assert!(audit.reserved.len() <= 400, "{} are reserved", audit.reserved.len());
        assert_eq!(audit.waiting.len(), 0);
    }
    assert!(simulated.sales < all && simulated.audit.account().position.paused, "it rests");

    for _ in 0..10 {
        simulated.store_answers();
        simulated.read(all);
    }
    let account = simulated.audit.account();
    assert_eq!((account.done_blocks, account.open_blocks, account.counts), (u64::from(all), 0, vec![]));
}

#[test]
fn an_auditor_that_is_far_behind_keeps_of_a_block_no_more_than_its_record() {
    let mut audit = Simulated::new().audit;
    for number in 0..8 * BLOCKS_PER_HOUR {
        audit.record(block(number), closed());
    }
    assert_eq!((audit.open.len(), audit.account().open_blocks), (0, u64::from(8 * BLOCKS_PER_HOUR)));
    // An entry of the table, which may be half empty, and the tree of one range.
    let each = 2 * size_of::<(BlockId, Reserved)>() + TREE;
    assert!(each <= 600, "{each} bytes");
    assert!(audit.reserved.capacity() * size_of::<(BlockId, Reserved)>() < 50 << 20);
}

/// A node of a `BTreeMap<u32, u32>`: 11 keys, 11 values, and what joins them.
const TREE: usize = 11 * 8 + 16;

#[test]
fn a_block_that_waits_for_its_stores_and_one_that_was_cut_are_small() {
    let id = block(0);
    let mut sales: Vec<_> = model(id).into_iter().cycle().take(3_400).collect();
    for (index, sale) in (0..).zip(&mut sales) {
        sale.id = id.sale(index);
        sale.store.state = State::ALL[index as usize % State::ALL.len()];
    }
    let mut audit = Audit::new(watched([true, true], true), Box::new(MadeUp(move |_| sales.clone())));
    audit.record(id, BlockRecord { acknowledged: Ranges::from(vec![(0, 3_400)]), ..closed() });
    for index in 0..3_400 {
        let state = State::ALL[index as usize % State::ALL.len()];
        for source in [Source::State(state), Source::Receipts(0)] {
            audit.sale(Record { id: id.sale(index), state, source, offset: index.into(), body: Body::new(b"") });
        }
    }
    prove(&mut audit, Fate::LostByFanOut);
    let bytes = audit.open[&id].bytes();
    assert!(bytes <= 5_500, "{bytes} bytes");
    assert!(bytes * WAITING_BLOCKS <= 64 << 20);

    let mut tallies = Tallies::default();
    for stage in Stage::ALL {
        *tallies.at_mut(stage) = Tally { expected: 10, found: 10, compared: 10, unknown: 3, ..Tally::default() };
    }
    let odd = Odd { tallies: tallies.clone().into(), ..Odd::default() };
    let bytes = size_of::<(BlockId, Odd)>() + odd.tallies.bytes() + 2 * TREE;
    assert!(bytes <= 800, "{bytes} bytes");
    assert_eq!(Tallies::from(odd.tallies), tallies);
    assert!(audit.account().open_blocks == 1 && Phase::Closed.is_final());
}
