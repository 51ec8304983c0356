//! How long a packet takes to a peer and back: the time to connect by TCP, which the peer's kernel answers alone.

use std::net::{TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use service::HostPort;

/// Longer than it takes to send a lost packet again (1 s), shorter than a look may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);

/// Peers, of which one is asked at a time, in turn.
#[derive(Debug)]
pub(crate) struct RoundTrips {
    peers: Vec<HostPort>,
    next: AtomicUsize,
}

impl RoundTrips {
    pub(crate) fn new(peers: Vec<HostPort>) -> Self {
        Self { peers, next: AtomicUsize::new(0) }
    }

    /// Measures the next peer. Blocks.
    pub(crate) fn measure(&self) -> (usize, anyhow::Result<Duration>) {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.peers.len();
        (turn, connect(self.peers[turn].as_str()))
    }
}

/// Resolving the name is not a part of the time.
fn connect(peer: &str) -> anyhow::Result<Duration> {
    let addresses = peer.to_socket_addrs().with_context(|| format!("resolving {peer}"))?;
    let mut last = anyhow!("resolving {peer}: it has no address");
    for address in addresses {
        let begun = Instant::now();
        match TcpStream::connect_timeout(&address, CONNECT_LIMIT) {
            Ok(_) => return Ok(begun.elapsed()),
            Err(err) => last = anyhow::Error::new(err).context(format!("connecting to {peer}")),
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn peer(text: &str) -> HostPort {
        HostPort::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn peers_are_measured_in_turn_and_one_that_is_away_is_a_reason() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let here = listener.local_addr().unwrap().to_string();
        let away = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let trips = RoundTrips::new(vec![peer(&here), peer(&away), peer("no-such-host.invalid:1")]);
        for _ in 0..2 {
            let (turn, took) = trips.measure();
            assert!(turn == 0 && took.unwrap() > Duration::ZERO);
            let (turn, took) = trips.measure();
            let why = format!("{:#}", took.unwrap_err());
            assert!(turn == 1 && why.starts_with(&format!("connecting to {away}: Connection refused")), "{why}");
            let (turn, took) = trips.measure();
            let why = format!("{:#}", took.unwrap_err());
            assert!(turn == 2 && why.starts_with("resolving no-such-host.invalid:1: "), "{why}");
        }
    }
}
