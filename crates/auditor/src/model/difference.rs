//! Says in which field two things differ, for people.

use serde::Serialize;
use serde_json::Value;

/// What is shown of a field's value.
const SHOWN: usize = 40;

/// The first field that differs, with what was expected and what was found, shortened: `/cents: 1995, found 5`.
pub(crate) fn difference(expected: &impl Serialize, found: &impl Serialize) -> String {
    let (Ok(expected), Ok(found)) = (serde_json::to_value(expected), serde_json::to_value(found)) else {
        return String::new();
    };
    walk(&mut String::new(), &expected, &found).unwrap_or_default()
}

fn walk(path: &mut String, expected: &Value, found: &Value) -> Option<String> {
    if expected == found {
        return None;
    }
    let below = path.len();
    let mut descend = |name: &str, expected: &Value, found: &Value| {
        path.truncate(below);
        path.push('/');
        path.push_str(name);
        walk(path, expected, found)
    };
    let inner = match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => expected
            .iter()
            .find_map(|(name, expected)| descend(name, expected, found.get(name).unwrap_or(&Value::Null))),
        (Value::Array(expected), Value::Array(found)) if expected.len() == found.len() => expected
            .iter()
            .zip(found)
            .enumerate()
            .find_map(|(at, (expected, found))| descend(&at.to_string(), expected, found)),
        (Value::Array(expected), Value::Array(found)) => {
            return Some(format!("{path}: {} entries, found {}", expected.len(), found.len()));
        }
        _ => None,
    };
    inner.or_else(|| {
        path.truncate(below);
        Some(format!("{path}: {}, found {}", short(expected), short(found)))
    })
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_first_field_that_differs_is_named_with_both_values() {
        let sale = json!({"cents": 5, "items": [{"brand": "a"}, {"brand": "b"}], "store": {"id": 7}});
        let changed = |path: &str, value: Value| {
            let mut changed = sale.clone();
            *changed.pointer_mut(path).unwrap() = value;
            difference(&sale, &changed)
        };
        assert_eq!(changed("/cents", 6.into()), "/cents: 5, found 6");
        assert_eq!(changed("/items/1/brand", "c".into()), "/items/1/brand: \"b\", found \"c\"");
        assert_eq!(changed("/items", json!([])), "/items: 2 entries, found 0");
        assert_eq!(changed("/store", Value::Null), "/store: {\"id\":7}, found null");
        assert!(changed("/store/id", "x".repeat(99).into()).ends_with("xx…"));
        assert_eq!(difference(&sale, &sale), "");
    }
}
