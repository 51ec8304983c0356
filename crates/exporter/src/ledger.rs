//! The last report of every instance, and totals that never fall.
//!
//! A program's counters begin at 0 with each start, so the totals add up what each incarnation has *gained*
//! since its previous report. A pod that goes takes only what it has counted since then; one that was told to stop marks its
//! last report, and then nothing is missing.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use service::{Histogram, Merged, Report};

use crate::audit::{Account, Audit};
use crate::base::Base;
use crate::clock::Clock;
use crate::config::{STALE, Targets};
use crate::window::Window;

/// An instance that DNS no longer knows and that no longer answers is forgotten after this. DNS may name one that has
/// stopped in an orderly way for as long.
const FORGET: Duration = Duration::from_mins(1);

/// Incarnations remembered that no longer answer at any address, so that one that comes back isn't counted twice.
const GONE: usize = 512;

/// How many rounds back "recent" latencies begin.
const RECENT: usize = 10;

/// Everything heard so far.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) targets: Targets,
    pub(crate) addresses: BTreeMap<(String, SocketAddr), Address>,
    /// Of the lag at each stage, by name.
    pub(crate) bases: BTreeMap<&'static str, Base>,
    /// The auditor's last account.
    pub(crate) audit: Option<Audit>,
    incarnations: BTreeMap<Key, Incarnation>,
    /// How often an instance of a component went without a last report.
    lost: BTreeMap<String, u64>,
    totals: BTreeMap<String, Totals>,
    /// The latencies at the end of each of the last rounds.
    past: VecDeque<BTreeMap<String, BTreeMap<String, Merged>>>,
}

/// Where an instance is asked.
#[derive(Debug)]
pub(crate) struct Address {
    known_since: Instant,
    in_dns: Instant,
    /// The incarnation that answered last.
    answered: Option<Key>,
    pub(crate) error: Option<String>,
}

/// One start of one pod's program.
#[derive(Debug)]
pub(crate) struct Incarnation {
    pub(crate) report: Report,
    pub(crate) received: Instant,
    pub(crate) window: Window,
    pub(crate) clock: Clock,
    /// It fell silent, or was followed by another, without a last report.
    pub(crate) is_lost: bool,
}

/// An address of a component, and the incarnation that answered there last.
pub(crate) type Instance<'a> = (&'a str, SocketAddr, &'a Address, Option<&'a Incarnation>);

type Key = (String, String, u64);

/// The part of an incarnation's last report that is needed to decode the next one. Taken out of the ledger, since decoding
/// histograms takes milliseconds, and all who read wait for the ledger meanwhile.
#[derive(Debug)]
pub(crate) struct Counted {
    /// The report's number; none if the incarnation is new.
    sequence: Option<u64>,
    latencies: BTreeMap<String, Histogram>,
}

/// What a report adds to the latencies that are counted.
#[derive(Debug)]
pub(crate) struct Gained {
    /// Since which report of the incarnation; none if it is new.
    since: Option<u64>,
    latencies: BTreeMap<String, Merged>,
}

#[derive(Debug, Default)]
struct Totals {
    counters: BTreeMap<String, u64>,
    latencies: BTreeMap<String, Merged>,
}

impl Ledger {
    pub(crate) fn new(targets: Targets) -> Self {
        Self {
            targets,
            addresses: BTreeMap::new(),
            bases: BTreeMap::new(),
            audit: None,
            incarnations: BTreeMap::new(),
            lost: BTreeMap::new(),
            totals: BTreeMap::new(),
            past: VecDeque::new(),
        }
    }

    /// Notes the addresses that DNS has for a component.
    pub(crate) fn resolved(&mut self, component: &str, addresses: &[SocketAddr], now: Instant) {
        for address in addresses {
            let new = Address { known_since: now, in_dns: now, answered: None, error: None };
            self.addresses.entry((component.to_owned(), *address)).or_insert(new).in_dns = now;
        }
    }

    /// Notes that an instance didn't answer, and why. Returns whether it is the first failure in a row.
    pub(crate) fn failed(&mut self, component: &str, address: SocketAddr, error: String) -> bool {
        let address = self.addresses.get_mut(&(component.to_owned(), address));
        address.is_some_and(|address| address.error.replace(error).is_none())
    }

    /// Takes the auditor's account.
    pub(crate) fn audited(&mut self, account: Account, now: Instant) {
        self.audit = Some(Audit { account, received: now });
    }

