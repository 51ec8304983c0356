//! Whole numbers with bounds.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// A number from `LEAST` to `MOST`, in steps of `STEP` counted from 0, as `T`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Whole<T, const LEAST: u64, const MOST: u64, const STEP: u64 = 1>(T);

/// A port of TCP.
pub type Port = Whole<u16, 1, 65_535>;

impl<T: Copy, const LEAST: u64, const MOST: u64, const STEP: u64> Whole<T, LEAST, MOST, STEP> {
    /// The number.
    pub fn get(self) -> T {
        self.0
    }
}

/// None, where that is within the bounds.
impl<T: Default, const MOST: u64, const STEP: u64> Default for Whole<T, 0, MOST, STEP> {
    fn default() -> Self {
        Self(T::default())
    }
}

impl<T: TryFrom<u64>, const LEAST: u64, const MOST: u64, const STEP: u64> TryFrom<u64> for Whole<T, LEAST, MOST, STEP> {
    type Error = String;

    fn try_from(number: u64) -> Result<Self, String> {
        if !(LEAST..=MOST).contains(&number) {
            return Err(format!("{number} is out of range: set {}", Self::range()));
        }
        if !number.is_multiple_of(STEP) {
            let next = number.next_multiple_of(STEP);
            return Err(format!("{number} is not a multiple of {STEP}: set {}, such as {next}", Self::range()));
        }
        T::try_from(number).map(Self).map_err(|_| format!("{number} is out of range"))
    }
}

impl<T: TryFrom<u64>, const LEAST: u64, const MOST: u64, const STEP: u64> TryFrom<&str>
    for Whole<T, LEAST, MOST, STEP>
{
    type Error = String;

    fn try_from(text: &str) -> Result<Self, String> {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(format!("{text:?} is not a whole number: set {}", Self::range()));
        }
        let number: u64 = text.parse().map_err(|_| format!("{text} is out of range: set {}", Self::range()))?;
        number.try_into()
    }
}

impl<T, const LEAST: u64, const MOST: u64, const STEP: u64> Whole<T, LEAST, MOST, STEP> {
    fn range() -> String {
        let kind = if STEP == 1 { "a whole number".to_owned() } else { format!("a multiple of {STEP}") };
        format!("{kind} from {LEAST} to {MOST}")
    }
}

impl<T: fmt::Display, const LEAST: u64, const MOST: u64, const STEP: u64> fmt::Display for Whole<T, LEAST, MOST, STEP> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: fmt::Debug, const LEAST: u64, const MOST: u64, const STEP: u64> fmt::Debug for Whole<T, LEAST, MOST, STEP> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// From a number, or from the text of a variable.
impl<'de, T: TryFrom<u64>, const LEAST: u64, const MOST: u64, const STEP: u64> Deserialize<'de>
    for Whole<T, LEAST, MOST, STEP>
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Number(PhantomData))
    }
}

struct Number<W>(PhantomData<W>);

impl<T: TryFrom<u64>, const LEAST: u64, const MOST: u64, const STEP: u64> Visitor<'_>
    for Number<Whole<T, LEAST, MOST, STEP>>
{
    type Value = Whole<T, LEAST, MOST, STEP>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Self::Value::range())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        number.try_into().map_err(E::custom)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        text.try_into().map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Customers = Whole<u32, 200, 10_000_000, 200>;

    #[test]
    fn both_bounds_are_in_range() {
        for (text, port) in [("1", 1), ("65535", 65_535), ("080", 80)] {
            assert_eq!(Port::try_from(text).unwrap().get(), port);
        }
        assert_eq!(serde_json::from_str::<Customers>("400").unwrap().get(), 400);
        assert_eq!(serde_json::from_str::<Customers>("\"400\"").unwrap().get(), 400);
    }

    #[test]
    fn what_is_refused_is_named_with_the_fix() {
        for (text, why) in [
            ("0", "0 is out of range: set a whole number from 1 to 65535"),
            ("65536", "65536 is out of range: set a whole number from 1 to 65535"),
            ("99999999999999999999", "99999999999999999999 is out of range: set a whole number from 1 to 65535"),
            ("-1", "\"-1\" is not a whole number: set a whole number from 1 to 65535"),
            ("+1", "\"+1\" is not a whole number: set a whole number from 1 to 65535"),
            ("", "\"\" is not a whole number: set a whole number from 1 to 65535"),
        ] {
            assert_eq!(Port::try_from(text), Err(why.to_owned()));
        }
        let why = "1001 is not a multiple of 200: set a multiple of 200 from 200 to 10000000, such as 1200";
        assert_eq!(Customers::try_from(1_001), Err(why.to_owned()));
    }
}
