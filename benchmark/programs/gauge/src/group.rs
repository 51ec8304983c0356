//! Watches the progress of a consumer group.

use std::time::{Duration, Instant};

use anyhow::bail;
use kafka::{Logs, Partition};
use serde_json::{Value, json};

use crate::topics::{LIMIT, ends};

const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The slowest copy worth measuring takes a minute or two.
const GROUP_LIMIT: Duration = Duration::from_mins(5);

/// Waits until the group has committed all of `sales`. Reports when its first and its last commit were seen, with the
/// records committed by then: the rate between the two leaves out the start of the program.
pub(crate) fn wait(kafka: &kafka::Config, group: &str) -> anyhow::Result<Value> {
    let topic = kafka.names().sales();
    let (partitions, ends): (Vec<Partition>, Vec<i64>) = ends(kafka, std::slice::from_ref(&topic))?.into_iter().unzip();
    let (logs, total) = (Logs::new(kafka, group, LIMIT)?, ends.iter().sum::<i64>());
    let begun = Instant::now();
    let mut first = None;
    while begun.elapsed() < GROUP_LIMIT {
        let done: i64 = logs.committed(&partitions)?.iter().sum();
        let at_us = service::unix_us();
        if done > 0 {
            let (first_us, first_done) = *first.get_or_insert((at_us, done));
            if done == total {
                return Ok(json!({
                    "first_us": first_us, "first": first_done, "last_us": at_us, "last": done,
                }));
            }
        }
        std::thread::sleep(LOOK_EVERY);
    }
    bail!("{group} did not get through {topic} within {} s", GROUP_LIMIT.as_secs())
}
