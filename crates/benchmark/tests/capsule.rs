//! Capsules on their way: the schema that is published, versions, size.

mod sample;

use benchmark::capsule::{Capsule, SCHEMA, bounded};
use benchmark::mode::Mode;
use sample::{capsule, jumped};
use serde_json::{Value, json};

/// Checks a value against the part of JSON Schema that ours uses; a word that this does not know fails.
fn check(schema: &Value, root: &Value, value: &Value, at: &str) -> Result<(), String> {
    for (word, rule) in schema.as_object().unwrap() {
        let wrong = |what: &str| Err(format!("{at}: {what}: {value}"));
        match word.as_str() {
            "$schema" | "title" | "description" | "format" | "default" | "$defs" | "required" => {}
            "$ref" => check(&root["$defs"][rule.as_str().unwrap().trim_start_matches("#/$defs/")], root, value, at)?,
            // Ours are names, of which one fits at most.
            "anyOf" | "oneOf" => {
                let each: Vec<_> = rule.as_array().unwrap().iter().map(|rule| check(rule, root, value, at)).collect();
                if each.iter().all(Result::is_err) {
                    return each.into_iter().next().unwrap();
                }
            }
            "const" => {
                if rule != value {
                    return wrong("is not the constant");
                }
            }
            "enum" => {
                if !rule.as_array().unwrap().contains(value) {
                    return wrong("is not one of the names");
                }
            }
            "minimum" => {
                if value.as_f64().is_some_and(|n| n < rule.as_f64().unwrap()) {
                    return wrong("is too small");
                }
            }
            "maximum" => {
                if value.as_f64().is_some_and(|n| n > rule.as_f64().unwrap()) {
                    return wrong("is too large");
                }
            }
            "minItems" | "maxItems" => {
                let n = value.as_array().map_or(0, Vec::len) as u64;
                let wanted = rule.as_u64().unwrap();
                if (word == "minItems" && n < wanted) || (word == "maxItems" && n > wanted) {
                    return wrong("has not the right number of items");
                }
            }
            "prefixItems" => {
                for (n, (rule, item)) in
                    rule.as_array().unwrap().iter().zip(value.as_array().into_iter().flatten()).enumerate()
                {
                    check(rule, root, item, &format!("{at}[{n}]"))?;
                }
            }
            "type" => {
                let types: Vec<&str> = rule
                    .as_array()
                    .map_or_else(|| vec![rule.as_str().unwrap()], |all| all.iter().filter_map(Value::as_str).collect());
                let fits = types.iter().any(|name| match *name {
                    "object" => value.is_object(),
                    "array" => value.is_array(),
                    "string" => value.is_string(),
                    "boolean" => value.is_boolean(),
                    "number" => value.is_number(),
                    "integer" => value.is_i64() || value.is_u64(),
                    "null" => value.is_null(),
                    other => panic!("type {other}"),
                });
                if !fits {
                    return wrong(&format!("is not {}", types.join(" or ")));
                }
            }
            "items" => {
                for (n, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(rule, root, item, &format!("{at}[{n}]"))?;
                }
            }
            "properties" => {
                let Some(object) = value.as_object() else { continue };
                for name in schema["required"].as_array().unwrap().iter().filter_map(Value::as_str) {
                    if !object.contains_key(name) {
                        return wrong(&format!("lacks {name}"));
                    }
                }
                for (name, value) in object {
                    let rule = rule.get(name).ok_or_else(|| format!("{at}.{name} is not in the schema"))?;
                    check(rule, root, value, &format!("{at}.{name}"))?;
                }
            }
            "additionalProperties" if rule.is_boolean() => {}
            "additionalProperties" => {
                for (name, value) in value.as_object().into_iter().flatten() {
                    check(rule, root, value, &format!("{at}.{name}"))?;
                }
            }
            other => panic!("the schema uses {other}, which this test does not know"),
        }
    }
    Ok(())
}

fn as_published(capsule: &Capsule) -> Result<(), String> {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    check(&schema, &schema, &serde_json::to_value(capsule).unwrap(), "capsule")
}

