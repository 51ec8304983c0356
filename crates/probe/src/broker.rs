//! Whether a broker is ready: it is alive, and in sync in all that it hosts.

use std::time::Duration;

use kafka::{Asker, PartitionMetadata};

/// How long Kafka may take to answer. The kubelet asks every three seconds.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// Partitions named in a reason, which is one line.
const NAMED: usize = 3;

/// Asks Kafka about one broker. Blocks.
pub(crate) struct Broker {
    id: i32,
    asker: Asker,
}

impl Broker {
    /// Makes the client, without connecting it yet.
    pub(crate) fn new(config: &kafka::Config, id: i32) -> anyhow::Result<Self> {
        Ok(Self { id, asker: Asker::new(config, "reader")? })
    }

    /// An error tells why the broker is not ready.
    pub(crate) fn check(&self) -> Result<(), String> {
        let metadata = self.asker.metadata(ANSWER_LIMIT).map_err(|err| format!("kafka does not answer: {err:#}"))?;
        let alive: Vec<i32> = metadata.brokers().map(|broker| broker.id).collect();
        judge(self.id, &alive, metadata.partitions())
    }
}

fn judge<'a>(
    broker: i32,
    alive: &[i32],
    partitions: impl Iterator<Item = PartitionMetadata<'a>>,
) -> Result<(), String> {
    if !alive.contains(&broker) {
        return Err(format!("broker {broker} is not among those alive: {alive:?}"));
    }
    let hosted: Vec<_> = partitions.filter(|partition| partition.replicas.contains(&broker)).collect();
    let behind: Vec<String> = hosted
        .iter()
        .filter(|partition| !partition.in_sync.contains(&broker))
        .map(|partition| format!("{}/{}", partition.topic, partition.id))
        .collect();
    if behind.is_empty() {
        return Ok(());
    }
    let named = behind[..behind.len().min(NAMED)].join(", ");
    Err(format!("broker {broker} is out of sync in {} of {} partitions: {named}", behind.len(), hosted.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(broker: i32, alive: &[i32], in_sync: &[&[i32]]) -> Result<(), String> {
        let partitions = in_sync.iter().zip(0..).map(|(in_sync, id)| PartitionMetadata {
            topic: "sales",
            id,
            leader: None,
            replicas: &[0, 1],
            in_sync,
        });
        judge(broker, alive, partitions)
    }

    #[test]
    fn a_broker_that_has_all_it_hosts_is_ready() {
        assert_eq!(judged(1, &[0, 1], &[&[0, 1], &[1]]), Ok(()));
    }

    #[test]
    fn what_others_lack_is_not_its_fault() {
        assert_eq!(judged(1, &[1], &[&[1]]), Ok(()));
        assert_eq!(judged(2, &[0, 1, 2], &[&[0]]), Ok(()));
    }

    #[test]
    fn a_broker_that_is_not_alive_is_not_ready() {
        assert_eq!(judged(1, &[0, 2], &[]), Err("broker 1 is not among those alive: [0, 2]".to_owned()));
    }

    #[test]
    fn a_broker_that_is_behind_says_where() {
        assert_eq!(
            judged(1, &[0, 1], &[&[0, 1], &[0], &[0], &[0], &[0]]),
            Err("broker 1 is out of sync in 4 of 5 partitions: sales/1, sales/2, sales/3".to_owned())
        );
    }
}
