//! Durations as they are written in the chart's values.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

/// A duration from `LEAST_MS` to `MOST_MS` milliseconds, written as whole numbers with their units: `100ms`, `1h 30m`.
///
/// It accepts the texts that `duration` in the chart's values.schema.json does, within the bounds, and no others.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct BoundedDuration<const LEAST_MS: u64, const MOST_MS: u64>(Duration);

/// How often something is done: at least once a day.
pub type Interval = BoundedDuration<1, DAY_MS>;

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
/// The units, the longest first, each in milliseconds.
const UNITS: [(&str, u64); 5] = [("d", DAY_MS), ("h", 60 * 60 * 1_000), ("m", 60 * 1_000), ("s", 1_000), ("ms", 1)];

impl<const LEAST_MS: u64, const MOST_MS: u64> BoundedDuration<LEAST_MS, MOST_MS> {
    /// A duration that is known to be within the bounds when the program is compiled.
    pub const fn from_ms<const MS: u64>() -> Self {
        const { assert!(LEAST_MS <= MS && MS <= MOST_MS) }
        Self(Duration::from_millis(MS))
    }

    /// The duration.
    pub const fn get(self) -> Duration {
        self.0
    }
}

/// No time, where that is within the bounds.
impl<const MOST_MS: u64> Default for BoundedDuration<0, MOST_MS> {
    fn default() -> Self {
        Self(Duration::ZERO)
    }
}

impl<const LEAST_MS: u64, const MOST_MS: u64> TryFrom<String> for BoundedDuration<LEAST_MS, MOST_MS> {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let ms = milliseconds(&text).ok_or_else(|| {
            format!(
                "{text:?} is not a duration: write whole numbers with one of the units ms, s, m, h and d, such as 100ms \
                 or 1h 30m"
            )
        })?;
        let wrong = match ms {
            ms if ms < LEAST_MS => "short",
            ms if ms > MOST_MS => "long",
            ms => return Ok(Self(Duration::from_millis(ms))),
        };
        Err(format!("{text:?} is too {wrong}: set a duration from {} to {}", written(LEAST_MS), written(MOST_MS)))
    }
}

impl<const LEAST_MS: u64, const MOST_MS: u64> fmt::Debug for BoundedDuration<LEAST_MS, MOST_MS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The milliseconds in `text`, if it matches `^([0-9]+(ms|s|m|h|d))( ?[0-9]+(ms|s|m|h|d))*$`; [`u64::MAX`] if they are
/// more than that.
fn milliseconds(text: &str) -> Option<u64> {
    let mut total = 0_u64;
    let mut rest = text;
    loop {
        let (digits, after) = split(rest, |byte| byte.is_ascii_digit());
        let (unit, after) = split(after, |byte| byte.is_ascii_alphabetic());
        let (_, ms) = UNITS.iter().find(|(name, _)| *name == unit)?;
        if digits.is_empty() {
            return None;
        }
        // All of them are digits, so that parsing fails on a number that is too large alone.
        total = total.saturating_add(digits.parse().unwrap_or(u64::MAX).saturating_mul(*ms));
        if after.is_empty() {
            return Some(total);
        }
        rest = after.strip_prefix(' ').unwrap_or(after);
    }
}

/// The longest beginning of `text` in which all bytes, which are ASCII, are `like` that; and the rest.
fn split(text: &str, like: impl Fn(u8) -> bool) -> (&str, &str) {
    text.split_at(text.bytes().position(|byte| !like(byte)).unwrap_or(text.len()))
}

/// By the longest unit that has no remainder.
fn written(ms: u64) -> String {
    let (unit, each) = UNITS.into_iter().find(|(_, each)| ms >= *each && ms.is_multiple_of(*each)).unwrap_or(("ms", 1));
    format!("{}{unit}", ms / each)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Any = BoundedDuration<0, { u64::MAX }>;
    type Short = BoundedDuration<1, 5_000>;

    fn parse(text: &str) -> Result<Duration, String> {
        Any::try_from(text.to_owned()).map(BoundedDuration::get)
    }

    #[test]
    fn what_the_charts_schema_admits_is_a_duration() {
        for (text, ms) in [
            ("100ms", 100),
            ("0s", 0),
            ("007s", 7_000),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("1h 30m", 5_400_000),
            ("1m 1m", 120_000),
            ("2d", 172_800_000),
            ("1s1ms", 1_001),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(ms)), "{text}");
        }
    }

    #[test]
    fn what_it_does_not_admit_is_none() {
        for text in [
            "", " ", "1", "s", "1w", "1us", "1ns", "2 hours", "1 h", "1hour", "1month", "1.5h", "-1s", "+1s",
            "1h  30m", " 1h", "1h ", "1h\n", "1H", "1hm", "1h30", "1h,30m", "é1s", "1é", "٣s",
        ] {
            assert!(parse(text).unwrap_err().contains("is not a duration"), "{text:?}");
        }
    }

    #[test]
    fn a_duration_beyond_its_bounds_is_refused_with_them() {
        for (text, why) in [
            ("0ms", "\"0ms\" is too short: set a duration from 1ms to 5s"),
            ("30s", "\"30s\" is too long: set a duration from 1ms to 5s"),
            ("5s 1ms", "\"5s 1ms\" is too long: set a duration from 1ms to 5s"),
            ("99999999999999999999d", "\"99999999999999999999d\" is too long: set a duration from 1ms to 5s"),
            ("18446744073709551615d 1d", "\"18446744073709551615d 1d\" is too long: set a duration from 1ms to 5s"),
        ] {
            assert_eq!(Short::try_from(text.to_owned()), Err(why.to_owned()));
        }
        assert_eq!(Short::try_from("5s".to_owned()), Ok(Short::from_ms::<5_000>()));
    }
}
