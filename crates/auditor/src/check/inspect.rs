//! Goes through the stages in the order of the flow and counts what is there.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use kafka::SaleHeader;
use petstore::State;
use rdkafka::Message;

use super::sample::{PLACES, Place, Sample};
use super::scan::{self, Part, Read};
use super::{Limits, cut, grouped, stores};
use crate::config::Stores;

/// Between two looks at what the fan-out committed.
const REST: Duration = Duration::from_millis(500);

/// What was found, and what stood in the way.
pub(super) struct Inspection {
    pub(super) sample: Sample,
    /// By place: why it could not be counted, or had not passed the cut in time.
    pub(super) trouble: [Option<String>; PLACES],
    /// States' topics in which sales were found.
    pub(super) topics: usize,
    /// The latest time at which a log that has lost its beginning now begins: unix microseconds.
    begins_us: Option<i64>,
    /// Whether the fan-out has passed the cut.
    pub(super) routed: bool,
}

/// Inspects all stages. `pass`: when the stages must have passed the cut; `read`: when everything must be read.
pub(super) async fn inspect(kafka: &kafka::Config, stores: Stores, sample: Sample, limits: &Limits) -> Inspection {
    let mut trouble = [const { None }; PLACES];
    let names = kafka.names();
    let since_ms = sample.since_us() / 1_000;

    let sales = parts(kafka, vec![names.sales()], since_ms, limits.pass).await;
    let mut begins_us = None;
    let mut sample = sample;
    match &sales {
        Ok(parts) => {
            let (counted, _, read) = count(kafka, sample, Place::Accepted, parts.clone(), limits.read).await;
            sample = counted;
            trouble[Place::Accepted as usize] = note(read, &mut begins_us);
        }
        Err(err) => trouble[Place::Accepted as usize] = Some(format!("{err:#}")),
    }
    let passed = match &sales {
        Ok(parts) => group(kafka, "fan-out", "the fan-out has not passed the cut", parts, limits.pass).await,
        Err(_) => Err("sales could not be read".to_owned()),
    };
    let mut highest = BTreeMap::new();
    match parts(kafka, names.states(), since_ms, limits.read).await {
        Ok(parts) => {
            let (counted, seen, read) = count(kafka, sample, Place::Routed, parts, limits.read).await;
            (sample, highest) = (counted, seen);
            trouble[Place::Routed as usize] = note(read, &mut begins_us).or(passed.clone().err());
        }
        Err(err) => trouble[Place::Routed as usize] = Some(format!("{err:#}")),
    }
    let topics = highest.keys().collect::<BTreeSet<_>>().len();
    let mut inspection = Inspection { sample, trouble, topics, begins_us, routed: passed.is_ok() };
    let returned = stores.returned;
    inspection.stores(kafka, stores, &highest, limits).await;
    if returned {
        inspection.returned(kafka, since_ms, &highest, limits).await;
    }
    if let Some(time_us) = inspection.begins_us {
        inspection.sample.begin_at(time_us);
    }
    if !inspection.sample.strangers.is_empty()
        && let Ok(now) = cut::account(kafka).await
    {
        inspection.sample.introduce(&now);
    }
    inspection
}

impl Inspection {
    /// Reads what came back, once the spout has passed where the sales lie.
    async fn returned(
        &mut self,
        kafka: &kafka::Config,
        since_ms: i64,
        highest: &BTreeMap<State, i64>,
        limits: &Limits,
    ) {
        let names = kafka.names();
        let routed = |(state, offset): (&State, &i64)| {
            let topic = names.state(*state);
            Part { topic, partition: 0, start: 0, end: offset + 1, trimmed: false }
        };
        let routed: Vec<Part> = highest.iter().map(routed).collect();
        let passed = group(kafka, "spout", "the spout has not passed the cut", &routed, limits.pass).await;
        let trouble = match parts(kafka, vec![names.receipts()], since_ms, limits.read).await {
            Ok(parts) => {
                let sample = std::mem::take(&mut self.sample);
                let (counted, _, read) = count(kafka, sample, Place::Returned, parts, limits.read).await;
                self.sample = counted;
                note(read, &mut self.begins_us)
            }
            Err(err) => Some(format!("{err:#}")),
        };
        self.trouble[Place::Returned as usize] = trouble.or(passed.err());
    }

