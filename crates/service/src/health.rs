//! Whether the program is alive, and whether it is ready.
//!
//! Alive means that its loops turn, whether or not Kafka answers: restarting a program does not repair a
//! broker. Ready means that everything it needs is available.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// What `/livez` and `/readyz` answer from. Clones share one state.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Mutex<State>>);

/// Held by a loop, which reports each turn. Dropping it reports that the loop has ended.
#[derive(Debug)]
pub struct Beat {
    health: Health,
    index: usize,
}

/// Held by the part of the program that knows whether one of its needs is available.
#[derive(Clone, Debug)]
pub struct Ready {
    health: Health,
    index: usize,
}

impl Health {
    /// Registers a loop that must turn at least once in `limit`, counted from now.
    pub fn loop_(&self, name: impl Into<String>, limit: Duration) -> Beat {
        let mut state = self.lock();
        state.loops.push(Loop { name: name.into(), limit, turned: Instant::now(), ended: false });
        Beat { health: self.clone(), index: state.loops.len() - 1 }
    }

    /// Registers something that the program needs in order to serve. It counts as missing at first.
    pub fn ready(&self, name: impl Into<String>) -> Ready {
        let mut state = self.lock();
        state.needs.push(Need { name: name.into(), missing: Some("not yet".to_owned()) });
        Ready { health: self.clone(), index: state.needs.len() - 1 }
    }

    /// Fails with the loops that have not turned for longer than they may.
    pub fn live(&self) -> Result<(), String> {
        let stuck: Vec<String> = self
            .lock()
            .loops
            .iter()
            .filter(|turn| !turn.ended && turn.turned.elapsed() > turn.limit)
            .map(|turn| {
                let idle = turn.turned.elapsed().as_secs();
                format!("loop {} has not turned for {idle} s", turn.name)
            })
            .collect();
        if stuck.is_empty() { Ok(()) } else { Err(stuck.join("; ")) }
    }

    /// Fails with what is missing.
    pub fn serving(&self) -> Result<(), String> {
        let missing: Vec<String> = self
            .lock()
            .needs
            .iter()
            .filter_map(|need| need.missing.as_ref().map(|why| format!("{}: {why}", need.name)))
            .collect();
        if missing.is_empty() { Ok(()) } else { Err(missing.join("; ")) }
    }

    /// Whether every loop has ended, so that the figures change no more.
    pub fn all_ended(&self) -> bool {
        self.lock().loops.iter().all(|turn| turn.ended)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Beat {
    /// Reports that the loop has turned.
    pub fn turned(&self) {
        self.health.lock().loops[self.index].turned = Instant::now();
    }
}

impl Drop for Beat {
    fn drop(&mut self) {
        self.health.lock().loops[self.index].ended = true;
    }
}

impl Ready {
    /// Reports whether it is available.
    pub fn set(&self, ready: bool) {
        self.put((!ready).then(|| "not there".to_owned()));
    }

    /// Reports that it is missing, and why; `/readyz` shows the reason.
    pub fn missing(&self, why: impl Into<String>) {
        self.put(Some(why.into()));
    }

    fn put(&self, missing: Option<String>) {
        self.health.lock().needs[self.index].missing = missing;
    }
}

#[derive(Debug, Default)]
struct State {
    loops: Vec<Loop>,
    needs: Vec<Need>,
}

#[derive(Debug)]
struct Loop {
    name: String,
    limit: Duration,
    turned: Instant,
    ended: bool,
}

#[derive(Debug)]
struct Need {
    name: String,
    missing: Option<String>,
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_stops_turning_is_named() {
        let health = Health::default();
        let consume = health.loop_("consume", Duration::from_secs(30));
        let _flush = health.loop_("flush", Duration::from_mins(1));
        advance(Duration::from_secs(29)).await;
        assert_eq!(health.live(), Ok(()));
        advance(Duration::from_secs(2)).await;
        assert_eq!(health.live(), Err("loop consume has not turned for 31 s".to_owned()));
        consume.turned();
        assert_eq!(health.live(), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_ended_need_not_turn() {
        let health = Health::default();
        let consume = health.loop_("consume", Duration::from_secs(30));
        assert!(!health.all_ended());
        drop(consume);
        advance(Duration::from_secs(31)).await;
        assert_eq!(health.live(), Ok(()));
        assert!(health.all_ended());
    }

    #[test]
    fn ready_means_that_nothing_is_missing() {
        let health = Health::default();
        assert_eq!(health.serving(), Ok(()));
        let (kafka, redis) = (health.ready("kafka"), health.ready("redis"));
        assert_eq!(health.serving(), Err("kafka: not yet; redis: not yet".to_owned()));
        kafka.set(true);
        redis.missing("connection refused");
        assert_eq!(health.serving(), Err("redis: connection refused".to_owned()));
        redis.set(true);
        assert_eq!(health.serving(), Ok(()));
    }
}
