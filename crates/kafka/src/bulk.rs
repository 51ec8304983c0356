//! Filling a topic as fast as Kafka takes it.

use std::time::Duration;

use anyhow::Context;
use rdkafka::producer::{BaseProducer, BaseRecord};

use crate::dispose::Disposed;
use crate::{Config, Error, Headers, flush, send};

/// Records between two looks at the producer's events.
const SERVE_EVERY: u64 = 128;

/// Sends many records, in large compressed batches, and waits for all answers at once.
pub struct BulkProducer {
    producer: Disposed<BaseProducer>,
    records: u64,
}

impl BulkProducer {
    /// Makes the producer, without connecting it yet.
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        let mut settings = config.idempotent_producer();
        settings.set("compression.type", "lz4").set("linger.ms", "20").set("batch.size", "262144");
        let producer = settings.create().context("making the producer")?;
        Ok(Self { producer: Disposed::new(producer), records: 0 })
    }

    /// Adds one record. A full queue is waited for.
    pub fn send(&mut self, topic: &str, key: &[u8], payload: &[u8], headers: Headers) -> Result<(), Error> {
        self.records += 1;
        if self.records.is_multiple_of(SERVE_EVERY) {
            self.producer.poll(Duration::ZERO);
        }
        let record = BaseRecord::to(topic).key(key).payload(payload).headers(headers.into_owned());
        Ok(send(&self.producer, record)?)
    }

    /// Waits until each record has its answer.
    pub fn flush(&self, limit: Duration) -> Result<(), Error> {
        Ok(flush(&self.producer, limit)?)
    }
}
