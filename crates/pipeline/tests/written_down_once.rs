//! The tables agree with each other, and `pipeline.json` agrees with them.

use std::path::Path;

use pipeline::{FLOW, PerStage, Place, Role, Row, Stage, Store, Topic};
use serde_json::{Value, json};

fn place(place: Place) -> Value {
    match place {
        Place::Topic(topic) => json!({ "topic": topic.name() }),
        Place::Store(store) => json!({ "store": store }),
    }
}

fn described() -> Value {
    let stage = |row: &Row| {
        json!({
            "name": row.stage, "after": row.after, "component": row.component, "values": row.values,
            "place": place(row.place), "store": row.role.and_then(Role::store),
            "group": row.role.map(Role::name), "positions_in": row.role.map(|role| role.topics().name()),
        })
    };
    json!({ "stages": FLOW.iter().map(stage).collect::<Vec<_>>(), "topics": Topic::ALL.map(Topic::name) })
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
    for (number, row) in FLOW.iter().enumerate() {
        assert_eq!(row.stage as usize, number, "the enum has another order");
        assert!(row.after.is_none_or(|after| after < row.stage), "{row:?}");
        assert_eq!(row.role.map_or(row.stage, Role::stage), row.stage);
        assert_eq!(Stage::named(row.stage.name()), Some(row.stage));
    }
}

#[test]
fn each_role_fills_one_stage() {
    for (number, role) in Role::ALL.into_iter().enumerate() {
        assert_eq!(role as usize, number, "the enum has another order, or no row for each role");
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
    for role in Role::ALL.into_iter().filter(|role| *role != Role::FanOut) {
        assert_eq!(role.topics(), Topic::States, "{role}");
    }
}

#[test]
fn stages_in_a_store_and_roles_that_use_one_follow_from_the_places() {
    assert!(Stage::STORES.starts_with(&[Stage::Cached, Stage::Stored]));
    assert!(!Stage::STORES.contains(&Stage::Returned));
    assert_eq!([Role::FanOut, Role::Redis].map(Role::store), [None, Some(Store::Redis)]);
    assert_eq!([Role::Postgres, Role::Spout].map(Role::store), [Some(Store::Postgres); 2]);
    for store in Role::ALL.into_iter().filter_map(Role::store) {
        assert_eq!(serde_json::to_value(store).unwrap(), store.name());
    }
}

#[test]
fn what_comes_before_a_stage_leads_back_to_the_first() {
    assert!(Stage::Returned.before().eq([Stage::Stored, Stage::Routed, Stage::Accepted]));
    assert_eq!(Stage::Accepted.before().count(), 0);
}

#[test]
fn a_value_is_found_by_its_stage() {
    let mut names = PerStage::from_fn(Stage::name);
    names[Stage::Cached] = "redis";
    assert_eq!(names[Stage::Stored], "stored");
    for (stage, name) in names.iter().filter(|(stage, _)| *stage != Stage::Cached) {
        assert_eq!(*name, stage.name());
    }
}
