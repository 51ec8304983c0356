//! How the rate of a load changes with time: constant, steps, ramp, wave, spike, or rates that were given.

use std::time::Duration;

use anyhow::{Context, ensure};
use serde::Deserialize;
use service::{BoundedDuration, Whole};
use xxhash_rust::xxh3::xxh3_64;

use crate::curve::{Curve, LONGEST_CHANGE_US, Piece, Then};
use crate::rate::{Factor, Rate};

/// The kinds that can be asked for. All but the last are parts or multiples of the configured rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Always the configured rate.
    #[default]
    Constant,
    /// From the low rate up to the configured one in equal steps.
    Steps,
    /// From the low rate up to the configured one, evenly.
    Ramp,
    /// From the low rate up to the configured one and down again, as a sine does, over and over: a day of a shop.
    Wave,
    /// The configured rate, and over and over for a while a higher one.
    Spike,
    /// The rates of a list.
    Rates,
}

/// A shape, as it was asked for.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Which one.
    pub kind: Kind,
    /// What steps, ramp and wave begin with.
    pub low: Low,
    /// What a spike rises to.
    pub high: High,
    /// How many steps.
    pub steps: Steps,
    /// How long each step or the ramp lasts; from one wave or spike to the next.
    pub period: Period,
    /// How long each spike lasts.
    pub length: Period,
    /// Lines, each with a time and the sales per second from then on.
    pub rates: String,
}

/// A part of the configured rate.
pub type Low = Factor<0, 1_000>;
/// A multiple of the configured rate.
pub type High = Factor<1_000, 1_000_000>;
/// How many steps there may be.
pub type Steps = Whole<u32, 2, 1_000>;
/// From a second to 31 days.
pub type Period = BoundedDuration<1_000, { LONGEST_CHANGE_US / 1_000 }>;

/// Pieces that a wave is made of: none is off by more than a thousandth of the wave.
const PIECES: u32 = 96;
/// Lines that a list may have.
const LINES: usize = 5_000;
/// The most that a loader sends, as [`Rate`] has it: sales in a million seconds.
const MOST: u64 = 1_000_000_000_000;

impl Shape {
    /// The rate over time, if it changes.
    pub fn curve(&self, rate: Rate) -> anyhow::Result<Option<Curve>> {
        let (low, most, period) = (self.low.micro(rate), rate.micro(), self.period.get());
        let steady = |rate, lasts| piece(rate, rate, lasts);
        Ok(Some(match self.kind {
            Kind::Constant => return Ok(None),
            Kind::Steps => {
                let last = u64::from(self.steps.get()) - 1;
                Curve::new((0..=last).map(|step| steady(low + (most - low) / last * step, period)), Then::Stays)
            }
            Kind::Ramp => Curve::new([piece(low, most, period)], Then::Stays),
            Kind::Wave => {
                let at = |part: u32| {
                    let angle = std::f64::consts::TAU * f64::from(part) / f64::from(PIECES);
                    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 1e12")]
                    let above = ((most - low) as f64 * (1.0 - angle.cos()) / 2.0).round() as u64;
                    low + above
                };
                let lasts = period / PIECES;
                Curve::new((0..PIECES).map(|part| piece(at(part), at(part + 1), lasts)), Then::Repeats)
            }
            Kind::Spike => {
                let (high, length) = (self.high.micro(rate), self.length.get());
                ensure!(
                    high <= MOST,
                    "a spike of {:?} times the rate is more than the 1000000 sales per second that a loader sends: set a lower \
                     loader.shape.high or loader.rate",
                    self.high
                );
                ensure!(
                    length < period,
                    "spikes last {length:?} and come every {period:?}: set a loader.shape.length below loader.shape.period"
                );
                Curve::new([steady(most, period.saturating_sub(length)), steady(high, length)], Then::Repeats)
            }
            Kind::Rates => listed(&self.rates).context("reading loader.shape.rates")?,
        }))
    }

    /// What tells it from another; 0 if the rate does not change.
    pub fn hash(&self) -> u64 {
        if self.kind == Kind::Constant {
            return 0;
        }
        xxh3_64(format!("{self:?}").as_bytes()).max(1)
    }
}

fn piece(from: u64, to: u64, lasts: Duration) -> Piece {
    Piece { from, to, lasts_us: u64::try_from(lasts.as_micros()).unwrap_or(u64::MAX).max(1) }
}

/// Reads a list: a line for each change, with the time since the load began and the rate from then on; `#` begins a comment.
fn listed(text: &str) -> anyhow::Result<Curve> {
    let content = |line: &'_ str| line.split('#').next().unwrap_or_default().trim().to_owned();
    let lines = (1..).zip(text.lines().map(content)).filter(|(_, line)| !line.is_empty());
    let mut changes: Vec<(Duration, u64)> = Vec::new();
    for (number, line) in lines {
        let change = change(&line).with_context(|| format!("line {number} is {line:?}"))?;
        let after = changes.last().map(|(time, _)| *time);
        match after {
            None => ensure!(change.0.is_zero(), "line {number} is {line:?}: the first must begin at 0s"),
            Some(after) => {
                ensure!(
                    change.0 > after,
                    "line {number} is {line:?}: its time must be later than that of the line before"
                );
            }
        }
        changes.push(change);
        ensure!(changes.len() <= LINES, "there are more than {LINES} lines: leave some out");
    }
    ensure!(!changes.is_empty(), "there is no line: write at least one, such as `0s 100`");
    let until = changes.iter().skip(1).map(|(time, _)| Some(*time)).chain([None]);
    let pieces = changes.iter().zip(until).map(|((from, rate), until)| {
        piece(*rate, *rate, until.map_or(Duration::from_secs(1), |until| until.saturating_sub(*from)))
    });
    Ok(Curve::new(pieces, Then::Stays))
}

