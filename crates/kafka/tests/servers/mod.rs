//! The real Kafka that `ci/servers up` runs; its file of variables is named by `KAPTURE_SERVERS`.

use std::collections::HashMap;

use kafka::Config;

/// How to reach it, with a prefix for what is a test's own part of it.
pub(crate) fn config(prefix: &str) -> Config {
    let path = std::env::var("KAPTURE_SERVERS").expect("KAPTURE_SERVERS names the file that ci/servers up wrote");
    let variables: HashMap<String, String> = std::fs::read_to_string(path)
        .expect("the file of servers can be read")
        .lines()
        .filter_map(|line| line.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned())))
        .collect();
    serde_json::from_value(serde_json::json!({
        "bootstrap_servers": variables["KAFKA_BOOTSTRAP_SERVERS"],
        "username": variables["KAFKA_USERNAME"],
        "password": variables["KAFKA_PASSWORD"],
        "prefix": prefix,
        "sales_partitions": 3,
    }))
    .expect("the variables make a configuration")
}
