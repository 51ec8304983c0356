//! Watches whether the sales' client still finds Kafka, and whether it is still the same Kafka. On a thread of its own, since
//! asking blocks.

use std::time::{Duration, Instant};

use kafka::{Contact, Producer};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::acks::Acks;
use crate::running::Load;

/// Rest between two checks; bounds how late a stop is seen.
const REST: Duration = Duration::from_millis(200);

/// Watches until `sent`, when there is nothing more to send.
///
/// An error if Kafka is there and the client has lost it for good; or if Kafka was emptied, since the run and its blocks are
/// gone then, and only the next start begins another run and makes the topics.
pub(crate) fn watch(
    kafka: &kafka::Config,
    producer: &Producer<Acks>,
    load: &Load,
    runtime: &Handle,
    sent: &CancellationToken,
) -> anyhow::Result<()> {
    let watch = match runtime.block_on(kafka.watch(sent)) {
        Err(_) if sent.is_cancelled() => return Ok(()),
        watch => watch?,
    };
    let contact = Contact::new(kafka, Instant::now());
    let mut accepted = 0;
    while !sent.is_cancelled() {
        let now = load.metrics.accepted.get();
        if now != accepted {
            accepted = now;
            contact.heard();
        }
        producer.check(&contact)?;
        watch.is_sure()?;
        std::thread::sleep(REST);
    }
    Ok(())
}
