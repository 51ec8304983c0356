//! A sale in the body that it was read from, without a copy: what [`crate::Sale`] is when only the record is at hand.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::{Pets, SaleId, State};

/// A valid sale in the body that it was read from. Text is borrowed from there unless it has escapes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SaleRef<'a> {
    /// As in [`crate::Sale`].
    pub id: SaleId,
    /// As in [`crate::Sale`].
    pub time: u64,
    /// As in [`crate::Sale`].
    #[serde(borrow)]
    pub store: StoreRef<'a>,
    /// As in [`crate::Sale`].
    #[serde(borrow)]
    pub customer: CustomerRef<'a>,
    /// As in [`crate::Sale`].
    pub items: Checked,
    /// As in [`crate::Sale`].
    pub cents: u32,
}

/// A [`crate::Store`] in the body that it was read from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct StoreRef<'a> {
    /// As in [`crate::Store`].
    pub id: u32,
    /// As in [`crate::Store`].
    #[serde(borrow)]
    pub name: Text<'a>,
    /// As in [`crate::Store`].
    pub state: State,
    /// As in [`crate::Store`].
    #[serde(borrow)]
    pub city: Text<'a>,
    /// As in [`crate::Store`].
    #[serde(borrow)]
    pub zip: Text<'a>,
}

/// A [`crate::Customer`] in the body that it was read from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct CustomerRef<'a> {
    /// As in [`crate::Customer`].
    pub id: u64,
    /// As in [`crate::Customer`].
    #[serde(borrow)]
    pub first: Text<'a>,
    /// As in [`crate::Customer`].
    #[serde(borrow)]
    pub last: Text<'a>,
    /// As in [`crate::Customer`].
    #[serde(borrow, default)]
    pub street: Text<'a>,
    /// As in [`crate::Customer`].
    pub state: State,
    /// As in [`crate::Customer`].
    #[serde(borrow)]
    pub city: Text<'a>,
    /// As in [`crate::Customer`].
    #[serde(borrow, default)]
    pub zip: Text<'a>,
    /// As in [`crate::Customer`].
    pub pets: Pets,
}

/// Items that were checked one by one, and not kept: a list would be an allocation for each sale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    /// How many there are.
    pub count: usize,
}

/// A text that every store can hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text<'a>(pub Cow<'a, str>);

/// Postgres can't store text with a zero byte.
pub(crate) fn can_be_stored(text: &str) -> bool {
    !text.contains('\0')
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            /// Text without escapes: JSON has no zero byte in it.
            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
                if can_be_stored(text) {
                    return Ok(Text(Cow::Owned(text.to_owned())));
                }
                Err(E::custom("a text with a zero byte can't be stored"))
            }
        }

        deserializer.deserialize_str(Reader)
    }
}

impl<'de> Deserialize<'de> for Checked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// As [`crate::Item`]: what is read of each.
        #[derive(Deserialize)]
        #[expect(dead_code, reason = "an item is only looked at")]
        struct ItemRef<'a> {
            #[serde(borrow)]
            category: Text<'a>,
            #[serde(borrow)]
            brand: Text<'a>,
            #[serde(borrow)]
            flavor: Text<'a>,
            #[serde(borrow)]
            size: Text<'a>,
            cents: u32,
        }

        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Checked;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of items")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Checked, A::Error> {
                let mut count = 0;
                while items.next_element::<ItemRef<'de>>()?.is_some() {
                    count += 1;
                }
                Ok(Checked { count })
            }
        }

        deserializer.deserialize_seq(Reader)
    }
}
