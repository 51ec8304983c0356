//! Watches a load from outside, by what its loader reports.

use std::time::{Duration, Instant};

use anyhow::bail;
use serde_json::{Value, json};
use service::{Report, http, unix_us};

const LOOK_EVERY: Duration = Duration::from_millis(20);
const LIMIT: Duration = Duration::from_mins(5);
/// One question; a loader that has just begun does not answer yet.
const ANSWER_LIMIT: Duration = Duration::from_secs(1);

/// Waits until the load has ended and its account is closed. Reports when sales were first seen to be accepted, and when last.
pub(crate) async fn wait(address: &str) -> anyhow::Result<Value> {
    let begun = Instant::now();
    let (mut first, mut last) = (None, (0, 0));
    while begun.elapsed() < LIMIT {
        if let Ok(body) = http::get(address, "/report", ANSWER_LIMIT).await {
            let counters = serde_json::from_slice::<Report>(&body)?.counters;
            let count = |name: &str| counters.get(name).copied().unwrap_or_default();
            let accepted = count("accepted");
            if accepted > last.1 {
                last = (unix_us(), accepted);
                first.get_or_insert(last);
            }
            if let (Some((first_us, first)), true) = (first, count("blocks_closed") == count("blocks_reserved")) {
                return Ok(json!({"first_us": first_us, "first": first, "last_us": last.0, "last": last.1}));
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    bail!("the load at {address} has not ended within {} s", LIMIT.as_secs())
}
