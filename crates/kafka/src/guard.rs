//! Watches over a program that sends: whether its client still finds Kafka, and whether it is still the same Kafka.

use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::{Config, Contact, Deliveries, Producer};

/// Rest between two checks; bounds how late a stop is seen.
const REST: Duration = Duration::from_millis(200);

/// Watches until `stop`, when there is nothing more to send. `answers` counts what the client was answered; a program without
/// one only watches that Kafka stays the same. For a thread of its own, since asking blocks.
///
/// An error if Kafka is there and the client has lost it for good; or if Kafka was emptied, since what the program knows of it
/// is gone then, and only its next start takes Kafka as it is.
pub fn guard<D: Deliveries>(
    config: &Config,
    client: Option<&Producer<D>>,
    answers: impl Fn() -> u64,
    runtime: &Handle,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let watch = match runtime.block_on(config.watch(stop)) {
        Err(_) if stop.is_cancelled() => return Ok(()),
        watch => watch?,
    };
    let contact = Contact::new(config, Instant::now());
    let mut answered = 0;
    while !stop.is_cancelled() {
        let now = answers();
        if now != answered {
            answered = now;
            contact.heard();
        }
        if let Some(client) = client {
            client.check(&contact)?;
        }
        watch.is_sure()?;
        std::thread::sleep(REST);
    }
    Ok(())
}
