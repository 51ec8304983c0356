//! Compares the topics of all states with `sales`.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::topics;
use crate::truth::{Tally, Truth, hash, header};

/// Checks that every sale is once in the topic of its state, unaltered, in the order of its partition of `sales`.
///
/// `positions` is the sum of the topics' end offsets: the position of a sink that has read everything.
pub(crate) fn compare(kafka: &kafka::Config, pattern: &str) -> anyhow::Result<Value> {
    let mut truth = Truth::read(kafka, |_| Ok(()))?;
    let states = topics::of_states(pattern);
    let by_topic: HashMap<&str, _> = states.iter().map(|(state, topic)| (topic.as_str(), *state)).collect();
    let topics: Vec<String> = states.iter().map(|(_, topic)| topic.clone()).collect();
    let mut tally = Tally::default();
    let mut last = HashMap::new();
    let mut positions = HashMap::new();
    topics::read_all(kafka, &topics, |record| {
        let header = header(record)?;
        let state = by_topic.get(record.topic());
        positions.insert(header.state, record.offset() + 1);
        let Some(entry) = truth.find(header.id) else {
            tally.unknown += 1;
            return Ok(());
        };
        tally.found += u64::from(entry.times_found == 0);
        entry.times_found += 1;
        tally.altered += u64::from(entry.hash != hash(record, &header));
        tally.misrouted += u64::from(state != Some(&entry.state));
        let before = last.insert((state.copied(), entry.partition), entry.offset);
        tally.out_of_order += u64::from(before.is_some_and(|before| before >= entry.offset));
        Ok(())
    })?;
    let mut answer = tally.json(&truth);
    answer["positions"] = json!(positions.values().sum::<i64>());
    Ok(answer)
}
