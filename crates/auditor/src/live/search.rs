//! What is on `sales`: who lost a sale (Kafka, if it isn't there; the fan-out, if it is), and whether a record that is wrong
//! on a state's topic was so there.
//!
//! A search reads up to minutes of `sales`. It has a thread of its own, so that judging goes on meanwhile: the judge asks
//! one question at a time.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use kafka::{Logs, Record, SaleHeader, read_parts};
use petstore::{BlockId, Sale, SaleId};
use service::Beat;
use tokio::runtime::Handle;
use tokio::task::{JoinHandle, spawn_blocking};

use super::{ASK_LIMIT, Live};
use crate::audit::bits::Bits;
use crate::audit::block::Fate;
use crate::audit::findings::Kind;
use crate::audit::record::fingerprint;
use crate::audit::source::Source;
use crate::audit::{Case, Evidence, Missing, Origin};
use crate::model::Body;

/// A record's time is its loader's, or its broker's: how far the two clocks may differ.
const CLOCKS_MS: i64 = 30_000;

/// A search reads from the time at which the oldest of what it looks for was reserved. Beyond this it is given up, and
/// what was not found is left open.
const LIMIT: Duration = Duration::from_mins(2);

pub(super) enum Answer {
    /// What became of each sale.
    Fates(Vec<(BlockId, u32, Fate)>),
    /// In the order of the cases.
    Origins(Vec<Origin>),
}

/// The judge's end of the search.
pub(super) struct Desk {
    search: Arc<Search>,
    under_way: Option<JoinHandle<anyhow::Result<Answer>>>,
}

impl Desk {
    pub(super) fn open(live: &Arc<Live>, beat: Beat) -> anyhow::Result<Self> {
        let logs = Logs::new(&live.kafka, "reader", ASK_LIMIT)?;
        Ok(Self { search: Arc::new(Search { live: Arc::clone(live), logs, beat }), under_way: None })
    }

    /// A search that is under way reports its turns itself.
    pub(super) fn turned(&self) {
        if !self.is_busy() {
            self.search.beat.turned();
        }
    }

    pub(super) fn is_busy(&self) -> bool {
        self.under_way.is_some()
    }

    /// Begins a search, none being under way. It ends at a shutdown, and the runtime waits for that.
    pub(super) fn begin(&mut self, search: impl FnOnce(&Search) -> anyhow::Result<Answer> + Send + 'static) {
        let searching = Arc::clone(&self.search);
        self.under_way = Some(spawn_blocking(move || search(&searching)));
    }

    /// The answer, once it is there.
    pub(super) fn answer(&mut self) -> anyhow::Result<Option<Answer>> {
        let Some(ended) = self.under_way.take_if(|search| search.is_finished()) else { return Ok(None) };
        Handle::current().block_on(ended).context("searching")?.map(Some)
    }
}

pub(super) struct Search {
    live: Arc<Live>,
    logs: Logs,
    beat: Beat,
}

/// Where sales were found that are missing on their states' topics.
#[derive(Default)]
struct Found {
    on_sales: Bits,
    /// Not as they were sent.
    spoilt: Bits,
    on_rejected: Bits,
}

/// What is on `sales` of a sale that is wrong on a state's topic.
#[derive(Default)]
struct Sightings {
    times: u64,
    say: HashSet<u64>,
    /// The topics that its headers name.
    topics: HashSet<Source>,
    /// Partition and offset of the first.
    first: Option<(i32, i64)>,
}