    /// Notes when a report that has come was asked for and answered, by this program's clock, and made, by its own.
    pub(crate) fn timed(&mut self, component: &str, address: SocketAddr, at_us: i64, asked_us: i64, answered_us: i64) {
        let answered = self.addresses.get(&(component.to_owned(), address)).and_then(|it| it.answered.as_ref());
        if let Some(incarnation) = answered.and_then(|key| self.incarnations.get_mut(key)) {
            incarnation.clock.take(at_us, asked_us, answered_us);
        }
    }

    /// What is counted of a report's incarnation.
    pub(crate) fn counted(&self, component: &str, report: &Report) -> Counted {
        let known = self.incarnations.get(&(component.to_owned(), report.pod.clone(), report.incarnation));
        let known = known.map(|incarnation| &incarnation.report);
        Counted {
            sequence: known.map(|known| known.sequence),
            latencies: known.map(|known| known.latencies.clone()).unwrap_or_default(),
        }
    }

    /// Takes a report, unless another one of its incarnation came after `gained` was found out: whether it did so.
    ///
    /// One that is older than what is known changes nothing, as when a pod is asked at two addresses.
    pub(crate) fn received(
        &mut self,
        component: &str,
        address: SocketAddr,
        report: &Report,
        gained: &Gained,
        now: Instant,
    ) -> bool {
        let Some(address) = self.addresses.get_mut(&(component.to_owned(), address)) else { return true };
        let key = (component.to_owned(), report.pod.clone(), report.incarnation);
        let before = self.incarnations.get(&key).map(|incarnation| &incarnation.report);
        if before.map(|before| before.sequence) != gained.since {
            return false;
        }
        address.answered = Some(key.clone());
        address.error = None;
        if !is_news(gained.since, report) {
            return true;
        }
        self.totals.entry(component.to_owned()).or_default().gain(before, report, gained);
        if before.is_none() {
            self.follows(&key);
        }
        let incarnation = self.incarnations.entry(key).or_insert_with(|| Incarnation {
            report: report.clone(),
            received: now,
            window: Window::default(),
            clock: Clock::default(),
            is_lost: false,
        });
        incarnation.window.push(report, now);
        incarnation.received = now;
        incarnation.is_lost = false;
        incarnation.report = report.clone();
        true
    }

    /// Notes that a pod's program has started again: what the one before had not reported is lost.
    fn follows(&mut self, (component, pod, _): &Key) {
        let of_pod = (component.clone(), pod.clone(), 0)..=(component.clone(), pod.clone(), u64::MAX);
        for (_, before) in self.incarnations.range_mut(of_pod) {
            lose(&mut self.lost, component, before);
        }
    }

    /// Ends a round: remembers the latencies as they are now, and forgets the instances that are gone.
    pub(crate) fn end_round(&mut self, now: Instant) {
        let latencies = self.totals.iter().map(|(component, totals)| (component.clone(), totals.latencies.clone()));
        self.past.push_back(latencies.collect());
        if self.past.len() > RECENT + 1 {
            self.past.pop_front();
        }
        let Self { addresses, incarnations, lost, .. } = self;
        for ((component, ..), silent) in incarnations.iter_mut().filter(|(_, it)| it.is_stale(now)) {
            lose(lost, component, silent);
        }
        addresses.retain(|_, address| {
            let answered = address.answered.as_ref().and_then(|key| incarnations.get(key));
            let heard = answered.map_or(address.known_since, |incarnation| incarnation.received);
            now - address.in_dns < FORGET || now - heard < FORGET
        });
        let answering: HashSet<_> = addresses.values().filter_map(|address| address.answered.as_ref()).collect();
        let gone = incarnations.iter().filter(|(key, _)| !answering.contains(key));
        let mut gone: Vec<_> = gone.map(|(key, incarnation)| (incarnation.received, key.clone())).collect();
        gone.sort_unstable();
        let excess = gone.len().saturating_sub(GONE);
        for (_, key) in &gone[..excess] {
            incarnations.remove(key);
        }
    }

