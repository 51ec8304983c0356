//! The real servers that `ci/servers up` runs, a sink to run against them, and sales for it.
#![allow(dead_code, reason = "each test file uses its part")]

pub(crate) mod proxy;
pub(crate) mod receipts;

use std::sync::Arc;
use std::time::{Duration, Instant};

use etl::{Config, Metrics, Role};
use kafka::{SaleHeader, Topic};
use petstore::{BlockId, Parameters, Petstore, Sale};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::{Value, json};
use service::Health;
use stores::{Counts, Positions};
use test_servers::Servers;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

/// The longest that anything here is waited for.
pub(crate) const LIMIT: Duration = Duration::from_secs(90);

/// One test's own part of the shared servers.
#[derive(Clone)]
pub(crate) struct Part {
    pub(crate) kafka: kafka::Config,
    pub(crate) role: Role,
    name: String,
    /// Where instances find the store, if not where it is.
    store_port: Option<u16>,
    /// As whom instances log in to Postgres, if not as its owner.
    user: Option<String>,
    /// Whether instances go on with another Kafka.
    adopts: bool,
}

impl Part {
    pub(crate) async fn new(role: Role) -> Self {
        Self::named(role, format!("test-{:08x}", rand::random::<u32>())).await
    }

    /// Another Kafka, as far as a sink can tell, with the same store.
    pub(crate) async fn with_another_kafka(&self) -> Self {
        let Self { kafka, .. } = Self::new(self.role).await;
        Self { kafka, ..self.clone() }
    }

    /// The same, whose instances go on with another Kafka.
    pub(crate) fn adopting(&self) -> Self {
        Self { adopts: true, ..self.clone() }
    }

    /// Makes Kafka one that was emptied: the same topics, without records and under a new mark.
    pub(crate) async fn empty_kafka(&self) {
        self.remove().await;
        // The broker may still list topics that it has just deleted, and they would then not be made again.
        let admin: AdminClient<DefaultClientContext> = self.kafka.client().create().unwrap();
        eventually("the topics are gone", async || {
            let metadata = admin.inner().fetch_metadata(None, LIMIT).unwrap();
            !metadata.topics().iter().any(|topic| topic.name().starts_with(&self.name))
        })
        .await;
        self.kafka.ensure_topics(&[Topic::States, Topic::Blocks], &CancellationToken::new()).await.unwrap();
    }

    /// The same for another role.
    pub(crate) fn of(&self, role: Role) -> Self {
        Self { role, ..self.clone() }
    }

    /// Where the store is.
    pub(crate) fn store_port(&self) -> u16 {
        if self.role == Role::Redis { self.redis().port.get() } else { self.postgres().port.get() }
    }

    /// The same, whose instances reach the store by another port.
    pub(crate) fn by_way_of(&self, port: u16) -> Self {
        Self { store_port: Some(port), ..self.clone() }
    }

    /// The same, whose instances reach Postgres as a user whose statements the server ends after `limit`.
    pub(crate) async fn hurried(&self, limit: &str) -> Self {
        let user = format!("{}-hurried", self.name);
        let password = self.postgres().password;
        self.sql(&format!(
            "CREATE ROLE \"{user}\" SUPERUSER LOGIN PASSWORD '{}'; ALTER ROLE \"{user}\" SET statement_timeout = '{limit}'",
            password.expose()
        ))
        .await;
        Self { user: Some(user), ..self.clone() }
    }

    async fn named(role: Role, name: String) -> Self {
        let kafka: kafka::Config = Servers::running().kafka(&format!("{name}-"));
        kafka.ensure_topics(&[Topic::States, Topic::Blocks], &CancellationToken::new()).await.unwrap();
        Self { kafka, role, name, store_port: None, user: None, adopts: false }
    }

    pub(crate) fn redis(&self) -> stores::redis::Config {
        Servers::running().redis(&format!("{}-", self.name))
    }

    pub(crate) fn postgres(&self) -> stores::postgres::Config {
        Servers::running().postgres(&self.name)
    }