impl Search {
    /// Reads a topic from a time on (unix time, microseconds); false if it does not reach back so far, or is too long to
    /// read.
    fn read(&self, topic: String, since_us: i64, each: impl FnMut(&Record<'_>)) -> anyhow::Result<bool> {
        let deadline = Instant::now() + LIMIT;
        let parts = self.logs.since(&[topic], since_us / 1_000 - CLOCKS_MS)?;
        let goes_on = |_| {
            self.beat.turned();
            if self.live.shutdown.is_cancelled() {
                bail!("stopped while searching");
            }
            Ok(Instant::now() < deadline)
        };
        let read = read_parts(&self.live.kafka, &parts, goes_on, each)?;
        Ok(read.left == 0 && parts.iter().all(|part| !part.trimmed))
    }

    /// What became of sales: reads `sales.rejected` and `sales`.
    pub(super) fn fates(&self, missing: &[Missing]) -> anyhow::Result<Answer> {
        let mut wanted: HashMap<BlockId, (&Missing, Found)> =
            missing.iter().map(|missing| (missing.id, (missing, Found::default()))).collect();
        let since_us = missing.iter().map(|missing| missing.reserved_at_us).min().unwrap_or(0);
        let names = &self.live.names;
        self.read(names.rejected(), since_us, |record| {
            if let Some((found, index)) = record.sale().ok().and_then(|sale| of(&mut wanted, sale.id)) {
                found.on_rejected.insert(index);
            }
        })?;
        // Of what nobody can judge, it only matters whether what was rejected was as it was sent.
        let judged = |(missing, found): &(&Missing, Found)| !missing.is_suspect || found.on_rejected.count() > 0;
        let whole = wanted.values().any(judged)
            && self.read(names.sales(), since_us, |record| {
                let Ok(header) = record.sale() else { return };
                let Some((found, index)) = of(&mut wanted, header.id) else { return };
                found.on_sales.insert(index);
                if found.on_rejected.contains(index) && !self.is_as_sent(&header, body(record)) {
                    found.spoilt.insert(index);
                }
            })?;
        let fates = |(missing, found): (&Missing, Found)| -> Vec<(BlockId, u32, Fate)> {
            missing.indices.iter().map(|index| (missing.id, index, found.fate(index, whole))).collect()
        };
        Ok(Answer::Fates(wanted.into_values().flat_map(fates).collect()))
    }

    /// Where faults were made: reads `sales`.
    pub(super) fn origins(&self, cases: &[Case]) -> anyhow::Result<Answer> {
        let later = cases.iter().filter_map(|case| match case.evidence {
            Evidence::Behind(later) => Some(later),
            Evidence::Record { .. } => None,
        });
        let ids = cases.iter().map(|case| case.id).chain(later);
        let mut suspects: HashMap<SaleId, Sightings> = ids.map(|id| (id, Sightings::default())).collect();
        let since_us = cases.iter().map(|case| case.since_us).min().unwrap_or(0);
        let whole = self.read(self.live.names.sales(), since_us, |record| {
            let Ok(header) = record.sale() else { return };
            let Some(sightings) = suspects.get_mut(&header.id) else { return };
            sightings.times += 1;
            sightings.say.insert(fingerprint(body(record), header.state));
            sightings.topics.insert(Source::State(header.state));
            sightings.first.get_or_insert((record.partition(), record.offset()));
        })?;
        Ok(Answer::Origins(origins(cases, &suspects, whole)))
    }

    /// Whether a record on `sales` is what the model generates.
    fn is_as_sent(&self, header: &SaleHeader, body: Body<'_>) -> bool {
        let Some(model) = self.live.audit().model(header.id) else { return false };
        let same = petstore::from_json::<Sale>(body.bytes)
            .is_ok_and(|sale| petstore::digest(&sale) == petstore::digest(&model));
        same && header.state == model.state()
    }
}

fn body<'a>(record: &'a Record<'_>) -> Body<'a> {
    Body::new(record.payload().unwrap_or_default())
}

fn of<'a>(wanted: &'a mut HashMap<BlockId, (&Missing, Found)>, id: SaleId) -> Option<(&'a mut Found, u32)> {
    let (missing, found) = wanted.get_mut(&id.block_id())?;
    missing.indices.contains(id.index).then_some((found, id.index))
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
