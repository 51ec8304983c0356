//! A producer that tells what became of each record: handed over or not, acknowledged or not.

use std::fmt::Display;
use std::time::Duration;

use anyhow::Context;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, PurgeConfig, ThreadedProducer};
use rdkafka::{ClientConfig, ClientContext};
use serde::Deserialize;
use service::BoundedDuration;

use crate::dispose::Disposed;
use crate::{Config, Contact, Error, SaleHeader};

/// Takes Kafka's answer to each record, on the producer's polling thread.
///
/// A record is known by the tag that it was sent with: one word, so that nothing is allocated for its way to Kafka and back.
pub trait Deliveries: Send + Sync + 'static {
    /// Kafka acknowledged the record.
    fn acknowledged(&self, tag: usize);

    /// Kafka refused the record for good, or it is not known whether Kafka has it.
    fn failed(&self, tag: usize, reason: &dyn Display);
}

/// Why a record was not handed over. It is certain that Kafka doesn't get it.
#[derive(Debug)]
pub enum NotSent {
    /// The queue is full: Kafka takes less than it is given.
    QueueFull,
    /// The client itself refuses the record, because of its size for example.
    Refused(Error),
    /// The producer has failed for good, for this reason, and takes no more records.
    Fatal(String),
}

/// How records are packed into requests.
#[derive(Clone, Copy, Debug)]
pub struct Batching {
    /// How long a record waits for others to share a request with.
    pub linger: Linger,
    /// How a batch is compressed.
    pub compression: Compression,
}

/// Up to a second.
pub type Linger = BoundedDuration<0, 1_000>;

impl Default for Batching {
    /// The linger is part of a sale's latency, against the price of a request to a broker and its followers: where brokers share
    /// CPUs, 50 ms bring a sale there sooner than 5.
    fn default() -> Self {
        Self { linger: Linger::from_ms::<50>(), compression: Compression::None }
    }
}

impl Batching {
    pub(crate) fn apply(self, producer: &mut ClientConfig) {
        producer
            .set("linger.ms", self.linger.get().as_millis().to_string())
            .set("compression.type", self.compression.name());
    }
}

/// The codecs that are linked in.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Records go as they are.
    #[default]
    None,
    /// Of zlib: small, and dear.
    Gzip,
    /// Of Google.
    Snappy,
    /// The cheapest.
    Lz4,
}

impl Compression {
    const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
        }
    }
}

/// Sends each record once and in order: see [`Config::idempotent_producer`].
pub struct Producer<D: Deliveries>(Disposed<ThreadedProducer<Answers<D>>>);

impl<D: Deliveries> Producer<D> {
    /// Makes the producer, without connecting it yet. Its queue holds up to `queue` records.
    pub fn new(config: &Config, batching: Batching, queue: u32, deliveries: D) -> anyhow::Result<Self> {
        let mut producer = config.idempotent_producer();
        batching.apply(&mut producer);
        producer.set("queue.buffering.max.messages", queue.to_string());
        let producer = producer.create_with_context(Answers(deliveries)).context("making the producer")?;
        Ok(Self(Disposed::new(producer)))
    }

    /// Puts a sale into the queue. Never waits.
    pub fn send(&self, topic: &str, key: &str, payload: &[u8], header: &SaleHeader, tag: usize) -> Result<(), NotSent> {
        let record = BaseRecord::with_opaque_to(topic, tag).key(key).payload(payload);
        self.0.send(record.headers(header.to_owned_headers())).map_err(|(err, _)| self.not_sent(err))
    }

    fn not_sent(&self, err: KafkaError) -> NotSent {
        if matches!(err, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)) {
            return NotSent::QueueFull;
        }
        match self.0.client().fatal_error() {
            Some((_, reason)) => NotSent::Fatal(reason),
            None => NotSent::Refused(err.into()),
        }
    }

    /// Sends what waits for more records to share a request with, without waiting for the answers.
    pub fn send_now(&self) {
        // It says whether answers are missing, which is what the owner counts.
        let _ = self.0.flush(Duration::ZERO);
    }

    /// Takes back every record that has no answer yet; each is then reported as failed.
    pub fn purge(&self) {
        self.0.purge(PurgeConfig::default().queue().inflight());
    }

    /// Checks that this producer has not lost Kafka for good: see [`Contact::check`].
    pub fn check(&self, contact: &Contact) -> anyhow::Result<()> {
        contact.check(self.0.client())
    }
}

struct Answers<D>(D);

impl<D: Deliveries> ClientContext for Answers<D> {}

impl<D: Deliveries> ProducerContext for Answers<D> {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, tag: usize) {
        match result {
            Ok(_) => self.0.acknowledged(tag),
            Err((err, _)) => self.0.failed(tag, err),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use petstore::{SaleId, State};

    use super::*;

    const HEADER: SaleHeader =
        SaleHeader { id: SaleId { run: 1, loader: 0, block: 0, index: 0 }, due_us: 0, state: State::Ca };

    struct Failed(Sender<usize>);

    impl Deliveries for Failed {
        fn acknowledged(&self, tag: usize) {
            panic!("nobody is there to acknowledge {tag}");
        }

        fn failed(&self, tag: usize, _: &dyn Display) {
            self.0.send(tag).unwrap();
        }
    }

    #[test]
    fn the_client_has_each_codec_and_any_linger_that_is_accepted() {
        let nobody = serde_json::from_value(serde_json::json!({"bootstrap_servers": "127.0.0.1:1"})).unwrap();
        for compression in ["none", "gzip", "snappy", "lz4"] {
            for linger in ["0ms", "1s"] {
                let compression = serde_json::from_value(compression.into()).unwrap();
                let linger = serde_json::from_value(linger.into()).unwrap();
                let (failed, _) = channel();
                Producer::new(&nobody, Batching { linger, compression }, 2, Failed(failed)).unwrap();
            }
        }
    }

    #[test]
    fn a_record_that_is_not_sent_is_told_why_and_one_that_is_taken_back_is_reported() {
        let nobody = serde_json::from_value(serde_json::json!({"bootstrap_servers": "127.0.0.1:1"})).unwrap();
        let (failed, failures) = channel();
        let producer = Producer::new(&nobody, Batching::default(), 2, Failed(failed)).unwrap();
        let send = |payload: &[u8], tag| producer.send("sales", "1", payload, &HEADER, tag);

        assert!(matches!(send(&vec![0; 2_000_000], 6), Err(NotSent::Refused(_))), "larger than any record may be");
        assert!(matches!(producer.send(&"x".repeat(600), "1", b"x", &HEADER, 7), Err(NotSent::Refused(_))));
        assert!(send(b"x", 8).is_ok() && send(b"x", 9).is_ok());
        assert!(matches!(send(b"x", 10), Err(NotSent::QueueFull)));

        producer.purge();
        let mut purged = [failures.recv().unwrap(), failures.recv().unwrap()];
        purged.sort_unstable();
        assert_eq!(purged, [8, 9], "and nothing is reported of those that were not sent");
        assert!(failures.try_recv().is_err());
        assert!(send(b"x", 11).is_ok(), "there is room again");
    }
}
