//! The tables agree with each other, and `pipeline.json` agrees with them.

use std::path::Path;

use pipeline::{FLOW, PerStage, Place, Role, Stage, Topic};
use serde_json::{Value, json};

fn place(place: Place) -> Value {
    match place {
        Place::Topic(topic) => json!({ "topic": topic.name() }),
        Place::Store(store) => json!({ "store": store }),
    }
}

fn described() -> Value {
    let stages = FLOW.map(|row| {
        json!({
            "name": row.stage, "after": row.after, "component": row.component, "place": place(row.place),
            "group": row.role.map(Role::name), "positions_in": row.role.map(|role| role.topics().name()),
        })
    });
    json!({ "stages": stages, "topics": Topic::ALL.map(Topic::name) })
}

/// Rewritten when `UPDATE_EXPECT` is set.
#[test]
fn what_is_not_rust_reads_the_same() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipeline.json");
    let mut text = serde_json::to_string_pretty(&described()).unwrap();
    text.push('\n');
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap();
    assert_eq!(written, text, "run `UPDATE_EXPECT=1 cargo test -p pipeline`");
}

#[test]
fn rows_are_in_the_order_of_their_stages() {
    assert_eq!(FLOW.map(|row| row.stage), Stage::ALL);
    for row in FLOW {
        assert!(row.after.is_none_or(|after| after < row.stage), "{row:?}");
        assert_eq!(row.role.map_or(row.stage, Role::stage), row.stage);
    }
}

#[test]
fn each_role_fills_one_stage() {
    let roles: Vec<Role> = FLOW.iter().filter_map(|row| row.role).collect();
    assert_eq!(roles, Role::ALL);
    for role in Role::ALL {
        assert_eq!(serde_json::to_value(role).unwrap(), role.name());
        assert!(role.component().ends_with(role.name()));
    }
}

#[test]
fn a_name_is_the_same_in_json() {
    for stage in Stage::ALL {
        assert_eq!(serde_json::to_value(stage).unwrap(), stage.name());
    }
}

#[test]
fn positions_are_counted_in_the_last_topics_before_a_role() {
    assert_eq!(Role::FanOut.topics(), Topic::Sales);
    for role in [Role::Redis, Role::Postgres, Role::Spout] {
        assert_eq!(role.topics(), Topic::States, "{role}");
    }
}

#[test]
fn a_value_is_found_by_its_stage() {
    let mut names = PerStage::from_fn(Stage::name);
    names[Stage::Cached] = "redis";
    assert_eq!(names[Stage::Stored], "stored");
    let all: Vec<&str> = names.iter().map(|(_, name)| *name).collect();
    assert_eq!(all, ["accepted", "routed", "redis", "stored", "returned"]);
}
