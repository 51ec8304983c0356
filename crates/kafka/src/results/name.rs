//! The name of a run.

use std::fmt;

use serde::Deserialize;

/// A name of at most 253 letters, digits, `-`, `.` and `_`, the first of which is a letter or a digit. That of every Job is
/// one. It is a key in Kafka, a part of a path and a text in pages, in none of which it can mean anything else.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct RunName(String);

/// The most that Kubernetes allows.
const LONGEST: usize = 253;

impl RunName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for RunName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let is_in = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric());
        if begins && name.len() <= LONGEST && name.chars().all(is_in) {
            return Ok(Self(name));
        }
        let shown: String = name.chars().take(60).collect();
        Err(format!(
            "{shown:?} is not a name of a run: use at most {LONGEST} letters, digits, '-', '.' and '_', such as run-1"
        ))
    }
}

impl fmt::Display for RunName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_job_is_one_and_what_could_be_a_path_or_markup_is_not() {
        for name in ["run-1", "a", "7", "kapture-benchmark-29401920", "Night_2.b", &"x".repeat(253)] {
            assert_eq!(RunName::try_from(name.to_owned()).unwrap().as_str(), name);
        }
        let hostile =
            ["", ".", "..", "../state", "a/b", "a\\b", "<script>", "a b", "a%2fb", "ü", "a\nb", "-a", ".html"];
        for name in hostile.map(str::to_owned).into_iter().chain(["x".repeat(254)]) {
            let why = RunName::try_from(name.clone()).unwrap_err();
            assert!(why.contains("is not a name of a run: use at most 253"), "{name}: {why}");
            assert!(why.len() < 400 && !why.contains('\n'), "{why}");
        }
    }
}
