//! What every instance last said, and totals that never fall.
//!
//! A program's counters begin at 0 with each start, so the totals add up what each incarnation has *gained*
//! since its previous report. A pod that goes takes nothing with it.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use service::Report;

use crate::config::Targets;
use crate::merged::Merged;
use crate::window::Window;

/// Reports come each second. Without one for this long the figures are of then, not of now.
pub(crate) const STALE: Duration = Duration::from_secs(5);

/// An instance that DNS no longer knows and that no longer answers is forgotten after this.
const FORGET: Duration = Duration::from_mins(1);

/// Incarnations remembered, so that one that comes back isn't counted twice.
const INCARNATIONS: usize = 512;

/// How many rounds back "recent" latencies begin.
const RECENT: usize = 10;

/// Everything heard so far.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) targets: Targets,
    pub(crate) addresses: BTreeMap<(String, SocketAddr), Address>,
    incarnations: BTreeMap<Key, Incarnation>,
    totals: BTreeMap<String, Totals>,
    /// The latencies at the end of each of the last rounds.
    past: VecDeque<BTreeMap<String, BTreeMap<String, Merged>>>,
}

/// Where an instance is asked.
#[derive(Debug)]
pub(crate) struct Address {
    known_since: Instant,
    in_dns: Instant,
    /// Who answered last.
    answered: Option<Key>,
    pub(crate) error: Option<String>,
}

/// One start of one pod's program.
#[derive(Debug)]
pub(crate) struct Incarnation {
    pub(crate) report: Report,
    pub(crate) received: Instant,
    pub(crate) window: Window,
}

type Key = (String, String, u64);

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
            incarnations: BTreeMap::new(),
            totals: BTreeMap::new(),
            past: VecDeque::new(),
        }
    }

    /// Notes what DNS says of a component.
    pub(crate) fn resolved(&mut self, component: &str, addresses: &[SocketAddr], now: Instant) {
        for address in addresses {
            let new = Address { known_since: now, in_dns: now, answered: None, error: None };
            self.addresses.entry((component.to_owned(), *address)).or_insert(new).in_dns = now;
        }
    }

    /// Notes that an instance didn't answer, and why. Says whether that is news.
    pub(crate) fn failed(&mut self, component: &str, address: SocketAddr, error: String) -> bool {
        let address = self.addresses.get_mut(&(component.to_owned(), address));
        address.is_some_and(|address| address.error.replace(error).is_none())
    }

    /// Takes a report. One that can't be read is an error, and changes nothing.
    pub(crate) fn received(
        &mut self,
        component: &str,
        address: SocketAddr,
        report: Report,
        now: Instant,
    ) -> anyhow::Result<()> {
        let Some(address) = self.addresses.get_mut(&(component.to_owned(), address)) else { return Ok(()) };
        let key = (component.to_owned(), report.pod.clone(), report.incarnation);
        let before = self.incarnations.get(&key).map(|incarnation| &incarnation.report);
        self.totals.entry(component.to_owned()).or_default().gain(before, &report)?;
        address.answered = Some(key.clone());
        address.error = None;
        let incarnation = self.incarnations.entry(key).or_insert_with(|| Incarnation {
            report: report.clone(),
            received: now,
            window: Window::default(),
        });
        incarnation.window.push(&report);
        incarnation.received = now;
        incarnation.report = report;
        Ok(())
    }

    /// Ends a round: remembers the latencies as they are now, and forgets who is gone.
    pub(crate) fn end_round(&mut self, now: Instant) {
        let latencies = self.totals.iter().map(|(component, totals)| (component.clone(), totals.latencies.clone()));
        self.past.push_back(latencies.collect());
        if self.past.len() > RECENT + 1 {
            self.past.pop_front();
        }
        let Self { addresses, incarnations, .. } = self;
        addresses.retain(|_, address| {
            let answered = address.answered.as_ref().and_then(|key| incarnations.get(key));
            let heard = answered.map_or(address.known_since, |incarnation| incarnation.received);
            now - address.in_dns < FORGET || now - heard < FORGET
        });
        while incarnations.len() > INCARNATIONS {
            let oldest = incarnations.iter().min_by_key(|(_, incarnation)| incarnation.received);
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else { return };
            incarnations.remove(&oldest);
        }
    }

    /// The instances of all components: each address with who answered there last.
    ///
    /// A pod that has come back at another address, or as a new incarnation, is listed once.
    pub(crate) fn instances(&self) -> impl Iterator<Item = (&str, SocketAddr, &Address, Option<&Incarnation>)> {
        self.addresses.iter().filter_map(|((component, socket), address)| {
            let answered = address.answered.as_ref().and_then(|key| self.incarnations.get(key));
            if answered.is_some_and(|answered| self.superseded(component, answered)) {
                return None;
            }
            Some((component.as_str(), *socket, address, answered))
        })
    }

    /// Whether the same pod was heard elsewhere since.
    fn superseded(&self, component: &str, old: &Incarnation) -> bool {
        self.addresses
            .iter()
            .filter(|((other, _), _)| other == component)
            .filter_map(|(_, address)| self.incarnations.get(address.answered.as_ref()?))
            .any(|other| other.report.pod == old.report.pod && other.received > old.received + STALE)
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

impl Incarnation {
    pub(crate) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.received)
    }

    pub(crate) fn is_stale(&self, now: Instant) -> bool {
        self.age(now) > STALE
    }
}

impl Totals {
    fn gain(&mut self, before: Option<&Report>, report: &Report) -> anyhow::Result<()> {
        let latencies = report.latencies.iter().map(|(name, now)| {
            let before = before.and_then(|before| before.latencies.get(name));
            Ok((name, Merged::between(before, now)?))
        });
        // All are decoded before anything changes, so that an error leaves the totals as they were.
        for (name, gained) in latencies.collect::<anyhow::Result<Vec<_>>>()? {
            self.latencies.entry(name.clone()).or_default().gain(&gained);
        }
        for (name, count) in &report.counters {
            let before = before.and_then(|before| before.counters.get(name)).copied().unwrap_or(0);
            *self.counters.entry(name.clone()).or_default() += count.saturating_sub(before);
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
