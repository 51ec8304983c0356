//! What lies on `sales`: who lost a sale (Kafka, if it isn't there; the fan-out, if it is), and whether a record that is
//! wrong on a state's topic was so there.

use std::collections::{HashMap, HashSet};

use kafka::SaleHeader;
use petstore::{BlockId, Sale, SaleId};
use rdkafka::Message;
use rdkafka::message::BorrowedMessage;
use service::Beat;
use tokio_util::sync::CancellationToken;

use super::Live;
use super::scan::Scan;
use crate::bits::Bits;
use crate::block::Fate;
use crate::findings::Kind;
use crate::ledger::{Case, Evidence, Missing, Origin};
use crate::logs::Logs;
use crate::record::fingerprint;
use crate::source::Source;
use crate::truth::Body;

/// A record's time is its loader's, or its broker's: how far the two clocks may differ.
const CLOCKS_MS: i64 = 30_000;

/// What is to be looked up.
#[derive(Clone, Copy)]
pub(super) struct Questions<'a> {
    pub(super) missing: &'a [Missing],
    pub(super) cases: &'a [Case],
}

/// The answers.
pub(super) struct Answers {
    pub(super) fates: Vec<(BlockId, u32, Fate)>,
    /// In the order of the cases.
    pub(super) origins: Vec<Origin>,
}

/// Where sales were found that are missing on their states' topics.
#[derive(Default)]
struct Found {
    on_sales: Bits,
    /// Not as they were sent.
    spoilt: Bits,
    on_rejected: Bits,
}

/// What lies on `sales` of a sale that is wrong on a state's topic.
#[derive(Default)]
struct Sightings {
    times: u64,
    /// The fingerprints.
    say: HashSet<u64>,
    /// The topics that its headers name.
    topics: HashSet<Source>,
    /// Partition and offset of the first.
    first: Option<(i32, i64)>,
}

/// Answers all of it by reading `sales` once, and `sales.rejected` if something is missing.
pub(super) fn search(
    kafka: &kafka::Config,
    logs: &Logs,
    live: &Live,
    Questions { missing, cases }: Questions<'_>,
    beat: &Beat,
    shutdown: &CancellationToken,
) -> anyhow::Result<Answers> {
    let mut wanted: HashMap<BlockId, (&Missing, Found)> =
        missing.iter().map(|missing| (missing.id, (missing, Found::default()))).collect();
    let since = missing.iter().map(|missing| missing.reserved_at_us).chain(cases.iter().map(|case| case.since_us));
    let scan = Scan { kafka, logs, since_ms: since.min().unwrap_or(0) / 1_000 - CLOCKS_MS, beat, shutdown };
    let names = kafka.names();
    if !missing.is_empty() {
        scan.topic(&names.rejected(), |message| {
            if let Some((found, index)) = sale(message).and_then(|sale| of(&mut wanted, sale.id)) {
                found.on_rejected.insert(index);
            }
        })?;
    }
    let later = cases.iter().filter_map(|case| match case.evidence {
        Evidence::Behind(later) => Some(later),
        Evidence::Record { .. } => None,
    });
    let ids = cases.iter().map(|case| case.id).chain(later);
    let mut suspects: HashMap<SaleId, Sightings> = ids.map(|id| (id, Sightings::default())).collect();
    // Of what nobody can judge, it only matters whether what was rejected was as it was sent.
    let judged = |(missing, found): &(&Missing, Found)| !missing.is_suspect || found.on_rejected.count() > 0;
    if cases.is_empty() && !wanted.values().any(judged) {
        return Ok(Answers { fates: fates(wanted, false), origins: Vec::new() });
    }
    let whole = scan.topic(&names.sales(), |message| {
        let Some(header) = sale(message) else { return };
        let body = || Body::new(message.payload().unwrap_or_default());
        if let Some((found, index)) = of(&mut wanted, header.id) {
            found.on_sales.insert(index);
            if found.on_rejected.contains(index) && !is_as_sent(live, &header, body()) {
                found.spoilt.insert(index);
            }
        }
        if let Some(sightings) = suspects.get_mut(&header.id) {
            sightings.times += 1;
            sightings.say.insert(fingerprint(body(), header.state));
            sightings.topics.insert(Source::State(header.state));
            sightings.first.get_or_insert((message.partition(), message.offset()));
        }
    })?;
    let origins = origins(cases, &suspects, whole);
    Ok(Answers { fates: fates(wanted, whole), origins })
}

