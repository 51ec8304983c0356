//! Fills `sales` with generated sales, in the form in which a loader sends them.

use std::time::{Duration, Instant};

use anyhow::Context;
use kafka::{SaleHeader, flush};
use petstore::{BlockId, Parameters, Petstore};
use rdkafka::producer::{BaseProducer, BaseRecord};
use serde_json::{Value, json};

use crate::topics;

/// Sends the first `count` sales of one loader's blocks, in their order.
pub(crate) async fn run(kafka: &kafka::Config, count: u64, partitions: i32) -> anyhow::Result<Value> {
    let topic = kafka.names().sales();
    topics::make_anew(kafka, std::slice::from_ref(&topic), partitions).await?;
    let producer: BaseProducer = kafka
        .idempotent_producer()
        .set("compression.type", "lz4")
        .set("linger.ms", "20")
        .set("batch.size", "262144")
        .create()
        .context("making the producer")?;
    let petstore = Petstore::new(Parameters::default())?;
    let begun = Instant::now();
    let (mut sent, mut bytes) = (0, 0);
    for block in 0.. {
        for sale in petstore.block(BlockId { run: 1, loader: 0, block }) {
            if sent == count {
                flush(&producer, topics::LIMIT).context("waiting for the answers")?;
                let seconds = begun.elapsed().as_secs_f64();
                return Ok(json!({"sales": sent, "mean_bytes": bytes / sent.max(1), "seconds": seconds}));
            }
            let header = SaleHeader { id: sale.id, due_us: service::unix_us(), state: sale.state() };
            let (key, body) = (sale.store.id.to_string(), serde_json::to_vec(&sale)?);
            bytes += body.len() as u64;
            let record = BaseRecord::to(&topic).key(&key).payload(&body).headers(header.to_owned_headers());
            kafka::send(&producer, record).context("sending a sale")?;
            sent += 1;
            if sent % 128 == 0 {
                producer.poll(Duration::ZERO);
            }
        }
    }
    unreachable!("blocks do not end")
}