    /// Changes Postgres behind everybody's back.
    pub(crate) async fn sql(&self, statements: &str) {
        let config = self.postgres();
        let mut login = tokio_postgres::Config::new();
        login.host(config.host.as_str()).port(config.port.get()).dbname(config.database.as_str());
        login.user(config.user.as_str()).password(config.password.expose());
        let (client, connection) = login.connect(tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute(&format!("SET search_path TO {}; {statements}", config.schema)).await.unwrap();
    }

    /// Deletes the part's topics: a Kafka with those of a thousand tests takes minutes to start. After a failed test
    /// they stay, for whoever looks into it.
    pub(crate) async fn remove(&self) {
        let names = self.kafka.names();
        let topics: Vec<String> =
            names.states().into_iter().chain([names.blocks(), names.receipts(), names.positions()]).collect();
        let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
        let admin: AdminClient<DefaultClientContext> = self.kafka.client().create().unwrap();
        admin.delete_topics(&topics, &AdminOptions::new()).await.unwrap();
    }

    /// Starts one instance of the role.
    pub(crate) fn start(&self) -> Instance {
        self.start_with(5_000)
    }

    /// The same, with batches of so many sales.
    pub(crate) fn start_with(&self, batch_sales: usize) -> Instance {
        self.start_misbehaving(batch_sales, misbehaviour::Config::default())
    }

    /// The same, with bad habits.
    pub(crate) fn start_misbehaving(&self, batch_sales: usize, habits: misbehaviour::Config) -> Instance {
        let (mut redis, mut postgres) = (self.redis(), self.postgres());
        if let Some(port) = self.store_port {
            let port = u64::from(port).try_into().unwrap();
            (redis.port, postgres.port) = (port, port);
        }
        if let Some(user) = &self.user {
            postgres.user = user.clone().try_into().unwrap();
        }
        let adopts = self.adopts;
        let sink = |role| from(json!({"role": role, "batch_sales": batch_sales, "adopt_new_kafka": adopts}));
        let config = match self.role {
            Role::Spout => {
                let instance = format!("{:08x}", rand::random::<u32>());
                let spout = json!({"role": "spout", "instance": instance, "adopt_new_kafka": adopts});
                Config::Spout(from(spout), postgres)
            }
            Role::Redis => Config::Redis(sink("redis"), redis),
            _ => Config::Postgres(sink("postgres"), postgres),
        };
        let metrics = Arc::new(Metrics::default());
        let (health, shutdown) = (Health::default(), CancellationToken::new());
        let ended = tokio::spawn(etl::run(
            self.kafka.clone(),
            config,
            habits,
            Arc::clone(&metrics),
            health.clone(),
            shutdown.clone(),
        ));
        Instance { metrics, health, shutdown: shutdown.drop_guard(), ended }
    }

    /// Puts sales into the topics of their states, `batch` of them in each Kafka transaction.
    pub(crate) fn send(&self, sales: &[Sale], batch: usize) {
        self.send_slowly(sales, batch, Duration::ZERO);
    }

    /// The same, with a rest after each.
    pub(crate) fn send_slowly(&self, sales: &[Sale], batch: usize, rest: Duration) {
        // What the tests send must come through, however busy the machine is.
        let mut producer = self.kafka.transactional_producer(&format!("{}-sender", self.name));
        producer.set("transaction.timeout.ms", LIMIT.as_millis().to_string());
        let producer: BaseProducer = producer.create().unwrap();
        producer.init_transactions(LIMIT).unwrap();
        for batch in sales.chunks(batch) {
            producer.begin_transaction().unwrap();
            for sale in batch {
                let header = SaleHeader { id: sale.id, due_us: service::unix_us(), state: sale.state() };
                self.put(&producer, sale, &serde_json::to_vec(sale).unwrap(), header);
            }
            kafka::flush(&producer, LIMIT).unwrap();
            producer.commit_transaction(LIMIT).unwrap();
            std::thread::sleep(rest);
        }
    }

    /// Puts a record that names this sale but is none into its state's topic.
    pub(crate) fn send_malformed(&self, sale: &Sale) {
        let producer: BaseProducer = self.kafka.idempotent_producer().create().unwrap();
        let header = SaleHeader { id: sale.id, due_us: service::unix_us(), state: sale.state() };
        self.put(&producer, sale, br#"{"no":"sale"}"#, header);
        producer.flush(LIMIT).unwrap();
    }

    fn put(&self, producer: &BaseProducer, sale: &Sale, body: &[u8], header: SaleHeader) {
        let topic = self.kafka.names().state(header.state);
        let key = sale.store.id.to_string();
        let record = || BaseRecord::to(&topic).key(&key).payload(body).headers(header.to_owned_headers());
        while let Err((err, _)) = producer.send(record()) {
            assert_eq!(err.rdkafka_error_code(), Some(RDKafkaErrorCode::QueueFull), "{err}");
            producer.poll(Duration::from_millis(1));
        }
    }

    pub(crate) async fn counts(&self, block: BlockId) -> Result<Counts, stores::Error> {
        let counts = match self.role {
            Role::Redis => stores::redis::Reader::new(self.redis()).counts(&[block]).await,
            _ => stores::postgres::Reader::new(self.postgres()).counts(&[block]).await,
        };
        counts.map(|counts| counts[0])
    }

    pub(crate) async fn positions(&self) -> Positions {
        match self.role {
            Role::Redis => stores::redis::Reader::new(self.redis()).positions().await.unwrap(),
            _ => stores::postgres::Reader::new(self.postgres()).positions().await.unwrap(),
        }
    }

    /// Waits until `found` sales of the block are in the store, and sees that none came twice.
    pub(crate) async fn expect(&self, block: BlockId, found: usize) {
        let deadline = Instant::now() + LIMIT;
        loop {
            let counts = self.counts(block).await;
            if matches!(counts, Ok(Counts { found: n, .. }) if n >= found as u64) {
                assert_eq!(counts.unwrap(), Counts { found: found as u64, conflicts: 0 });
                return;
            }
            assert!(Instant::now() < deadline, "{counts:?} of {found} after {} s", LIMIT.as_secs());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// A running role; stops when dropped.
pub(crate) struct Instance {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) health: Health,
    shutdown: DropGuard,
    ended: JoinHandle<anyhow::Result<()>>,
}

impl Instance {
    pub(crate) async fn stop(self) -> Arc<Metrics> {
        drop(self.shutdown);
        tokio::time::timeout(LIMIT, self.ended).await.expect("it stops").unwrap().unwrap();
        self.metrics
    }

    /// What it says when it ends by itself.
    pub(crate) async fn last_words(self) -> String {
        let ended = tokio::time::timeout(LIMIT, self.ended).await.expect("it ends").unwrap();
        format!("{:#}", ended.expect_err("it ends with an error"))
    }
}

pub(crate) fn block_id() -> BlockId {
    BlockId { run: 0x9f3a_1c22, loader: 0, block: 0 }
}

/// One block of generated sales.
pub(crate) fn sales() -> Vec<Sale> {
    Petstore::new(Parameters::default()).unwrap().block(block_id()).to_sales()
}

/// Waits for an effect.
pub(crate) async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !is_so().await {
        assert!(Instant::now() < deadline, "not within {} s: {what}", LIMIT.as_secs());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn from<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("the variables make a configuration")
}