    /// The instances of all components: each address with the incarnation that answered there last.
    ///
    /// A pod that has come back at another address, as a new incarnation, or that has two addresses, is listed once. One
    /// that has stopped in an orderly way is left out until DNS has had its time to forget it.
    pub(crate) fn instances(&self, now: Instant) -> impl Iterator<Item = Instance<'_>> {
        let newest = self.newest();
        self.addresses.iter().filter_map(move |((component, socket), address)| {
            let answered = address.answered.as_ref().and_then(|key| Some((key, self.incarnations.get(key)?)));
            let is_listed = answered.is_none_or(|(key, incarnation)| {
                let has_stopped = incarnation.report.ended && address.error.is_some() && incarnation.age(now) < FORGET;
                newest[&(key.0.as_str(), key.1.as_str())].1 == *socket && !has_stopped
            });
            is_listed.then(|| (component.as_str(), *socket, address, answered.map(|(_, incarnation)| incarnation)))
        })
    }

    /// The incarnation that each instance of a component was last; none for one that was never heard.
    pub(crate) fn of<'a>(&'a self, component: &str, now: Instant) -> impl Iterator<Item = Option<&'a Incarnation>> {
        self.instances(now).filter(move |(other, ..)| *other == component).map(|(_, _, _, answered)| answered)
    }

    /// The sum of what the instances that report have counted per second; none if none of them does.
    pub(crate) fn rate(&self, component: &str, counter: &str, now: Instant) -> Option<f64> {
        self.of(component, now)
            .flatten()
            .filter(|it| !it.is_stale(now))
            .filter_map(|it| it.window.rate(counter))
            .reduce(|all, one| all + one)
    }

    /// Where each pod was heard last.
    fn newest(&self) -> HashMap<(&str, &str), (Instant, SocketAddr)> {
        let mut newest = HashMap::new();
        for ((_, socket), address) in &self.addresses {
            let Some(key) = &address.answered else { continue };
            let Some(incarnation) = self.incarnations.get(key) else { continue };
            let last = newest.entry((key.0.as_str(), key.1.as_str())).or_insert((incarnation.received, *socket));
            if incarnation.received > last.0 {
                *last = (incarnation.received, *socket);
            }
        }
        newest
    }

    /// How often an instance of a component went without a last report.
    pub(crate) fn lost(&self, component: &str) -> u64 {
        self.lost.get(component).copied().unwrap_or_default()
    }

    /// What a component has counted; none if it was never heard.
    pub(crate) fn total(&self, component: &str, counter: &str) -> Option<u64> {
        self.totals.get(component)?.counters.get(counter).copied()
    }

    /// Latencies of a component since the exporter knows it.
    pub(crate) fn latency(&self, component: &str, latency: &str) -> Option<&Merged> {
        self.totals.get(component)?.latencies.get(latency)
    }

    /// Latencies of a component over the last rounds; none until it was known at the first of them.
    pub(crate) fn recent(&self, component: &str, latency: &str) -> Option<Merged> {
        let first = self.past.front()?.get(component)?.get(latency)?;
        Some(self.latency(component, latency)?.since(first))
    }
}

/// Notes, once, that an incarnation went without a last report.
fn lose(lost: &mut BTreeMap<String, u64>, component: &str, incarnation: &mut Incarnation) {
    if !incarnation.report.ended && !incarnation.is_lost {
        incarnation.is_lost = true;
        *lost.entry(component.to_owned()).or_default() += 1;
    }
}

impl Incarnation {
    pub(crate) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.received)
    }

    pub(crate) fn is_stale(&self, now: Instant) -> bool {
        self.age(now) > STALE
    }
}

impl Counted {
    /// Decodes what a report adds to it. An error if a histogram can't be read.
    pub(crate) fn until(&self, report: &Report) -> anyhow::Result<Gained> {
        let mut gained = Gained { since: self.sequence, latencies: BTreeMap::new() };
        if is_news(self.sequence, report) {
            for (name, now) in &report.latencies {
                gained.latencies.insert(name.clone(), Merged::between(self.latencies.get(name), now)?);
            }
        }
        Ok(gained)
    }
}

fn is_news(counted: Option<u64>, report: &Report) -> bool {
    counted.is_none_or(|counted| report.sequence > counted)
}

impl Totals {
    fn gain(&mut self, before: Option<&Report>, report: &Report, gained: &Gained) {
        for (name, gained) in &gained.latencies {
            self.latencies.entry(name.clone()).or_default().gain(gained);
        }
        for (name, count) in &report.counters {
            let before = before.and_then(|before| before.counters.get(name)).copied().unwrap_or(0);
            *self.counters.entry(name.clone()).or_default() += count.saturating_sub(before);
        }
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
