//! Each fault gives its finding and nothing else.

mod logs;
mod routed;
mod stored;

use std::sync::LazyLock;

use kafka::Ranges;
use kafka::blocks::{BlockRecord, LoadRecord, Phase, Via};
use petstore::{BlockId, Parameters, Petstore, Sale, State};

use super::*;
use crate::audit::block::Fate;
use crate::audit::findings::{Kind, Stage};
use crate::model::tests::MadeUp;

pub(super) const BLOCK: BlockId = BlockId { run: 1, loader: 0, block: 0 };
/// Another one of its loader.
const OTHER: BlockId = BlockId { block: 1, ..BLOCK };
/// The one to which faults are done.
const SALE: SaleId = SaleId { run: BLOCK.run, loader: BLOCK.loader, block: BLOCK.block, index: 37 };
const NOW: i64 = 1_000_000;
/// Sales per block in these tests; the first half at home in California, the others in Texas.
pub(super) const LENGTH: u32 = 100;

fn home(index: u32) -> State {
    if index < LENGTH / 2 { State::Ca } else { State::Tx }
}

static SALES: LazyLock<Vec<Sale>> = LazyLock::new(|| {
    let parameters = Parameters { customers: 200, days: 20, ..Parameters::default() };
    let mut sales = Petstore::new(parameters).unwrap().block(BLOCK).to_sales();
    sales.truncate(LENGTH as usize);
    for (index, sale) in (0..).zip(&mut sales) {
        (sale.store.state, sale.store.id) = (home(index), index / 10);
    }
    sales
});

/// What a block holds in these tests.
pub(super) fn model(id: BlockId) -> Vec<Sale> {
    SALES.iter().map(|sale| Sale { id: id.sale(sale.id.index), ..sale.clone() }).collect()
}

/// Whether Redis and Postgres are watched, and `receipts`; the topics always are.
pub(crate) fn watched([redis, postgres]: [bool; 2], returned: bool) -> PerStage<bool> {
    PerStage::from_fn(|stage| match stage {
        Stage::Accepted | Stage::Routed => true,
        Stage::Cached => redis,
        Stage::Stored => postgres,
        Stage::Returned => returned,
    })
}

pub(super) fn audit(stores: [bool; 2], returned: bool) -> Audit {
    Audit::new(watched(stores, returned), Box::new(MadeUp(model)))
}

/// No store is watched, and of the one block with this record these sales are read.
fn read(record: BlockRecord, indices: impl IntoIterator<Item = u32>) -> Audit {
    read_of([false, false], false, record, indices)
}

fn read_of(stores: [bool; 2], returned: bool, record: BlockRecord, indices: impl IntoIterator<Item = u32>) -> Audit {
    let mut audit = audit(stores, returned);
    audit.record(BLOCK, record);
    put(&mut audit, indices);
    audit
}

/// The same of a closed block, after a round of proof.
fn proved(indices: impl IntoIterator<Item = u32>) -> Audit {
    let mut audit = read(closed(), indices);
    prove(&mut audit, Fate::LostByFanOut);
    audit
}

/// Puts a record of a sale in, whose body is right if the model knows the sale.
pub(super) fn sale(audit: &mut Audit, id: SaleId, topic: State, offset: i64) {
    let body = SALES.get(id.index as usize).map(|sale| Sale { id, ..sale.clone() });
    say(audit, id, Source::State(topic), offset, &serde_json::to_vec(&body).unwrap());
}

fn say(audit: &mut Audit, id: SaleId, source: Source, offset: i64, body: &[u8]) {
    let state = if let Source::State(state) = source { state } else { home(id.index) };
    audit.sale(Record { id, state, source, offset, body: Body::new(body) });
}

pub(crate) fn record(phase: Phase, acknowledged: &[(u32, u32)], end: Option<u32>) -> BlockRecord {
    BlockRecord {
        incarnation: 1,
        parameters: Parameters::default(),
        phase,
        acknowledged: Ranges::from(acknowledged.to_vec()),
        end,
        load: None,
        reserved_at_us: NOW,
        updated_at_us: NOW,
    }
}

pub(super) fn closed() -> BlockRecord {
    closed_at(LENGTH)
}

fn closed_at(end: u32) -> BlockRecord {
    record(Phase::Closed, &[(0, end)], Some(end))
}

/// Puts sales in, each at an offset that is its index; those given twice come at another one.
pub(super) fn put(audit: &mut Audit, indices: impl IntoIterator<Item = u32>) {
    for (offset, index) in (0..).zip(indices) {
        sale(audit, BLOCK.sale(index), home(index), offset);
    }
}

fn without(left_out: u32) -> impl Iterator<Item = u32> {
    (0..LENGTH).filter(move |index| *index != left_out)
}

/// A round of proof in which the fan-out has passed everything, and each missing sale met `fate`.
pub(super) fn prove(audit: &mut Audit, fate: Fate) {
    let suspects = audit.suspects();
    for missing in audit.convict(&suspects) {
        missing.indices.iter().for_each(|index| audit.sentence(missing.id, index, fate));
    }
    audit.finish(&suspects);
    audit.close_cases(&vec![Origin::Routed; audit.cases().len()]);
    audit.close();
}

/// The account of blocks is read to its end.
fn know_blocks(audit: &mut Audit) {
    if let Some(unknown) = audit.unknown() {
        audit.blocks_are_known(unknown);
    }
}

/// Findings as (stage, kind, how many), and what the list names.
type Found = (Vec<(Stage, Kind, u64)>, Vec<String>);

pub(super) fn found(audit: &Audit) -> Found {
    let account = audit.account();
    let counts = account.counts.iter().map(|count| (count.stage, count.kind, count.findings)).collect();
    (counts, account.findings.iter().map(|finding| finding.what.clone()).collect())
}

const NOTHING: Found = (Vec::new(), Vec::new());

/// One finding.
fn only(stage: Stage, kind: Kind, sale: SaleId) -> Found {
    (vec![(stage, kind, 1)], vec![sale.to_string()])
}

fn named(sales: &[SaleId]) -> Vec<String> {
    sales.iter().map(SaleId::to_string).collect()
}
