//! Configuration from the environment, with errors that name the variable to mend.

use std::fmt;

use anyhow::{Context, bail};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Reads the variables that begin with `prefix` into `T`.
///
/// The error names every variable that is wrong, in full, with what is wrong about it:
/// `LOADER_RATE: invalid float literal while parsing value 'abc'`.
pub fn from_env<T: DeserializeOwned>(prefix: &str) -> anyhow::Result<T> {
    let mut variables = Vec::new();
    for (name, value) in std::env::vars_os() {
        let Some(name) = name.to_str().filter(|name| name.starts_with(prefix)) else { continue };
        let value = value.to_str().with_context(|| format!("{name}: is not UTF-8"))?;
        variables.push((name.to_owned(), value.to_owned()));
    }
    from_variables(prefix, &variables)
}

/// A password: what is logged of it is `***`.
#[derive(Clone, Deserialize, PartialEq, Eq)]
#[serde(transparent)]
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
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

fn from_variables<T: DeserializeOwned>(prefix: &str, variables: &[(String, String)]) -> anyhow::Result<T> {
    let error = match envy::prefixed(prefix).from_iter(variables.iter().cloned()) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    let mut wrong: Vec<String> = variables.iter().filter_map(|variable| alone::<T>(prefix, variable)).collect();
    wrong.sort();
    if let envy::Error::MissingValue(field) = error {
        wrong.push(format!("{prefix}{} is not set", field.to_uppercase()));
    } else if wrong.is_empty() {
        bail!("reading {prefix}*: {error}");
    }
    bail!("{}", wrong.join("; "))
}

/// Says what is wrong with one variable, by parsing it alone: serde's own text seldom names it.
fn alone<T: DeserializeOwned>(prefix: &str, variable: &(String, String)) -> Option<String> {
    match envy::prefixed(prefix).from_iter::<_, T>([variable.clone()]) {
        // Variables are read before what is missing is noticed: this one was fine.
        Ok(_) | Err(envy::Error::MissingValue(_)) => None,
        Err(envy::Error::Custom(text)) => Some(explain(prefix, &variable.0, &text)),
    }
}

fn explain(prefix: &str, name: &str, text: &str) -> String {
    if text.starts_with("unknown field") {
        // The text is: unknown field `a`, expected one of `b`, `c`.
        let known: Vec<String> =
            text.split('`').skip(3).step_by(2).map(|field| format!("{prefix}{}", field.to_uppercase())).collect();
        return format!("{name} is not known; known: {}", known.join(", "));
    }
    let text = text.split(" provided by ").next().unwrap_or(text);
    format!("{name}: {text}")
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only the errors are looked at")]
    struct Loader {
        rate: f64,
        #[serde(default)]
        stores: Option<NonZeroU32>,
        #[serde(default)]
        password: Option<Secret>,
    }

    fn error(variables: &[(&str, &str)]) -> String {
        read(variables).unwrap_err().to_string()
    }

    fn read(variables: &[(&str, &str)]) -> anyhow::Result<Loader> {
        let variables: Vec<_> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        from_variables("LOADER_", &variables)
    }

    #[test]
    fn variables_become_fields() {
        let loader = read(&[("LOADER_RATE", "10.5"), ("LOADER_STORES", "7"), ("OTHER", "x")]).unwrap();
        assert!((loader.rate - 10.5).abs() < f64::EPSILON);
        assert_eq!(loader.stores, NonZeroU32::new(7));
    }

    #[test]
    fn a_wrong_value_is_named_with_its_variable() {
        assert_eq!(error(&[("LOADER_RATE", "abc")]), "LOADER_RATE: invalid float literal while parsing value 'abc'");
        assert_eq!(
            error(&[("LOADER_RATE", "1"), ("LOADER_STORES", "0")]),
            "LOADER_STORES: invalid value: integer `0`, expected a nonzero u32"
        );
    }

    #[test]
    fn every_wrong_variable_is_named_at_once() {
        assert_eq!(
            error(&[("LOADER_STORES", "-1"), ("LOADER_RATE", "")]),
            "LOADER_RATE: cannot parse float from empty string while parsing value ''; \
             LOADER_STORES: invalid digit found in string while parsing value '-1'"
        );
    }

    #[test]
    fn an_unknown_variable_is_answered_with_the_known_ones() {
        assert_eq!(
            error(&[("LOADER_RTAE", "1")]),
            "LOADER_RTAE is not known; known: LOADER_RATE, LOADER_STORES, LOADER_PASSWORD"
        );
    }

    #[test]
    fn a_missing_variable_is_named() {
        assert_eq!(error(&[]), "LOADER_RATE is not set");
    }

    #[test]
    fn a_secret_is_not_shown() {
        let loader = read(&[("LOADER_RATE", "1"), ("LOADER_PASSWORD", "hunter2")]).unwrap();
        assert!(!format!("{loader:?}").contains("hunter2"), "{loader:?}");
        assert_eq!(loader.password.unwrap().expose(), "hunter2");
    }
}
