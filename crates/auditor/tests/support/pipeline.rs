//! A whole pipeline by hand: what lies at each stage, to be spoilt at any of them.

use kafka::SaleHeader;
use petstore::{BlockId, Sale, SaleId, State};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use stores::{Outcome, Part, Record, Store};

use super::{DUE_US, LIMIT, World, count};

/// A record on `sales`, a state's topic or `receipts`.
#[derive(Clone, Debug)]
pub struct Message {
    /// The sale that the header names; none for a record without headers.
    pub id: Option<SaleId>,
    /// The store: the record's key.
    pub store: u32,
    /// What the header says, and on which state's topic it lies.
    pub state: State,
    pub body: Vec<u8>,
}

impl Message {
    /// A sale as its loader sends it.
    pub fn of(sale: &Sale) -> Self {
        let body = serde_json::to_vec(sale).unwrap();
        Self { id: Some(sale.id), store: sale.store.id, state: sale.state(), body }
    }

    /// A record that is none.
    pub fn garbage() -> Self {
        Self { id: None, store: 0, state: State::Ca, body: b"garbage".to_vec() }
    }

    /// Changes a field of its body.
    pub fn alter(&mut self, field: &str, value: u32) {
        let mut body: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        body[field] = value.into();
        self.body = serde_json::to_vec(&body).unwrap();
    }

    fn headers(&self) -> OwnedHeaders {
        self.id.map_or_else(OwnedHeaders::new, |id| {
            SaleHeader { id, due_us: DUE_US, state: self.state }.to_owned_headers()
        })
    }

    pub fn send(&self, producer: &BaseProducer, topic: &str) {
        self.send_with(self.headers(), producer, topic);
    }

    fn send_with(&self, headers: OwnedHeaders, producer: &BaseProducer, topic: &str) {
        let key = self.store.to_string();
        let record = BaseRecord::to(topic).key(&key).payload(&self.body).headers(headers);
        producer.send(record).map_err(|(err, _)| err).unwrap();
    }

    /// What comes back of it.
    pub fn receipt(sale: &Sale) -> Self {
        Self { body: serde_json::to_vec(&sale.receipt()).unwrap(), ..Self::of(sale) }
    }
}

/// What lies at each stage.
#[derive(Default)]
pub struct Pipeline {
    pub sales: Vec<Message>,
    pub rejected: Vec<(Message, &'static str)>,
    pub routed: Vec<Message>,
    pub receipts: Vec<Message>,
}

impl Pipeline {
    /// Adds a record to `sales`, which the fan-out routes.
    pub fn flow(&mut self, message: Message) {
        self.sales.push(message.clone());
        self.routed.push(message);
    }

    /// Writes `sales`, what the fan-out made of them, and what the stores took of that; then fills `receipts` with what
    /// the spout would make of it.
    pub async fn store(&mut self, world: &World) {
        let names = world.kafka.names();
        let producer: BaseProducer = world.kafka.idempotent_producer().create().unwrap();
        self.sales.iter().for_each(|message| message.send(&producer, &names.sales()));
        producer.flush(LIMIT).unwrap();
        world.transaction(|producer| {
            for (message, reason) in &self.rejected {
                let headers = message.headers().insert(Header { key: "reason", value: Some(*reason) });
                message.send_with(headers, producer, &names.rejected());
            }
            for message in &self.routed {
                message.send(producer, &names.state(message.state));
            }
        });
        world.fan_out_has_passed_all();

        let installation = world.installation().await;
        let parts = self.parts(world);
        write(&mut stores::redis::Writer::new(world.redis.clone(), &installation), &parts).await;
        write(&mut stores::postgres::Writer::new(world.postgres.clone(), &installation), &parts).await;
        let mut seen = std::collections::HashSet::new();
        // In the order of the topics, as the spout has them.
        let stored = parts.iter().flat_map(|part| &part.records).map(Record::sale);
        self.receipts = stored.filter(|sale| seen.insert(sale.id)).map(Message::receipt).collect();
    }

    /// Writes `receipts`.
    pub fn give_back(&self, world: &World) {
        let topic = world.kafka.names().receipts();
        world.transaction(|producer| {
            self.receipts.iter().for_each(|message| message.send(producer, &topic));
        });
        world.spout_has_passed_all();
    }

    fn parts(&self, world: &World) -> Vec<Part> {
        let of = |state: State| {
            let here = self.routed.iter().filter(|message| message.state == state);
            let record = |(offset, message): (i64, &Message)| {
                let sale: Sale = serde_json::from_slice(&message.body).ok()?;
                Record::new(sale, DUE_US, offset).ok()
            };
            let records: Vec<Record> = (0..).zip(here).filter_map(record).collect();
            (!records.is_empty()).then(|| Part {
                partition: (world.kafka.names().state(state), 0),
                expected: 0,
                next: world.end_of(state),
                records,
            })
        };
        State::ALL.into_iter().filter_map(of).collect()
    }
}

async fn write(store: &mut impl Store, parts: &[Part]) {
    let partitions: Vec<_> = parts.iter().map(|part| part.partition.clone()).collect();
    store.positions(&partitions).await.unwrap();
    for outcome in store.write(parts).await.unwrap() {
        assert!(matches!(outcome, Outcome::Written { .. }), "{outcome:?}");
    }
}

impl World {
    /// Says on the loaders' account that a whole block was sent and acknowledged.
    pub fn account_whole(&self, id: BlockId) -> Vec<Sale> {
        let sales = Self::sales(id);
        self.account(id, kafka::blocks::Phase::Closed, count(&sales));
        sales
    }
}
