//! Configuration from the environment, with errors that name the variable to correct.

use std::ffi::OsString;

use anyhow::{Context, bail};
use serde::de::DeserializeOwned;

/// Reads the variables of this process that begin with `prefix` into `T`; see [`Environment::read`].
pub fn from_env<T: DeserializeOwned>(prefix: &str) -> anyhow::Result<T> {
    Environment::of_process().read(prefix)
}

/// The variables that configuration is read from: those of the process, or a test's own.
#[derive(Clone, Debug)]
pub struct Environment(Vec<(OsString, OsString)>);

impl Environment {
    /// The variables of this process.
    pub fn of_process() -> Self {
        Self(std::env::vars_os().collect())
    }

    /// Reads the variables that begin with `prefix` into `T`.
    ///
    /// The error names every variable that is wrong, in full, with what is wrong about it:
    /// `LOADER_STORES: 0 is out of range: set a whole number from 1 to 100000`.
    pub fn read<T: DeserializeOwned>(&self, prefix: &str) -> anyhow::Result<T> {
        let mut variables = Vec::new();
        for (name, value) in &self.0 {
            let Some(name) = name.to_str().filter(|name| name.starts_with(prefix)) else { continue };
            let value = value.to_str().with_context(|| format!("{name}: is not UTF-8"))?;
            variables.push((name.to_owned(), value.to_owned()));
        }
        from_variables(prefix, &variables)
    }
}

impl<N: Into<OsString>, V: Into<OsString>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
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

/// Describes what is wrong with one variable, by parsing it alone: serde's own message seldom names it.
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

    use serde::Deserialize;

    use super::*;
    use crate::Secret;

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
        variables.iter().copied().collect::<Environment>().read("LOADER_")
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
    fn a_password_that_is_refused_is_named_and_not_shown() {
        let error = error(&[("LOADER_RATE", "1"), ("LOADER_PASSWORD", "hunter2\nhunter3")]);
        assert!(error.starts_with("LOADER_PASSWORD: the password has a line break"), "{error}");
        assert!(!error.contains("hunter"), "{error}");
    }

    #[test]
    fn a_missing_variable_is_named() {
        assert_eq!(error(&[]), "LOADER_RATE is not set");
    }
}