fn change(line: &str) -> anyhow::Result<(Duration, u64)> {
    type Time = BoundedDuration<0, { 3_650 * 24 * 60 * 60 * 1_000 }>;
    let (time, rate) = line.split_once(char::is_whitespace).context("write a time and a rate, such as `90s 250`")?;
    let time = Time::try_from(time.to_owned()).map_err(anyhow::Error::msg)?;
    let rate = rate.trim();
    let rate = if rate == "0" { Rate::PAUSE } else { rate.parse()? };
    Ok((time.get(), rate.micro()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000;

    fn shape(kind: Kind) -> Shape {
        Shape {
            kind,
            low: Factor::of::<100>(),
            high: Factor::of::<3_000>(),
            steps: 4_u64.try_into().unwrap(),
            period: Period::from_ms::<60_000>(),
            length: Period::from_ms::<10_000>(),
            rates: "# a morning\n0s 10\n\n90s 250 # opened\n2m 0\n".to_owned(),
        }
    }

    /// The rate at some seconds, of 100 sales per second.
    fn rates<const N: usize>(kind: Kind, seconds: [u64; N]) -> [u64; N] {
        let curve = shape(kind).curve("100".parse().unwrap()).unwrap().unwrap();
        seconds.map(|second| curve.rate_at(second * S).micro() / S)
    }

    #[test]
    fn each_shape_is_what_it_says() {
        assert_eq!(rates(Kind::Steps, [0, 59, 60, 120, 180, 9_999]), [10, 10, 40, 70, 100, 100]);
        assert_eq!(rates(Kind::Ramp, [0, 30, 60, 9_999]), [10, 55, 100, 100]);
        assert_eq!(rates(Kind::Wave, [0, 15, 30, 45, 60, 90]), [10, 55, 100, 55, 10, 100]);
        assert_eq!(rates(Kind::Spike, [0, 49, 50, 59, 60, 110]), [100, 100, 300, 300, 100, 300]);
        assert_eq!(rates(Kind::Rates, [0, 89, 90, 119, 120, 9_999]), [10, 10, 250, 250, 0, 0]);
        assert_eq!(shape(Kind::Constant).curve("100".parse().unwrap()).unwrap(), None);
    }

    #[test]
    fn a_wave_is_a_sine() {
        let curve = shape(Kind::Wave).curve("100".parse().unwrap()).unwrap().unwrap();
        for tenth in 0..600_u32 {
            let sine = 55.0 - 45.0 * (std::f64::consts::TAU * f64::from(tenth) / 600.0).cos();
            let rate = curve.rate_at(u64::from(tenth) * S / 10).per_second();
            assert!((rate - sine).abs() < 0.06, "{tenth}: {rate}, want {sine}");
        }
    }

    #[test]
    fn what_can_not_be_a_shape_is_refused_with_the_value_and_the_fix() {
        let refused = |change: fn(&mut Shape), rate: &str| {
            let mut shape = shape(Kind::Rates);
            change(&mut shape);
            format!("{:#}", shape.curve(rate.parse().unwrap()).unwrap_err())
        };
        let of_list = |rates: &str| {
            let shape = Shape { rates: rates.to_owned(), ..shape(Kind::Rates) };
            format!("{:#}", shape.curve("1".parse().unwrap()).unwrap_err())
        };
        assert!(of_list("").contains("there is no line"));
        assert!(of_list("0s 1\n5s").contains("line 2 is \"5s\": write a time and a rate"));
        assert!(of_list("1s 1").contains("the first must begin at 0s"));
        assert!(of_list("0s 1\n9s 2\n9s 3").contains("line 3 is \"9s 3\": its time must be later"));
        assert!(of_list("0s fast").contains("\"fast\" is not a rate"));
        assert!(of_list("soon 1").contains("\"soon\" is not a duration"));
        let spike = |shape: &mut Shape| shape.kind = Kind::Spike;
        assert!(refused(spike, "400000").contains("more than the 1000000 sales per second"));
        let long = |shape: &mut Shape| (shape.kind, shape.length) = (Kind::Spike, shape.period);
        assert!(refused(long, "1").contains("set a loader.shape.length below loader.shape.period"));
    }

    #[test]
    fn another_shape_is_another_load() {
        let mut hashes: Vec<u64> = [Kind::Constant, Kind::Ramp, Kind::Wave].map(|kind| shape(kind).hash()).into();
        hashes.push(Shape { period: Period::from_ms::<61_000>(), ..shape(Kind::Ramp) }.hash());
        assert_eq!(hashes[0], 0);
        assert!((1..4).all(|at| !hashes[..at].contains(&hashes[at])));
        assert_eq!(hashes[1], shape(Kind::Ramp).hash());
    }
}
