//! Fills `sales` with generated sales, in the form in which a loader sends them.

use std::time::Instant;

use anyhow::Context;
use kafka::{BulkProducer, Headers, SaleHeader};
use petstore::{BlockId, Parameters, Petstore};
use serde_json::{Value, json};

use crate::topics;

/// Sends the first `count` sales of one loader's blocks, in their order.
pub(crate) async fn run(kafka: &kafka::Config, count: u64, partitions: i32) -> anyhow::Result<Value> {
    let topic = kafka.names().sales();
    topics::recreate(kafka, std::slice::from_ref(&topic), partitions).await?;
    let mut producer = BulkProducer::new(kafka)?;
    let petstore = Petstore::new(Parameters::default())?;
    let begun = Instant::now();
    let (mut sent, mut bytes, mut body) = (0, 0, Vec::new());
    for block in 0.. {
        for sale in petstore.block(BlockId { run: 1, loader: 0, block }).iter() {
            if sent == count {
                producer.flush(topics::LIMIT).context("waiting for the answers")?;
                let seconds = begun.elapsed().as_secs_f64();
                return Ok(json!({"sales": sent, "mean_bytes": bytes / sent.max(1), "seconds": seconds}));
            }
            let header = SaleHeader { id: sale.id(), due_us: service::unix_us(), state: sale.state() };
            let key = sale.store().id.to_string();
            body.clear();
            sale.write_json(&mut body);
            bytes += body.len() as u64;
            producer.send(&topic, key.as_bytes(), &body, Headers::from(&header)).context("sending a sale")?;
            sent += 1;
        }
    }
    unreachable!("blocks do not end")
}
