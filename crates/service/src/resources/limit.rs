//! A limit that may be absent, which is not the same as unknown.

use serde::{Deserialize, Deserializer, Serialize};

/// A limit. In a report `null` means that there is none; if it could not be read, the field is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Option<u64>", into = "Option<u64>")]
pub enum Limit {
    /// As much as the node has.
    Unlimited,
    /// So much.
    At(u64),
}

impl Limit {
    /// The limit, if there is one.
    pub fn value(self) -> Option<u64> {
        self.into()
    }

    /// For a field of a report that is there: without it serde would take `null` for an absent field.
    pub(super) fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Self>, D::Error> {
        Self::deserialize(deserializer).map(Some)
    }
}

impl From<Option<u64>> for Limit {
    fn from(value: Option<u64>) -> Self {
        value.map_or(Self::Unlimited, Self::At)
    }
}

impl From<Limit> for Option<u64> {
    fn from(limit: Limit) -> Self {
        match limit {
            Limit::Unlimited => None,
            Limit::At(value) => Some(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::Resources;

    use super::*;

    #[test]
    fn no_limit_and_an_unknown_limit_are_told_apart_on_the_way() {
        for (limit, json) in [
            (None, "{}"),
            (Some(Limit::Unlimited), r#"{"memory_limit_bytes":null}"#),
            (Some(Limit::At(u64::MAX)), r#"{"memory_limit_bytes":18446744073709551615}"#),
        ] {
            let resources = Resources { memory_limit_bytes: limit, ..Resources::default() };
            assert_eq!(serde_json::to_string(&resources).unwrap(), json);
            assert_eq!(serde_json::from_str::<Resources>(json).unwrap(), resources);
        }
    }
}
