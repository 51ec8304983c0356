//! The offsets of each partition, which the exporter shows under the names of `kafka_exporter` in its metrics alone.

use std::collections::BTreeMap;

use crate::judge::Partition;

const LAG: &str = "kafka_consumergroup_lag{";
const END: &str = "kafka_topic_partition_current_offset{";

/// The partitions in a text of metrics. A line that is not understood is left out.
pub(super) fn partitions(text: &str) -> Vec<Partition> {
    let mut ends: BTreeMap<(String, u32), u64> = BTreeMap::new();
    for (labels, value) in series(text, END) {
        if let Some(key) = key(&labels) {
            ends.insert(key, value);
        }
    }
    let lags = series(text, LAG).filter_map(|(labels, lag)| {
        let (topic, number) = key(&labels)?;
        let end = ends.get(&(topic.clone(), number)).copied();
        Some(Partition { group: labels.get("consumergroup")?.clone(), topic, number, lag, end })
    });
    lags.collect()
}

fn key(labels: &BTreeMap<String, String>) -> Option<(String, u32)> {
    Some((labels.get("topic")?.clone(), labels.get("partition")?.parse().ok()?))
}

/// The series of a name: labels, and a value that is a count.
fn series<'a>(text: &'a str, name: &'a str) -> impl Iterator<Item = (BTreeMap<String, String>, u64)> + 'a {
    text.lines().filter_map(move |line| {
        let (labels, value) = line.strip_prefix(name)?.rsplit_once("} ")?;
        let value: f64 = value.split_ascii_whitespace().next()?.parse().ok()?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an offset, not below 0")]
        let value = (value >= 0.0).then_some(value as u64)?;
        // Names of topics and groups have neither quotes nor commas.
        let labels = labels.split(',').filter_map(|label| {
            let (name, value) = label.split_once('=')?;
            Some((name.trim().to_owned(), value.trim().trim_matches('"').to_owned()))
        });
        Some((labels.collect(), value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lag_and_end_of_a_partition_are_put_together() {
        let text = "# TYPE kafka_consumergroup_lag gauge\n\
                    kafka_consumergroup_lag{consumergroup=\"ns_rel_fan-out\",topic=\"ns_rel_sales\",partition=\"3\"} 17\n\
                    kafka_consumergroup_lag{consumergroup=\"ns_rel_postgres\",topic=\"ns_rel_sales.ca\",partition=\"0\"} 0\n\
                    kafka_consumergroup_lag_sum{consumergroup=\"ns_rel_fan-out\"} 17\n\
                    kafka_consumergroup_lag{broken\n\
                    kafka_topic_partition_current_offset{topic=\"ns_rel_sales\",partition=\"3\"} 1.5e6\n";
        let of = |group: &str, topic: &str, number, lag, end| Partition {
            group: group.to_owned(),
            topic: topic.to_owned(),
            number,
            lag,
            end,
        };
        assert_eq!(
            partitions(text),
            [
                of("ns_rel_fan-out", "ns_rel_sales", 3, 17, Some(1_500_000)),
                of("ns_rel_postgres", "ns_rel_sales.ca", 0, 0, None)
            ]
        );
    }
}
