//! Measuring round trips at intervals, and what is reported of them.

use std::sync::Arc;
use std::time::Duration;

use service::reported::probe::ROUND_TRIP;
use service::{Beat, Health, HostPort, Latency};
use tokio_util::sync::CancellationToken;

use crate::TURN_LIMIT;
use crate::config::Config;
use crate::reasons::Reasons;
use crate::round_trip::RoundTrips;
use crate::watch::watch;

/// The loop that asks the peers.
pub(crate) struct Peers {
    asked: Vec<Peer>,
    interval: Duration,
    reasons: Reasons,
    beat: Beat,
}

struct Peer {
    address: HostPort,
    /// As the report names it.
    name: String,
    latency: Latency,
}

impl Peers {
    /// Takes the name of this pod, which may be listed and is left out: all pods of a server have the same list.
    pub(crate) fn new(config: &Config, pod: &str, health: &Health, reasons: &Reasons) -> Self {
        let others = config.peers.list().iter().filter(|address| !is_pod(address, pod));
        let peers = others.map(|address| Peer {
            address: address.clone(),
            name: format!("{ROUND_TRIP}{address}"),
            latency: Latency::default(),
        });
        let interval = config.round_trip_interval.get();
        let beat = health.loop_("round_trip", interval + TURN_LIMIT);
        Self { asked: peers.collect(), interval, reasons: reasons.clone(), beat }
    }

    pub(crate) fn latencies(&self) -> impl Iterator<Item = (String, Latency)> {
        self.asked.iter().map(|peer| (peer.name.clone(), peer.latency.clone()))
    }

    /// Measures until `shutdown`. Each peer is asked once in an interval, if those before it answer.
    pub(crate) async fn watch(self, shutdown: &CancellationToken) -> anyhow::Result<()> {
        let Self { asked: peers, interval, reasons, beat } = self;
        let Some(count) = u32::try_from(peers.len()).ok().filter(|count| *count > 0) else { return Ok(()) };
        let trips = Arc::new(RoundTrips::new(peers.iter().map(|peer| peer.address.clone()).collect()));
        let show = |measured: Option<(usize, anyhow::Result<Duration>)>| {
            // One that hangs, as resolving a name can, is told when it ends.
            let Some((turn, took)) = measured else { return };
            let Peer { name, latency, .. } = &peers[turn];
            if let Ok(took) = took {
                latency.record_duration(took);
            }
            reasons.put(name, took.err().map(|err| format!("{err:#}")));
        };
        watch(interval / count, move || trips.measure(), show, beat, shutdown).await
    }
}

/// Whether an address is that of a pod of a `StatefulSet`, which begins with its name.
fn is_pod(address: &HostPort, pod: &str) -> bool {
    let rest = address.as_str().strip_prefix(pod);
    rest.is_some_and(|rest| rest.starts_with(['.', ':']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_pod_is_no_peer() {
        let variables = serde_json::json!({"target": "kafka", "peers": "k-1.k:9092,k-11.k:9092,k-2.k:9092,etl:8080"});
        let config: Config = serde_json::from_value(variables).unwrap();
        let asked = |pod| {
            let peers = Peers::new(&config, pod, &Health::default(), &Reasons::default());
            peers.asked.iter().map(|peer| peer.name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(asked("k-1"), ["round_trip/k-11.k:9092", "round_trip/k-2.k:9092", "round_trip/etl:8080"]);
        assert_eq!(asked("k").len(), 4);
    }
}
