//! The published schema is what these types say. `UPDATE_EXPECT=1 cargo test -p kapture-benchmark --lib` renews it.
#![allow(dead_code, reason = "these types stand in for those of `service`, which has no schema")]

use std::fs;
use std::path::Path;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;

use super::{Capsule, SCHEMA};

/// A latency histogram.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Histogram {
    /// Base64 of `HdrHistogram`'s V2 encoding, compressed; the values are microseconds.
    v2: String,
    /// Latencies below zero, which the histogram doesn't hold.
    negative: u64,
}

/// Percentiles of merged histograms, in microseconds; absent if none could be measured.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Percentiles {
    /// How many were measured.
    n: u64,
    /// How many were negative, because two clocks differ; they are not in the percentiles.
    negative: u64,
    /// Median.
    p50_us: Option<u64>,
    /// 90th percentile.
    p90_us: Option<u64>,
    /// 99th percentile.
    p99_us: Option<u64>,
    /// 99.9th percentile.
    p999_us: Option<u64>,
    /// The longest.
    max_us: Option<u64>,
}

/// Shares of a thread's time, which add up to 1.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Shares {
    /// Its own work.
    working: f64,
    /// There was nothing to do.
    waiting_for_input: f64,
    /// Waiting for Kafka.
    waiting_for_kafka: f64,
    /// Waiting for its store.
    waiting_for_store: f64,
}

#[test]
fn the_published_schema_is_that_of_the_types() {
    let generated = SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<Capsule>();
    let generated = serde_json::to_value(generated).unwrap();
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("capsule.schema.json");
        fs::write(path, serde_json::to_string_pretty(&generated).unwrap() + "\n").unwrap();
        return;
    }
    let published: serde_json::Value = serde_json::from_str(SCHEMA).unwrap();
    assert_eq!(
        published, generated,
        "capsule.schema.json is out of date: UPDATE_EXPECT=1 cargo test -p kapture-benchmark --lib schema"
    );
}
