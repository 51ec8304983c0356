//! Reads the topics of all states as sales arrive, and measures the latency of each.

use std::time::{Duration, Instant};

use kafka::{LogReader, Next};
use serde_json::{Value, json};

use crate::truth::header;
use crate::{report, topics};

/// Starts at the first record: ignores the first `skip` seconds, then counts for `seconds`.
pub(crate) fn run(kafka: &kafka::Config, pattern: &str, skip: u64, seconds: u64) -> anyhow::Result<Value> {
    let topics: Vec<String> = topics::of_states(pattern).into_iter().map(|(_, topic)| topic).collect();
    let ends = topics::ends(kafka, &topics)?;
    let reader = LogReader::new(kafka)?;
    reader.begin(ends.iter().map(|(partition, end)| (partition, *end)))?;
    let mut histogram = service::new_histogram();
    let mut begun = None;
    let (skip, seconds) = (Duration::from_secs(skip), Duration::from_secs(seconds));
    let mut negative = 0_u64;
    loop {
        let age = begun.map(|begun: Instant| begun.elapsed()).unwrap_or_default();
        if age > skip + seconds {
            break;
        }
        let Next::Record(record) = reader.next(Duration::from_millis(100))? else { continue };
        begun.get_or_insert_with(Instant::now);
        if age >= skip {
            match u64::try_from(service::unix_us() - header(&record)?.due_us) {
                Ok(us) => histogram.saturating_record(us),
                Err(_) => negative += 1,
            }
        }
    }
    let mut answer = report::percentiles(&histogram);
    answer["negative"] = json!(negative);
    Ok(answer)
}
