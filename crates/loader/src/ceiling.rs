//! What this loader could do: the largest rate that it can make and hand over, from what it does at present.
//!
//! Nothing is sent for it. Each sale costs time on three things, and the scarcest of them sets the ceiling:
//! - the sending thread: sales handed over per second of its work in the last ten seconds;
//! - the maker: sales made per second of its work since the start (it makes a block at a time, and rests in between);
//! - the CPUs that the loader may use, by its limit or the node: CPU time of the whole process per sale.
//!
//! The bias is to the low side. What costs the same at any rate (the loop's turns, the ledger, reports) counts as if it grew
//! with the rate: at a hundredth of the ceiling the estimate is about a third of it, from a tenth on it is near (tried with
//! rates from 100/s up to what an unoptimised build could do, 8,500/s). Time that a thread is kept from a CPU counts as its
//! work, since the ceiling is what the loader can do where it runs. The estimate is too high if Kafka can't take as much.

use std::collections::VecDeque;

use service::resources::{Limit, Reader};

use crate::running::Load;

/// How many samples, a second apart, are compared.
const WINDOW: usize = 10;
/// With fewer sales in the window, there is nothing to tell from.
const FEWEST: u64 = 100;
/// Microseconds of a clock tick, in which the kernel tells programs their CPU time: 100 a second on every architecture.
const TICK_US: u64 = 10_000;

/// What was done so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Done {
    /// Sales handed over.
    pub sent: u64,
    /// How long the sending thread has worked.
    pub sending_us: u64,
    /// Sales made.
    pub made: u64,
    /// How long the maker has worked.
    pub making_us: u64,
    /// CPU time of the process, if it is known.
    pub cpu_us: Option<u64>,
    /// Thousandths of a CPU that it may use.
    pub millicores: u64,
}

impl Done {
    /// By `load` until now; `own` reads the loader's limit.
    pub fn by(load: &Load, own: &mut Reader) -> Self {
        let threads = load.time.spent();
        let working = |thread: &str| threads.get(thread).map_or(0, |spent| spent.working_us);
        Self {
            sent: load.metrics.sent.get(),
            sending_us: working("schedule"),
            made: load.metrics.made.get(),
            making_us: working("maker"),
            cpu_us: std::fs::read_to_string("/proc/self/stat").ok().and_then(|stat| cpu_us(&stat)),
            millicores: millicores(own),
        }
    }
}

/// Compares samples.
#[derive(Debug)]
pub struct Ceiling {
    own: Reader,
    samples: VecDeque<Done>,
}

impl Default for Ceiling {
    fn default() -> Self {
        Self { own: Reader::own(), samples: VecDeque::new() }
    }
}

impl Ceiling {
    /// Samples `load` in this second; see [`Self::sample`].
    pub fn of(&mut self, load: &Load) -> Option<f64> {
        let done = Done::by(load, &mut self.own);
        self.sample(done)
    }

    /// Takes the sample of this second. Returns the ceiling in sales per second, if enough was sent to tell.
    pub fn sample(&mut self, now: Done) -> Option<f64> {
        if self.samples.len() > WINDOW {
            self.samples.pop_front();
        }
        self.samples.push_back(now);
        let then = self.samples.front()?;
        let sent = now.sent - then.sent;
        if sent < FEWEST || now.made == 0 {
            return None;
        }
        let making_us = per(now.making_us, now.made);
        let sending_us = per(now.sending_us - then.sending_us, sent);
        let cpu_us = now.cpu_us.zip(then.cpu_us).map(|(now_us, then_us)| {
            // What the maker does is counted by what it makes: the window may hold none of it, or a block for a minute.
            let others = now_us.saturating_sub(then_us).saturating_sub(now.making_us - then.making_us);
            (per(others, sent) + making_us) * 1e3 / now.millicores.max(1) as f64
        });
        let costliest = making_us.max(sending_us).max(cpu_us.unwrap_or(0.0));
        (costliest > 0.0).then(|| 1e6 / costliest)
    }
}

fn per(us: u64, sales: u64) -> f64 {
    us as f64 / sales as f64
}

/// The CPU limit, or else all CPUs.
fn millicores(own: &mut Reader) -> u64 {
    let limit = own.read_groups().cpu_limit_millicores.and_then(Limit::value);
    limit.unwrap_or_else(|| std::thread::available_parallelism().map_or(1_000, |cpus| 1_000 * cpus.get() as u64))
}

/// User and system time in `/proc/PID/stat`, the 14th and the 15th field. The second is a name in parentheses, which may
/// hold anything.
fn cpu_us(stat: &str) -> Option<u64> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(ticks * TICK_US)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A loader at `rate` for `seconds`, whose sales cost so many microseconds to send, to make, and of CPU in all.
    fn ceiling(rate: u64, seconds: u64, (sending, making, cpu): (u64, u64, u64), millicores: u64) -> Option<f64> {
        let mut ceiling = Ceiling::default();
        let done = |second| {
            let sent = second * rate;
            let cpu_us = Some(sent * cpu);
            Done { sent, sending_us: sent * sending, made: sent, making_us: sent * making, cpu_us, millicores }
        };
        (0..=seconds).map(|second| ceiling.sample(done(second))).last().unwrap()
    }

    #[test]
    fn the_scarcest_sets_the_ceiling() {
        for (costs, millicores, expected) in [
            ((5, 10, 15), 4_000, 100_000.0),
            ((20, 10, 30), 4_000, 50_000.0),
            ((5, 10, 20), 500, 25_000.0),
            ((5, 10, 20), 1_000, 50_000.0),
        ] {
            let ceiling = ceiling(1_000, 20, costs, millicores).unwrap();
            assert!((ceiling - expected).abs() < 1.0, "{costs:?} with {millicores}m: {ceiling}");
        }
    }

    #[test]
    fn nothing_is_told_from_next_to_nothing() {
        assert_eq!(ceiling(0, 20, (5, 10, 20), 500), None);
        assert_eq!(ceiling(9, 20, (5, 10, 20), 500), None);
        assert!(ceiling(10, 20, (5, 10, 20), 500).is_some());
    }

    #[test]
    fn only_the_last_ten_seconds_of_sending_count() {
        let mut ceiling = Ceiling::default();
        let mut now = Done { made: 1, millicores: 4_000, ..Done::default() };
        let mut last = None;
        for second in 0..40 {
            now.sent += 1_000;
            now.sending_us += if second < 20 { 500_000 } else { 50_000 };
            last = ceiling.sample(now);
        }
        assert!((last.unwrap() - 20_000.0).abs() < 1.0, "{last:?}");
    }

    #[test]
    fn the_cpu_time_is_read_whatever_the_program_is_called() {
        let stat = "7 (a) b (c) S 1 1 1 0 -1 4194304 124 0 0 0 250 50 0 0 20 0 1 0 99 1 1 1";
        assert_eq!(cpu_us(stat), Some(3_000_000));
        assert_eq!(cpu_us("7 (a) S 1"), None);
    }
}
