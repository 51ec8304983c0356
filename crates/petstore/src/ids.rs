//! The names of sales and blocks.

use std::fmt;
use std::str::FromStr;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Names one sale, anywhere in the pipeline, for ever. Its text is `9f3a1c22/3/17/203`.
///
/// Ids are ordered as their sales were generated: by run, loader, block, index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SaleId {
    /// The random number that a loader took when it began with these parameters on this Kafka.
    pub run: u32,
    /// The loader's ordinal.
    pub loader: u32,
    /// The block's number, counted from 0 by each loader.
    pub block: u32,
    /// The position within the block, in order of simulated time.
    pub index: u32,
}

/// Names one block: all that one loader generates at once. Its text is `9f3a1c22/3/17`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockId {
    /// The random number that a loader took when it began with these parameters on this Kafka.
    pub run: u32,
    /// The loader's ordinal.
    pub loader: u32,
    /// The block's number, counted from 0 by each loader.
    pub block: u32,
}

/// A text that isn't an id in the one way that ids are written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a {kind}: use the form {example}")]
pub struct ParseIdError {
    text: String,
    kind: &'static str,
    example: &'static str,
}

impl SaleId {
    const KIND: &str = "sale id";
    const EXAMPLE: &str = "8 hexadecimal digits and three numbers, such as 9f3a1c22/3/17/203";

    /// Returns the block this sale belongs to.
    #[must_use]
    pub const fn block_id(self) -> BlockId {
        BlockId { run: self.run, loader: self.loader, block: self.block }
    }

    fn parse(text: &str) -> Option<Self> {
        let (block, index) = text.rsplit_once('/')?;
        Some(BlockId::parse(block)?.sale(number(index)?))
    }
}

impl BlockId {
    const KIND: &str = "block id";
    const EXAMPLE: &str = "8 hexadecimal digits and two numbers, such as 9f3a1c22/3/17";

    /// Returns the id of the sale at `index` of this block.
    #[must_use]
    pub const fn sale(self, index: u32) -> SaleId {
        SaleId { run: self.run, loader: self.loader, block: self.block, index }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('/');
        let (run, loader, block) = (parts.next()?, parts.next()?, parts.next()?);
        let id = Self { run: hexadecimal(run)?, loader: number(loader)?, block: number(block)? };
        parts.next().is_none().then_some(id)
    }
}

/// Parses exactly 8 lower-case hexadecimal digits.
fn hexadecimal(text: &str) -> Option<u32> {
    let digits = text.len() == 8 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    digits.then(|| u32::from_str_radix(text, 16).ok()).flatten()
}

/// Parses a decimal number written without sign or leading zeros: an id must have one text only,
/// since texts are compared, hashed and used as keys.
fn number(text: &str) -> Option<u32> {
    let canonical = text == "0" || text.starts_with(|first: char| matches!(first, '1'..='9'));
    canonical.then(|| text.parse().ok()).flatten()
}

impl fmt::Display for SaleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.block_id(), self.index)
    }
}

impl fmt::Display for BlockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}/{}/{}", self.run, self.loader, self.block)
    }
}

/// Text and serde are the same for both kinds of id.
macro_rules! textual {
    ($id:ident) => {
        impl FromStr for $id {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::parse(text).ok_or_else(|| ParseIdError {
                    text: text.chars().take(80).collect(),
                    kind: Self::KIND,
                    example: Self::EXAMPLE,
                })
            }
        }

        impl Serialize for $id {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $id {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;

                impl Visitor<'_> for Text {
                    type Value = $id;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        write!(f, "a {}: {}", $id::KIND, $id::EXAMPLE)
                    }

                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$id, E> {
                        text.parse().map_err(E::custom)
                    }
                }

                deserializer.deserialize_str(Text)
            }
        }
    };
}

textual!(SaleId);
textual!(BlockId);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_sale_id_survives_its_text(run: u32, loader: u32, block: u32, index: u32) {
            let id = SaleId { run, loader, block, index };
            prop_assert_eq!(id.to_string().parse(), Ok(id));
            let json = serde_json::to_string(&id).unwrap();
            prop_assert_eq!(serde_json::from_str::<SaleId>(&json).unwrap(), id);
            prop_assert_eq!(id.block_id().sale(index), id);
        }

        #[test]
        fn a_block_id_survives_its_text(run: u32, loader: u32, block: u32) {
            let id = BlockId { run, loader, block };
            prop_assert_eq!(id.to_string().parse(), Ok(id));
            let json = serde_json::to_string(&id).unwrap();
            prop_assert_eq!(serde_json::from_str::<BlockId>(&json).unwrap(), id);
        }

        #[test]
        fn what_parses_is_written_the_one_way(text in "[0-9a-f+ ]{6,9}(/[+0-9]{1,11}){2,4}") {
            if let Ok(id) = text.parse::<SaleId>() {
                prop_assert_eq!(id.to_string(), text.as_str());
            }
            if let Ok(id) = text.parse::<BlockId>() {
                prop_assert_eq!(id.to_string(), text.as_str());
            }
        }
    }

    #[test]
    fn the_text_of_an_id_is_stable() {
        let id = SaleId { run: 0x9f3a_1c22, loader: 3, block: 17, index: 203 };
        assert_eq!(id.to_string(), "9f3a1c22/3/17/203");
        assert_eq!(id.block_id().to_string(), "9f3a1c22/3/17");
        assert_eq!(SaleId { run: 10, ..id }.to_string(), "0000000a/3/17/203");
    }

    #[test]
    fn other_spellings_of_an_id_are_refused() {
        for text in [
            "",
            "/",
            "///",
            "9f3a1c22",
            "9f3a1c22/3/17",
            "9f3a1c22/3/17/203/4",
            "9F3A1C22/3/17/203",
            "f3a1c22/3/17/203",
            "+f3a1c22/3/17/203",
            "9f3a1c22/03/17/203",
            "9f3a1c22/+3/17/203",
            "9f3a1c22/3/17/",
            "9f3a1c22/3/17/-1",
            "9f3a1c22/3/17/4294967296",
            "9f3a1c22/3/17/ 203",
            "9f3a1c22//17/203",
        ] {
            let error = text.parse::<SaleId>().unwrap_err().to_string();
            assert!(error.contains("9f3a1c22/3/17/203"), "{text}: {error}");
        }
        assert!("9f3a1c22/3".parse::<BlockId>().is_err());
        assert!("9f3a1c22/3/17/203".parse::<BlockId>().is_err());
    }
}