/// `whole`: whether `sales` was searched from where these can be to its end.
fn fates(wanted: HashMap<BlockId, (&Missing, Found)>, whole: bool) -> Vec<(BlockId, u32, Fate)> {
    let of = |(missing, found): (&Missing, Found)| -> Vec<(BlockId, u32, Fate)> {
        missing.indices.iter().map(|index| (missing.id, index, found.fate(index, whole))).collect()
    };
    wanted.into_values().flat_map(of).collect()
}

fn sale(message: &BorrowedMessage<'_>) -> Option<SaleHeader> {
    SaleHeader::from_message(message).ok()
}

fn of<'a>(wanted: &'a mut HashMap<BlockId, (&Missing, Found)>, id: SaleId) -> Option<(&'a mut Found, u32)> {
    let (missing, found) = wanted.get_mut(&id.block_id())?;
    missing.indices.contains(id.index).then_some((found, id.index))
}

/// Whether a record on `sales` is what the model says.
fn is_as_sent(live: &Live, header: &SaleHeader, body: Body<'_>) -> bool {
    let Some(model) = live.ledger().model(header.id) else { return false };
    let same = serde_json::from_slice::<Sale>(body.bytes())
        .is_ok_and(|sale| petstore::digest(&sale) == petstore::digest(&model));
    same && header.state == model.state()
}

impl Found {
    fn fate(&self, index: u32, whole: bool) -> Fate {
        match (self.on_rejected.contains(index), self.on_sales.contains(index), whole) {
            (true, _, _) if self.spoilt.contains(index) => Fate::Spoilt,
            (true, _, _) => Fate::Rejected,
            (false, true, _) => Fate::LostByFanOut,
            (false, false, true) => Fate::LostByKafka,
            (false, false, false) => Fate::Lost,
        }
    }
}

fn origins(cases: &[Case], suspects: &HashMap<SaleId, Sightings>, whole: bool) -> Vec<Origin> {
    let mut repeated: HashMap<SaleId, u64> = HashMap::new();
    let mut origin = |case: &Case| {
        let Some(on_sales) = suspects.get(&case.id) else { return Origin::Unknown };
        let accepted = match (case.kind, case.evidence) {
            // Of three on `sales` and four here, two were repeated there and one here.
            (Kind::Duplicate, _) => {
                let repeated = repeated.entry(case.id).or_default();
                *repeated += 1;
                (on_sales.times > *repeated).then_some(Kind::Duplicate)
            }
            (Kind::NeverSent, _) => (on_sales.times > 0).then_some(Kind::NeverSent),
            (kind, Evidence::Behind(later)) => {
                let later = suspects.get(&later).and_then(|later| later.first);
                let is_behind =
                    on_sales.first.zip(later).is_some_and(|(this, later)| this.0 == later.0 && this > later);
                is_behind.then_some(kind)
            }
            (Kind::Misrouted, Evidence::Record { topic, .. }) => {
                on_sales.topics.contains(&topic).then_some(Kind::Altered)
            }
            (kind, Evidence::Record { says, .. }) => on_sales.say.contains(&says).then_some(kind),
        };
        match accepted {
            Some(kind) => Origin::Accepted(kind),
            None if whole => Origin::Routed,
            None => Origin::Unknown,
        }
    };
    cases.iter().map(&mut origin).collect()
}