#[test]
fn a_capsule_is_what_the_published_schema_describes() {
    for (mode, target) in [(Mode::Smoke, None), (Mode::Default, Some(2_000.0))] {
        as_published(&capsule(mode, target)).unwrap();
    }
    for seconds in [Some(85.0), None] {
        as_published(&jumped(seconds)).unwrap();
    }
    let mut empty = capsule(Mode::Smoke, None);
    (empty.found, empty.audit, empty.diagnosis, empty.evidence, empty.calibrated) = (None, None, None, None, None);
    as_published(&empty).unwrap();
}

#[test]
fn the_schema_is_closed() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let mut value = serde_json::to_value(capsule(Mode::Smoke, None)).unwrap();
    value["steps"][0]["judged"]["surprise"] = json!(1);
    let wrong = check(&schema, &schema, &value, "capsule").unwrap_err();
    assert_eq!(wrong, "capsule.steps[0].judged.surprise is not in the schema");
    value = serde_json::to_value(capsule(Mode::Smoke, None)).unwrap();
    value["verdict"] = json!("MAYBE");
    assert!(check(&schema, &schema, &value, "capsule").is_err());
}

#[test]
fn a_field_that_nobody_knows_is_refused() {
    let mut value = serde_json::to_value(capsule(Mode::Smoke, None)).unwrap();
    value["steps"][0]["judged"]["latencies"][0]["percentiles"]["surprise"] = json!(1);
    let error = format!("{:#}", Capsule::parse(&value.to_string()).unwrap_err());
    assert!(error.contains("unknown field `surprise`"), "{error}");
}

/// Without the last bits of numbers, which a reader of JSON may round.
fn rounded(value: Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => json!(format!("{:.9e}", number.as_f64().unwrap())),
        Value::Array(items) => items.into_iter().map(rounded).collect(),
        Value::Object(fields) => {
            fields.into_iter().map(|(name, value)| (name, rounded(value))).collect::<serde_json::Map<_, _>>().into()
        }
        other => other,
    }
}

#[test]
fn a_capsule_survives_its_journey() {
    let before = capsule(Mode::Default, Some(2_000.0));
    let after = Capsule::parse(&serde_json::to_string(&before).unwrap()).unwrap();
    let rounded = |capsule: &Capsule| rounded(serde_json::to_value(capsule).unwrap());
    assert_eq!(rounded(&after), rounded(&before));
    assert_eq!(after.steps[0].judged.latencies[0].histogram, before.steps[0].judged.latencies[0].histogram);
}

#[test]
fn its_size_follows_time_and_not_sales() {
    let size = serde_json::to_string(&capsule(Mode::Default, None)).unwrap().len();
    assert!(size < 600_000, "{size}");
    let points = vec![benchmark::capsule::Point { at: 0.0, lag: Some(7), ..Default::default() }; 5_000];
    let bounded = bounded(&points);
    assert!(bounded.len() <= 120 && bounded[0].lag == Some(7), "{}", bounded.len());
}

#[test]
fn another_version_or_something_else_is_named() {
    let error = |text: &str| format!("{:#}", Capsule::parse(text).unwrap_err());
    let older = error(r#"{"format": "kapture-capsule", "version": 0, "kapture": "0.0.9"}"#);
    assert_eq!(
        older,
        "it is a capsule of version 0, written by Kapture 0.0.9, and this program reads version 1: use the kapture-benchmark that \
         wrote it"
    );
    assert_eq!(
        error(r#"{"format": "k6", "version": 1}"#),
        "it is not a capsule: it is of the format \"k6\", where \"kapture-capsule\" is wanted"
    );
    assert!(error("{}").contains("it has no format"));
    assert!(error("[]").contains("it is not a JSON object"));
    assert_eq!(
        error("<!doctype html>"),
        "it is not JSON: of a report's page, the capsule is the text of the element #capsule"
    );
    let mut value = serde_json::to_value(capsule(Mode::Smoke, None)).unwrap();
    value["repeats"] = json!("many");
    let changed = error(&value.to_string());
    assert!(
        changed.contains("damaged or was changed") && changed.contains("invalid type: string \"many\""),
        "{changed}"
    );
}
