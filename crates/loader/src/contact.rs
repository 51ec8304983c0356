//! Watches whether the sales' client still finds Kafka, on a thread of its own, since the question blocks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kafka::Contact;
use rdkafka::producer::{Producer, ThreadedProducer};
use tokio_util::sync::CancellationToken;

use crate::acks::Acks;
use crate::load::Load;

/// Between two looks at what was acknowledged; bounds how late a stop is seen.
const REST: Duration = Duration::from_millis(200);

/// Watches until `sent`, when there is nothing more to send. An error if Kafka is there and the client has lost it for good.
pub(crate) fn watch(
    kafka: &kafka::Config,
    producer: &Arc<ThreadedProducer<Acks>>,
    load: &Load,
    sent: &CancellationToken,
) -> anyhow::Result<()> {
    let contact = Contact::new(kafka, Instant::now());
    let mut accepted = 0;
    while !sent.is_cancelled() {
        let now = load.metrics.accepted.get();
        if now != accepted {
            accepted = now;
            contact.heard();
        }
        contact.check(producer.client())?;
        std::thread::sleep(REST);
    }
    Ok(())
}
