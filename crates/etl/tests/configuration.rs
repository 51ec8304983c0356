//! What the program says when its variables are wrong.

use std::process::Command;

/// Starts the program with these variables alone, and returns what it says when it gives up.
fn last_words(variables: &[(&str, &str)]) -> String {
    let program = Command::new(env!("CARGO_BIN_EXE_kapture-etl"))
        .env_clear()
        .envs(variables.iter().copied())
        .output()
        .expect("the program starts");
    assert!(!program.status.success());
    String::from_utf8(program.stderr).unwrap()
}

fn assert_says(variables: &[(&str, &str)], text: &str) {
    let words = last_words(variables);
    assert!(words.contains(text), "{words}");
}

#[test]
fn the_role_must_be_known() {
    assert_says(&[], "ETL_ROLE is not set");
    assert_says(&[("ETL_ROLE", "spouse")], "ETL_ROLE: unknown variant `spouse`");
}

#[test]
fn a_variable_of_another_role_is_refused() {
    assert_says(&[("ETL_ROLE", "redis"), ("ETL_ORDINAL", "0")], "ETL_ORDINAL is not known; known: ETL_ROLE");
    assert_says(
        &[("ETL_ROLE", "fan-out"), ("ETL_ORDINAL", "0"), ("ETL_BATCH_SALES", "1")],
        "ETL_BATCH_SALES is not known",
    );
}

#[test]
fn a_wrong_value_is_named_with_its_variable() {
    assert_says(&[("ETL_ROLE", "redis"), ("ETL_BATCH_INTERVAL", "soon")], "ETL_BATCH_INTERVAL: ");
    assert_says(&[("ETL_ROLE", "redis"), ("ETL_BATCH_SALES", "0")], "ETL_BATCH_SALES: ");
    let postgres = [("ETL_ROLE", "postgres"), ("POSTGRES_HOST", "x"), ("POSTGRES_PASSWORD", "secret")];
    assert_says(&[&postgres[..], &[("POSTGRES_SCHEMA", "a b")]].concat(), "\"a b\" is not a schema");
    assert_says(&postgres, "KAFKA_BOOTSTRAP_SERVERS is not set");
    assert!(!last_words(&postgres).contains("secret"));
}

#[test]
fn a_store_that_is_not_said_is_asked_for() {
    assert_says(&[("ETL_ROLE", "postgres")], "POSTGRES_HOST is not set");
    assert_says(&[("ETL_ROLE", "redis")], "REDIS_HOST is not set");
}
