//! How many sales a second, and how much faster after a stall: exact numbers, so that a long run doesn't drift.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::Deserialize;

/// Sales per second, up to a million. Kept exactly, to a millionth of a sale per second. Only a rate that is set from
/// outside may be 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Rate {
    /// Sales per million seconds.
    micro: u64,
}

/// So many times a rate, kept in thousandths, of which it has `LEAST` to `MOST`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Factor<const LEAST: u64, const MOST: u64> {
    thousandths: u64,
}

/// How many times the rate the loader may send while it catches up after a stall: 1 to 1000.
pub type CatchUp = Factor<1_000, 1_000_000>;

/// Sales per second, from one in twelve days. At the most, the spacing of due times is the microsecond in which they are
/// written.
const PER_SECOND: RangeInclusive<f64> = 1e-6..=1e6;

impl Rate {
    /// Nothing is due.
    pub const PAUSE: Self = Self { micro: 0 };

    /// So many sales per second, if that is a rate that can be configured.
    pub fn per_second_of(number: f64) -> Option<Self> {
        scaled(number, &PER_SECOND, 1e6).map(|micro| Self { micro })
    }

    /// So many sales per million seconds.
    pub(crate) const fn of_micro(micro: u64) -> Self {
        Self { micro }
    }

    /// Sales per million seconds: a whole number.
    pub const fn micro(self) -> u64 {
        self.micro
    }

    /// Sales per second.
    pub fn per_second(self) -> f64 {
        self.micro as f64 / 1e6
    }
}

impl<const LEAST: u64, const MOST: u64> Factor<LEAST, MOST> {
    /// A factor that is known when the program is compiled.
    pub const fn of<const THOUSANDTHS: u64>() -> Self {
        const { assert!(LEAST <= THOUSANDTHS && THOUSANDTHS <= MOST) }
        Self { thousandths: THOUSANDTHS }
    }

    /// So many times the rate: sales per million seconds.
    pub fn micro(self, rate: Rate) -> u64 {
        self.times(rate.micro)
    }

    /// The factor times `number`.
    pub const fn times(self, number: u64) -> u64 {
        number.saturating_mul(self.thousandths) / 1000
    }
}

impl fmt::Debug for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", self.per_second())
    }
}

impl<const LEAST: u64, const MOST: u64> fmt::Debug for Factor<LEAST, MOST> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x", self.thousandths as f64 / 1e3)
    }
}

impl Default for Rate {
    fn default() -> Self {
        Self { micro: 100_000_000 }
    }
}

impl Default for CatchUp {
    fn default() -> Self {
        Self::of::<2_000>()
    }
}

/// A number that can't be used; the text names it and what to use instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable(String);

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unusable {}

impl FromStr for Rate {
    type Err = Unusable;

    fn from_str(text: &str) -> Result<Self, Unusable> {
        number(text).and_then(Self::per_second_of).ok_or_else(|| {
            Unusable(format!("{text:?} is not a rate: use sales per second from 0.000001 to 1000000, such as 100"))
        })
    }
}

impl<const LEAST: u64, const MOST: u64> FromStr for Factor<LEAST, MOST> {
    type Err = Unusable;

    fn from_str(text: &str) -> Result<Self, Unusable> {
        let [least, most] = [LEAST, MOST].map(|thousandths| thousandths as f64 / 1e3);
        let thousandths = number(text).and_then(|number| scaled(number, &(least..=most), 1e3));
        let wrong = || Unusable(format!("{text:?} is not a factor: use a number from {least} to {most}"));
        Ok(Self { thousandths: thousandths.ok_or_else(wrong)? })
    }
}

impl TryFrom<String> for Rate {
    type Error = Unusable;

    fn try_from(text: String) -> Result<Self, Unusable> {
        text.parse()
    }
}

impl<const LEAST: u64, const MOST: u64> TryFrom<String> for Factor<LEAST, MOST> {
    type Error = Unusable;

    fn try_from(text: String) -> Result<Self, Unusable> {
        text.parse()
    }
}

fn number(text: &str) -> Option<f64> {
    text.trim().parse().ok()
}

/// The number times `scale`, rounded, if it is within `limits`.
fn scaled(number: f64, limits: &RangeInclusive<f64>, scale: f64) -> Option<u64> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within limits: 0 to 1e12")]
    limits.contains(&number).then(|| (number * scale).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_kept_exactly() {
        for (text, micro) in [("0.1", 100_000), ("100", 100_000_000), ("1e6", 1_000_000_000_000), ("0.000001", 1)] {
            assert_eq!(text.parse::<Rate>().unwrap().micro(), micro, "{text}");
        }
    }

    #[test]
    fn an_unusable_rate_is_named_with_the_fix() {
        for text in ["0", "-1", "NaN", "inf", "1000001", "0.0000009", "0.0000001", "fast", ""] {
            let error = text.parse::<Rate>().unwrap_err().to_string();
            assert!(error.contains(&format!("{text:?}")) && error.contains("from 0.000001 to 1000000"), "{error}");
        }
    }

    #[test]
    fn catching_up_is_never_slower_than_the_rate() {
        for text in ["0.99", "0", "-2", "1001", "twice"] {
            let error = text.parse::<CatchUp>().unwrap_err().to_string();
            assert!(error.contains("from 1 to 1000"), "{error}");
        }
        assert_eq!("1.5".parse::<CatchUp>().unwrap().micro("0.1".parse().unwrap()), 150_000);
    }
}
