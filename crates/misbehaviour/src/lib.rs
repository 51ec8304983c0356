//! The bad habits of enterprise applications that were moved to a cluster as they were: frameworks inside frameworks, memory
//! taken for no reason, pauses like those of a virtual machine, consumers that are too slow.
//!
//! Each is off by default, has a strength, and lives here, beside the programs that it is done to and not in them: a program
//! calls [`Config::begin`] once and [`PerSale::happen`] for each sale, and knows no more of it. None changes what becomes of a
//! sale; the audit holds with all of them.

mod heap;
mod layers;
mod pauses;
mod start_up;

use std::time::Duration;

use serde::Deserialize;
use service::{BoundedDuration, Whole};
use tokio_util::sync::CancellationToken;
use tracing::info;

/// The variables `MISBEHAVIOUR_*`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How many times each sale is wrapped, copied and parsed again, as a framework inside a framework does.
    pub layers: Whole<u32, 0, 1_000>,
    /// Bytes of memory that are taken and not needed: they grow to this within a minute, fall, and grow again.
    pub memory_bytes: Whole<u64, 0, { 1 << 40 }>,
    /// How long the whole program stands still at a time, as a virtual machine does that collects garbage.
    pub pause: BoundedDuration<0, 20_000>,
    /// From the beginning of one pause to that of the next, at random between half and one and a half of this.
    pub pause_every: BoundedDuration<100, 3_600_000>,
    /// How long a CPU is busy before the work begins.
    pub start_up: BoundedDuration<0, 600_000>,
    /// How long a sink thinks about each sale.
    pub sale_delay: BoundedDuration<0, 20>,
}

impl Default for Config {
    /// None of them.
    fn default() -> Self {
        Self {
            layers: Whole::default(),
            memory_bytes: Whole::default(),
            pause: BoundedDuration::default(),
            pause_every: BoundedDuration::from_ms::<10_000>(),
            start_up: BoundedDuration::default(),
            sale_delay: BoundedDuration::default(),
        }
    }
}

/// What is done to each sale.
#[derive(Clone, Copy, Debug, Default)]
pub struct PerSale {
    layers: u32,
    delay: Duration,
}

impl Config {
    /// Burns the CPU of the start, then begins what goes on beside the work until `shutdown`. Blocks as long as that takes.
    pub fn begin(&self, shutdown: &CancellationToken) -> anyhow::Result<PerSale> {
        start_up::burn(self.start_up.get(), shutdown);
        if self.memory_bytes.get() > 0 {
            info!(bytes = self.memory_bytes.get(), "misbehaves: takes memory");
            heap::start(self.memory_bytes.get(), shutdown.clone())?;
        }
        if !self.pause.get().is_zero() {
            info!(pause = ?self.pause, every = ?self.pause_every, "misbehaves: stands still now and then");
            pauses::start(self.pause.get(), self.pause_every.get(), shutdown.clone())?;
        }
        let each = PerSale { layers: self.layers.get(), delay: self.sale_delay.get() };
        if each.layers > 0 || !each.delay.is_zero() {
            info!(?each, "misbehaves: does more than it must for each sale");
        }
        Ok(each)
    }
}

impl PerSale {
    /// The same without what makes a sink slow: for a role that is none.
    #[must_use]
    pub fn undelayed(self) -> Self {
        Self { delay: Duration::ZERO, ..self }
    }

    /// What happens to a sale besides what must.
    pub fn happen(&self, body: &[u8]) {
        layers::pass(body, self.layers);
        if !self.delay.is_zero() {
            std::thread::sleep(self.delay);
        }
    }
}

/// Waits, and returns whether the program goes on.
fn goes_on(wait: Duration, shutdown: &CancellationToken) -> bool {
    let end = std::time::Instant::now() + wait;
    while !shutdown.is_cancelled() {
        let left = end.saturating_duration_since(std::time::Instant::now());
        if left.is_zero() {
            return true;
        }
        std::thread::sleep(left.min(Duration::from_millis(100)));
    }
    false
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use service::Environment;
    use test_servers::bounds;

    use super::*;

    fn read(variables: &[(&str, &str)]) -> anyhow::Result<Config> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        variables.collect::<Environment>().read("MISBEHAVIOUR_")
    }

    #[test]
    fn nothing_is_on_unless_it_is_asked_for() {
        let begun = Instant::now();
        let each = read(&[]).unwrap().begin(&CancellationToken::new()).unwrap();
        assert_eq!((each.layers, each.delay), (0, Duration::ZERO));
        (0..1_000).for_each(|_| each.happen(b"{}"));
        assert!(begun.elapsed() < Duration::from_secs(1));
    }

    #[test]
    fn accepts_and_refuses_what_the_chart_does() {
        bounds::check("MISBEHAVIOUR_", |variables| variables.collect::<Environment>().read::<Config>("MISBEHAVIOUR_"));
    }

    #[test]
    fn a_sink_thinks_about_each_sale_and_no_other_role_does() {
        let each = read(&[("MISBEHAVIOUR_SALE_DELAY", "5ms")]).unwrap().begin(&CancellationToken::new()).unwrap();
        let took = |each: PerSale| {
            let begun = Instant::now();
            (0..20).for_each(|_| each.happen(b"{}"));
            begun.elapsed()
        };
        assert!(took(each) >= Duration::from_millis(100));
        assert_eq!(each.undelayed().delay, Duration::ZERO);
    }

    #[test]
    fn a_stop_ends_the_start_up_at_once() {
        let shutdown = CancellationToken::new();
        shutdown.cancel();
        let begun = Instant::now();
        read(&[("MISBEHAVIOUR_START_UP", "10m")]).unwrap().begin(&shutdown).unwrap();
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
}
