//! Passwords, as Secrets hold them.

use std::fmt;
use std::hint::black_box;

use serde::Deserialize;

/// A password, logged as `***`.
///
/// Line breaks at its end are dropped, as the servers' start scripts do: `echo` and most editors leave one in a Secret.
#[derive(Clone, Deserialize, PartialEq, Eq)]
#[serde(try_from = "String")]
pub struct Secret(String);

impl Secret {
    /// Wraps a value that must not be logged.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// Returns the value itself, for the one call that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether this is it. Takes equally long wherever the two differ, so that the time tells nothing of the value.
    pub fn is(&self, given: &[u8]) -> bool {
        let secret = self.0.as_bytes();
        let differences = given.iter().enumerate().fold(0, |differences, (at, byte)| {
            // Wraps around, so that the time depends on what was given alone.
            black_box(differences | (byte ^ secret.get(at % secret.len().max(1)).unwrap_or(&0)))
        });
        black_box(differences) == 0 && given.len() == secret.len()
    }
}

impl TryFrom<String> for Secret {
    type Error = &'static str;

    /// The error must not show the value.
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let mut value = text.as_str();
        while let Some(rest) = value.strip_suffix('\n') {
            value = rest.strip_suffix('\r').unwrap_or(rest);
        }
        if value.is_empty() {
            return Err("the password is empty: put one into the Secret, or leave the variable out");
        }
        if value.contains(char::is_control) {
            return Err(
                "the password has a line break or another control character in it: put a password of one line into \
                 the Secret",
            );
        }
        Ok(Self(value.to_owned()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<String, &'static str> {
        Secret::try_from(text.to_owned()).map(|secret| secret.expose().to_owned())
    }

    #[test]
    fn a_secret_is_not_shown() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "***");
    }

    #[test]
    fn only_the_whole_secret_is_it() {
        let secret = Secret::new("hunter2");
        assert!(secret.is(b"hunter2"));
        for other in ["", "h", "hunter", "hunter3", "Hunter2", "hunter22", "hunter2hunter2", "hunter2\n"] {
            assert!(!secret.is(other.as_bytes()), "{other:?}");
        }
        assert!(!Secret::new("").is(b"x"));
    }

    #[test]
    fn line_breaks_at_the_end_are_no_part_of_a_password() {
        for text in ["hunter2", "hunter2\n", "hunter2\r\n", "hunter2\n\n", "hunter2\r\n\n"] {
            assert_eq!(parse(text).unwrap(), "hunter2", "{text:?}");
        }
    }

    #[test]
    fn every_other_character_is() {
        for text in [" a b ", "\"quoted\"", "it's", "back\\slash", "$HOME", "%41", "é€", "a=b;c,d#e"] {
            assert_eq!(parse(text).unwrap(), text);
        }
    }

    #[test]
    fn a_password_that_is_empty_or_of_several_lines_is_refused() {
        for text in ["", "\n", "\r\n"] {
            assert!(parse(text).unwrap_err().contains("is empty"), "{text:?}");
        }
        for text in ["one\ntwo", "one\r\ntwo\n", "one\r", "\tone", "one\u{7f}"] {
            assert!(parse(text).unwrap_err().contains("control character"), "{text:?}");
        }
    }
}
