//! The way that sales take to Kafka: straight, or through the shop.

use std::fmt::Write;
use std::sync::Arc;

use anyhow::Context;
use kafka::blocks::Via;
use kafka::{Batching, NotSent, Producer, SaleHeader};

use crate::acks::Acks;
use crate::config::Config;
use crate::running::Load;
use crate::shop::Shop;
use crate::stock::Encoded;

/// Sales that wait in Kafka's client. Each takes about a kilobyte with its header and librdkafka's overhead, of the pod's 128 MiB.
/// More would only hide for longer that Kafka is slow.
const QUEUE: u32 = 40_000;

/// Takes sales, and has each answer booked in the load's account.
pub(crate) enum Way {
    Kafka(Straight),
    Webapp(Shop),
}

/// To Kafka, by its own client.
pub(crate) struct Straight {
    producer: Arc<Producer<Acks>>,
    pub(crate) topic: String,
    /// The key of the sale in hand, kept for its memory.
    key: String,
}

impl Way {
    /// The configured one. An error names the value that can't be used. Needs a runtime.
    pub(crate) fn of(config: &Config, kafka: &kafka::Config, load: &Arc<Load>) -> anyhow::Result<Self> {
        match config.via {
            Via::Kafka => Self::straight(kafka, config.batching(), load),
            Via::Webapp => {
                let address = config.webapp.clone().context("LOADER_VIA=webapp needs LOADER_WEBAPP=host:port")?;
                Ok(Self::Webapp(Shop::new(address, config.reads.get(), load)))
            }
        }
    }

    pub(crate) fn straight(kafka: &kafka::Config, batching: Batching, load: &Arc<Load>) -> anyhow::Result<Self> {
        let producer = Arc::new(Producer::new(kafka, batching, QUEUE, Acks::new(Arc::clone(load)))?);
        Ok(Self::Kafka(Straight { producer, topic: kafka.names().sales(), key: String::new() }))
    }

    /// Takes a sale. Never waits.
    pub(crate) fn send(&mut self, sale: Encoded<'_>, header: &SaleHeader, tag: usize) -> Result<(), NotSent> {
        match self {
            Self::Kafka(Straight { producer, topic, key }) => {
                key.clear();
                // Writing to a text can't fail.
                let _ = write!(key, "{}", sale.store);
                producer.send(topic, key, sale.body, header, tag)
            }
            Self::Webapp(shop) => shop.send(sale.body, header.due_us, tag),
        }
    }

    /// Lets nothing wait for more to share a request with.
    pub(crate) fn send_now(&self) {
        if let Self::Kafka(straight) = self {
            straight.producer.send_now();
        }
    }

    /// Takes back every sale that has no answer yet; each is then booked as unknown.
    pub(crate) fn purge(&self) {
        match self {
            Self::Kafka(straight) => straight.producer.purge(),
            Self::Webapp(shop) => shop.purge(),
        }
    }

    /// Kafka's client, if there is one.
    pub(crate) fn producer(&self) -> Option<Arc<Producer<Acks>>> {
        match self {
            Self::Kafka(straight) => Some(Arc::clone(&straight.producer)),
            Self::Webapp(_) => None,
        }
    }
}
