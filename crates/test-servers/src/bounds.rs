//! The bounds of values, which the chart's tests read as well: `charts/kapture/tests/bounds.json`.
//!
//! A program must accept what the chart accepts, and the other way round; so each bound is in one table, and both sides are
//! tested against it. A row is for one value of the chart and the variable that it becomes.
//!
//! Defaults are the chart's. Where a program has one as well, so that it can be started by hand, it must be the same.

use std::collections::BTreeMap;
use std::fmt::Debug;

use serde::Deserialize;
use serde_json::Value;

const TABLE: &str = include_str!("../../../charts/kapture/tests/bounds.json");

/// The chart's own values.
const DEFAULTS: &str = include_str!("../../../charts/kapture/files/defaults.json");

/// Started by hand, a program expects one broker, the chart a Kafka of several.
const OF_SEVERAL_BROKERS: [&str; 2] = ["KAFKA_REPLICATION_FACTOR", "KAFKA_MIN_INSYNC_REPLICAS"];

/// The prefixes whose rows are checked, by the tests of the crates that read them.
const READ: [&str; 7] = ["LOADER_", "ETL_", "KAFKA_", "MISBEHAVIOUR_", "REDIS_", "POSTGRES_", "BENCHMARK_"];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    /// The path of the chart's value.
    value: String,
    /// The variable that the program gets.
    variable: String,
    /// Further values that Helm needs.
    #[serde(default)]
    #[expect(dead_code, reason = "for the chart's tests")]
    with: Vec<String>,
    /// Further variables that the program needs.
    #[serde(default)]
    env: BTreeMap<String, String>,
    /// What is passed to Helm, and the resulting variable.
    accepted: Vec<(String, String)>,
    /// What both must refuse.
    refused: Vec<String>,
}

/// Reads each accepted and each refused text of the variables that begin with `prefix`, as a program does.
///
/// # Panics
///
/// If `read` contradicts the table or has another default than the chart, if no row is for `prefix`, or if a row is for a
/// variable that no program reads.
pub fn check<T: Debug>(prefix: &str, read: impl Fn(Box<dyn Iterator<Item = (String, String)>>) -> anyhow::Result<T>) {
    let rows: Vec<Row> = serde_json::from_str(TABLE).expect("bounds.json holds rows");
    for Row { variable, .. } in &rows {
        assert!(READ.iter().any(|prefix| variable.starts_with(prefix)), "{variable}: no crate reads it, see {READ:?}");
    }
    let own: Vec<&Row> = rows.iter().filter(|row| row.variable.starts_with(prefix)).collect();
    assert!(!own.is_empty(), "no row is for {prefix}*");
    let defaults: Value = serde_json::from_str(DEFAULTS).expect("defaults.json holds the chart's values");
    for Row { value, variable, env, accepted, refused, .. } in own {
        let with = |text: Option<&str>| {
            let own = text.map(|text| (variable.clone(), text.to_owned()));
            let variables: Vec<_> = env.clone().into_iter().chain(own).collect();
            read(Box::new(variables.into_iter()))
        };
        let read = |text: &str| with(Some(text));
        // An error: the program has no default.
        if let (Ok(own), Some(default)) = (with(None), text_at(&defaults, value))
            && !OF_SEVERAL_BROKERS.contains(&variable.as_str())
        {
            let given =
                read(&default).unwrap_or_else(|err| panic!("{value}={default}, the default, is refused: {err:#}"));
            let (own, given) = (format!("{own:?}"), format!("{given:?}"));
            assert_eq!(own, given, "{variable} has another default than {value}, which is {default}");
        }
        for (typed, text) in accepted {
            if let Err(err) = read(text) {
                panic!("{value}={typed} becomes {variable}={text}, which is refused: {err:#}");
            }
        }
        for text in refused {
            match read(text) {
                Ok(config) => panic!("{variable}={text} must be refused, and is read as {config:?}"),
                Err(err) => {
                    let err = format!("{err:#}");
                    assert!(err.contains(variable.as_str()), "{variable}={text} is refused without its name: {err}");
                }
            }
        }
    }
}

/// A value as a variable has it; none if it is empty or not a single one.
fn text_at(values: &Value, path: &str) -> Option<String> {
    match values.pointer(&format!("/{}", path.replace('.', "/")))? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        number @ Value::Number(_) => Some(number.to_string()),
        _ => None,
    }
}