    async fn stores(&mut self, kafka: &kafka::Config, stores: Stores, highest: &BTreeMap<State, i64>, limits: &Limits) {
        let installation = super::installation(kafka, limits.read).await.map_err(|err| format!("{err:#}"));
        for (store, place) in [(stores.redis, Place::Cached), (stores.postgres, Place::Stored)] {
            let Some(mut store) = store else { continue };
            let passed = match &installation {
                Ok(installation) => stores::pass(&mut store, &kafka.names(), installation, highest, limits.pass).await,
                Err(why) => Err(why.clone()),
            };
            // Read even so: what is there is there.
            let read = stores::read(&mut store, place, &mut self.sample, limits.read).await;
            self.trouble[place as usize] = read.err().map(|err| format!("{err:#}")).or(passed.err());
        }
    }
}

/// Asks until Kafka answers: right after a broker was lost, some partitions have no leader.
async fn parts(
    kafka: &kafka::Config,
    topics: Vec<String>,
    since_ms: i64,
    deadline: Instant,
) -> anyhow::Result<Vec<Part>> {
    loop {
        let (config, asked) = (kafka.clone(), topics.clone());
        let parts = tokio::task::spawn_blocking(move || scan::parts(&config, &asked, since_ms)).await?;
        if parts.is_ok() || Instant::now() >= deadline {
            return parts;
        }
        tokio::time::sleep(REST).await;
    }
}

/// Counts what lies in `parts`; also gives the highest offset of a sale that is judged on each state's topic.
async fn count(
    kafka: &kafka::Config,
    mut sample: Sample,
    place: Place,
    parts: Vec<Part>,
    deadline: Instant,
) -> (Sample, BTreeMap<State, i64>, anyhow::Result<Read>) {
    let kafka = kafka.clone();
    let counting = tokio::task::spawn_blocking(move || {
        let names = kafka.names();
        let mut highest: BTreeMap<State, i64> = BTreeMap::new();
        let read = scan::scan(&kafka, &parts, deadline, |message| {
            let Ok(SaleHeader { id, due_us, .. }) = SaleHeader::from_message(message) else { return };
            let (state, offset) = (names.state_of(message.topic()), message.offset());
            if sample.judges(id)
                && let Some(state) = state
            {
                let known = highest.entry(state).or_insert(offset);
                *known = offset.max(*known);
            }
            sample.count(place, id, due_us, state, says(place, message.payload().unwrap_or_default()));
        });
        (sample, highest, read)
    });
    counting.await.expect("counting does not panic")
}

/// The digest of what a record says; none if it is nothing of the kind.
fn says(place: Place, body: &[u8]) -> Option<u64> {
    if place == Place::Returned {
        return serde_json::from_slice(body).ok().map(|receipt| petstore::receipt_digest(&receipt));
    }
    serde_json::from_slice(body).ok().map(|sale| petstore::digest(&sale))
}

fn note(read: anyhow::Result<Read>, begins_us: &mut Option<i64>) -> Option<String> {
    match read {
        Ok(Read { left, begins_us: begins }) => {
            *begins_us = begins.max(*begins_us);
            (left > 0).then(|| {
                format!(
                    "{} records were still unread when the time was over: test again under less load",
                    grouped(left.unsigned_abs())
                )
            })
        }
        Err(err) => Some(format!("{err:#}")),
    }
}

/// Waits until a role has committed the ends of `parts`; says `behind` if it has not in time.
async fn group(
    kafka: &kafka::Config,
    role: &'static str,
    behind: &str,
    parts: &[Part],
    deadline: Instant,
) -> Result<(), String> {
    loop {
        let (config, parts) = (kafka.clone(), parts.to_vec());
        let committed = tokio::task::spawn_blocking(move || scan::committed(&config, role, &parts));
        let why = match committed.await {
            Ok(Ok(true)) => return Ok(()),
            Ok(Ok(false)) => behind.to_owned(),
            Ok(Err(err)) => format!("{err:#}"),
            Err(err) => format!("{err:#}"),
        };
        if Instant::now() >= deadline {
            return Err(why);
        }
        tokio::time::sleep(REST).await;
    }
}
