//! A hand-made pipeline on the real servers that `ci/servers up` runs: each test writes what it wants to be found.
#![allow(dead_code, unreachable_pub, unused_imports, reason = "each test binary uses its part")]

mod exporter;
mod pipeline;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use kafka::blocks::{BlockRecord, Phase};
use kafka::{Logs, Partition, Ranges, SaleHeader, Topic};
use petstore::{BlockId, Parameters, Petstore, Sale, State};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use service::account::Account;
use stores::{Outcome, Part, Record, Store};
use test_servers::Servers;
use tokio_util::sync::CancellationToken;

pub use self::exporter::Exporter;
pub use self::pipeline::{Message, Pipeline};

/// What an auditor may take to find out; a busy machine is slow, a stuck one is found out.
pub const LIMIT: Duration = Duration::from_mins(1);
pub const DUE_US: i64 = 1_700_000_000_000_001;

/// What is there before an auditor starts.
const TOPICS: [Topic; 5] = [Topic::Sales, Topic::States, Topic::Rejected, Topic::Receipts, Topic::Blocks];

/// A block of the run, small enough to be made in no time.
pub const BLOCK: BlockId = BlockId { run: 0x9f3a_1c22, loader: 3, block: 17 };

/// A Kafka, a Redis and a Postgres of this test's own, by prefix and schema.
pub struct World {
    pub kafka: kafka::Config,
    pub redis: stores::redis::Config,
    pub postgres: stores::postgres::Config,
    pub servers: Servers,
    pub schema: String,
    clients: Clients,
    /// What this test has put on the states' topics.
    routed: BTreeMap<State, Vec<Sale>>,
}

/// What the test writes with, in place of the pipeline's roles.
struct Clients {
    loader: BaseProducer,
    transactions: BaseProducer,
    fan_out: BaseConsumer,
    spout: BaseConsumer,
    logs: Logs,
}

impl Clients {
    fn new(kafka: &kafka::Config, schema: &str) -> Self {
        Self {
            loader: kafka.idempotent_producer().create().unwrap(),
            transactions: transactions(kafka, &format!("{schema}-test")),
            fan_out: kafka.member("fan-out").create().unwrap(),
            spout: kafka.member("spout").create().unwrap(),
            logs: Logs::new(kafka, "reader", LIMIT).unwrap(),
        }
    }
}

impl World {
    pub async fn new() -> Self {
        service::init_tracing();
        let servers = Servers::running();
        let schema = format!("auditor-test-{:08x}", rand::random::<u32>());
        let kafka: kafka::Config = servers.kafka(&format!("{schema}-"));
        let (redis, postgres) = (servers.redis(&format!("{schema}-")), servers.postgres(&schema));
        kafka.ensure_topics(&TOPICS, &CancellationToken::new()).await.unwrap();
        let clients = Clients::new(&kafka, &schema);
        Self { kafka, redis, postgres, servers, schema, clients, routed: BTreeMap::new() }
    }

    /// Both stores are watched.
    pub fn stores(&self, returned: bool) -> auditor::Stores {
        auditor::Stores {
            redis: Some(auditor::Store::redis(self.redis.clone())),
            postgres: Some(auditor::Store::postgres(self.postgres.clone())),
            returned,
        }
    }

    /// Postgres alone is watched.
    pub fn only_postgres(&self) -> auditor::Stores {
        auditor::Stores { redis: None, ..self.stores(false) }
    }

    /// A connection to this test's schema of Postgres.
    pub async fn sql(&self) -> tokio_postgres::Client {
        let variable = |name: &str| self.servers.get(name);
        let mut config = tokio_postgres::Config::new();
        config.host(variable("POSTGRES_HOST")).port(variable("POSTGRES_PORT").parse().unwrap());
        config.dbname(variable("POSTGRES_DATABASE")).user(variable("POSTGRES_USER"));
        config.password(variable("POSTGRES_PASSWORD"));
        let (client, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute(&format!("SET search_path TO \"{}\"", self.schema)).await.unwrap();
        client
    }

    /// Takes everything from Kafka, as a broker without persistence does that is replaced, and makes the topics again.
    pub async fn replace_kafka(&mut self) {
        let admin: AdminClient<DefaultClientContext> = self.kafka.client().create().unwrap();
        let topics = || -> Vec<String> {
            let metadata = admin.inner().fetch_metadata(None, LIMIT).unwrap();
            let names = metadata.topics().iter().map(|topic| topic.name().to_owned());
            names.filter(|name| name.starts_with(self.kafka.prefix.as_str())).collect()
        };
        let names = topics();
        self.delete(&names).await;
        let begun = Instant::now();
        while !topics().is_empty() {
            assert!(begun.elapsed() < LIMIT, "the topics are still there");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        self.kafka.ensure_topics(&TOPICS, &CancellationToken::new()).await.unwrap();
        self.clients = Clients::new(&self.kafka, &self.schema);
        self.routed.clear();
    }

    /// Deletes topics.
    pub async fn delete(&self, topics: &[String]) {
        let admin: AdminClient<DefaultClientContext> = self.kafka.client().create().unwrap();
        let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
        for deleted in admin.delete_topics(&topics, &AdminOptions::new()).await.unwrap() {
            deleted.unwrap();
        }
    }

    /// The sales of a block that is closed, and whole on `sales` and the states' topics.
    pub fn routed(&mut self, id: BlockId) -> Vec<Sale> {
        let sales = self.account_whole(id);
        self.flow(&sales);
        sales
    }

    /// Puts sales on `sales` and their states' topics, so that the fan-out has passed them.
    pub fn flow<'a>(&mut self, sales: impl IntoIterator<Item = &'a Sale> + Clone) {
        self.accept(sales.clone());
        self.route(sales);
        self.fan_out_has_passed_all();
    }

    /// What a loader would send of a block.
    pub fn sales(id: BlockId) -> Vec<Sale> {
        Petstore::new(parameters()).unwrap().block(id).to_sales()
    }

    /// Says on the loaders' account that the first `acknowledged` sales of a block were.
    pub fn account(&self, id: BlockId, phase: Phase, acknowledged: u32) {
        self.account_since(Duration::from_secs(1), id, phase, acknowledged);
    }

    /// The same of a block that was reserved so long ago.
    pub fn account_since(&self, age: Duration, id: BlockId, phase: Phase, acknowledged: u32) {
        self.publish(age, Duration::ZERO, id, phase, acknowledged);
    }

    /// The same of a block that was closed so long ago.
    pub fn account_closed(&self, age: Duration, id: BlockId, acknowledged: u32) {
        self.publish(age, age, id, Phase::Closed, acknowledged);
    }

    fn publish(&self, reserved: Duration, said: Duration, id: BlockId, phase: Phase, acknowledged: u32) {
        let ago = |age: Duration| service::unix_us() - i64::try_from(age.as_micros()).unwrap();
        let record = BlockRecord {
            incarnation: 1,
            parameters: parameters(),
            phase,
            acknowledged: Ranges::from(vec![(0, acknowledged)]),
            end: (phase == Phase::Closed).then_some(acknowledged),
            load: None,
            reserved_at_us: ago(reserved),
            updated_at_us: ago(said),
        };
        let value = serde_json::to_vec(&record).unwrap();
        let (topic, key) = (self.kafka.names().blocks(), id.to_string());
        self.transaction(|producer| {
            producer.send(BaseRecord::to(&topic).key(&key).payload(&value)).map_err(|(err, _)| err).unwrap();
        });
    }

    /// Puts sales on `sales`, as a loader does.
    pub fn accept<'a>(&self, sales: impl IntoIterator<Item = &'a Sale>) {
        let topic = self.kafka.names().sales();
        sales.into_iter().for_each(|sale| send(&self.clients.loader, &topic, sale));
        self.clients.loader.flush(LIMIT).unwrap();
    }

    /// Puts sales on their states' topics in one transaction, as the fan-out does.
    pub fn route<'a>(&mut self, sales: impl IntoIterator<Item = &'a Sale>) {
        let sales: Vec<&Sale> = sales.into_iter().collect();
        let names = self.kafka.names();
        self.transaction(|producer| {
            for sale in &sales {
                send(producer, &names.state(sale.state()), sale);
            }
        });
        for sale in sales {
            self.routed.entry(sale.state()).or_default().push(sale.clone());
        }
    }

    /// Puts the receipts of sales on `receipts`, as the spout does.
    pub fn give_back<'a>(&self, sales: impl IntoIterator<Item = &'a Sale>) {
        let pipeline = Pipeline { receipts: sales.into_iter().map(Message::receipt).collect(), ..Pipeline::default() };
        pipeline.give_back(self);
    }

    /// Puts sales on `sales.rejected`.
    pub fn reject<'a>(&self, sales: impl IntoIterator<Item = &'a Sale>) {
        let topic = self.kafka.names().rejected();
        self.transaction(|producer| sales.into_iter().for_each(|sale| send(producer, &topic, sale)));
    }

    /// Puts one sale on a state's topic that isn't its own.
    pub fn misroute(&self, sale: &Sale, state: State) {
        let topic = self.kafka.names().state(state);
        self.transaction(|producer| send(producer, &topic, sale));
    }

    /// Commits, as the fan-out, all that is on `sales`.
    pub fn fan_out_has_passed_all(&self) {
        self.clients.fan_out.commit(&self.ends_of_sales(), CommitMode::Sync).unwrap();
    }

    /// Commits, as the spout, all that is on the states' topics.
    pub fn spout_has_passed_all(&self) {
        self.clients.spout.commit(&self.ends(State::ALL), CommitMode::Sync).unwrap();
    }

    /// The offset behind the last record of a state's topic.
    pub fn end_of(&self, state: State) -> i64 {
        self.clients.logs.end(&self.kafka.names().state(state)).unwrap()
    }

    /// Deletes what was routed below these offsets, as Kafka does with what is beyond its limits.
    pub async fn forget(&self, ends: &TopicPartitionList) {
        let admin: AdminClient<DefaultClientContext> = self.kafka.client().create().unwrap();
        let deleted = admin.delete_records(ends, &AdminOptions::new()).await.unwrap();
        deleted.elements().iter().for_each(|element| element.error().unwrap());
    }

    /// Where the topics of some states end.
    pub fn ends(&self, states: impl IntoIterator<Item = State>) -> TopicPartitionList {
        let states: BTreeSet<State> = states.into_iter().collect();
        self.ends_of(states.into_iter().map(|state| (self.kafka.names().state(state), 0)).collect())
    }

    /// Where the partitions of `sales` end.
    pub fn ends_of_sales(&self) -> TopicPartitionList {
        let topic = self.kafka.names().sales();
        self.ends_of((0..self.kafka.sales_partitions.get()).map(|partition| (topic.clone(), partition)).collect())
    }

    /// Where logs end, be their last transactions settled or not: a marker may come a moment after the commit.
    fn ends_of(&self, partitions: Vec<Partition>) -> TopicPartitionList {
        let ends = self.clients.logs.ends(&partitions).unwrap().into_iter().map(Offset::Offset);
        TopicPartitionList::from_topic_map(&partitions.into_iter().zip(ends).collect()).unwrap()
    }

    /// Begins a transaction with a record on `sales`: until it ends, nobody can read what comes after that.
    pub fn hide_the_end_of_sales(&self) -> BaseProducer {
        let producer = transactions(&self.kafka, &format!("{}-open", self.schema));
        producer.begin_transaction().unwrap();
        let topic = self.kafka.names().sales();
        producer.send(BaseRecord::<str, str>::to(&topic).payload("hidden")).map_err(|(err, _)| err).unwrap();
        producer.flush(LIMIT).unwrap();
        producer
    }

    /// Writes to a store all that was routed, but for the sales at these indices of any block, as its role does.
    pub async fn fill(&self, store: &mut impl Store, leave_out: &[u32]) {
        for (state, sales) in &self.routed {
            // Offsets need not be right, only in order: the store is asked to be past the last one.
            let kept = sales.iter().filter(|sale| !leave_out.contains(&sale.id.index));
            let records = kept.zip(0..).map(|(sale, offset)| Record::new(sale.clone(), DUE_US, offset).unwrap());
            let part = Part {
                partition: (self.kafka.names().state(*state), 0),
                expected: 0,
                next: self.end_of(*state),
                records: records.collect(),
            };
            assert_eq!(store.positions(std::slice::from_ref(&part.partition)).await.unwrap(), [0]);
            let outcomes = store.write(&[part]).await.unwrap();
            assert_eq!(outcomes, [Outcome::Written { conflicts: 0 }]);
        }
    }

    /// Which Kafka this is, for a store's positions.
    pub async fn installation(&self) -> String {
        self.kafka.installation(&CancellationToken::new()).await.unwrap().to_string()
    }

    pub fn transaction(&self, work: impl FnOnce(&BaseProducer)) {
        let producer = &self.clients.transactions;
        producer.begin_transaction().unwrap();
        work(producer);
        producer.commit_transaction(LIMIT).unwrap();
    }
}

/// What the tests write must come through, however busy the machine is.
fn transactions(kafka: &kafka::Config, id: &str) -> BaseProducer {
    let mut transactions = kafka.transactional_producer(id);
    transactions.set("transaction.timeout.ms", LIMIT.as_millis().to_string());
    let transactions: BaseProducer = transactions.create().unwrap();
    transactions.init_transactions(LIMIT).unwrap();
    transactions
}

/// 20 days make a few hundred sales.
pub fn parameters() -> Parameters {
    Parameters { customers: 200, days: 20, ..Parameters::default() }
}

pub fn count(sales: &[Sale]) -> u32 {
    u32::try_from(sales.len()).unwrap()
}

/// A state that isn't this one.
pub fn other(state: State) -> State {
    if state == State::Ny { State::Ca } else { State::Ny }
}

fn send(producer: &BaseProducer, topic: &str, sale: &Sale) {
    Message::of(sale).send(producer, topic);
}

/// An address that nobody listens on.
pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A live auditor, inside of the test.
pub struct Auditor {
    address: SocketAddr,
    shutdown: CancellationToken,
    running: Option<tokio::task::JoinHandle<anyhow::Result<()>>>,
}

/// A test that fails must not leave its threads running: the runtime would wait for them.
impl Drop for Auditor {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl Auditor {
    pub fn start(kafka: &kafka::Config, stores: auditor::Stores) -> Self {
        let (address, shutdown) = (free_address(), CancellationToken::new());
        let service = service::Config { admin_addr: address, ..service::Config::default() };
        let running = {
            let (kafka, shutdown) = (kafka.clone(), shutdown.clone());
            tokio::spawn(async move { auditor::live::run(&service, kafka, stores, shutdown).await })
        };
        Self { address, shutdown, running: Some(running) }
    }

    /// The account, as soon as `enough` says that it is what was waited for.
    pub async fn account(&self, enough: impl Fn(&Account) -> bool) -> Account {
        account(self.address, enough).await
    }

    /// The same, if it comes in time.
    pub async fn within(&self, time: Duration, enough: impl Fn(&Account) -> bool) -> Option<Account> {
        tokio::time::timeout(time, self.account(enough)).await.ok()
    }

    /// The account two rounds of proof from now: all that was written before is judged.
    pub async fn settled(&self) -> Account {
        let now = self.account(|_| true).await.position.rounds;
        self.account(|account| account.position.rounds >= now + 2).await
    }

    /// Waits for a checkpoint that was begun from now on.
    pub async fn checkpointed(&self) {
        let now = Instant::now();
        let written_since = |account: &Account| {
            let age = account.position.checkpoint_age_ms;
            age.is_some_and(|age| u128::from(age) < now.elapsed().as_millis().saturating_sub(1_000))
        };
        self.account(written_since).await;
    }

    pub fn address(&self) -> service::HostPort {
        self.address.to_string().try_into().unwrap()
    }

    /// Waits for its end, which is an error: the error.
    pub async fn last_words(mut self) -> String {
        let ended = tokio::time::timeout(LIMIT, self.running.take().expect("it runs")).await;
        format!("{:#}", ended.expect("it ends by itself").unwrap().unwrap_err())
    }

    pub async fn stop(mut self) {
        self.shutdown.cancel();
        self.running.take().expect("it runs").await.unwrap().unwrap();
    }
}

pub async fn account(address: SocketAddr, enough: impl Fn(&Account) -> bool) -> Account {
    let deadline = Instant::now() + LIMIT;
    let mut last = String::new();
    while Instant::now() < deadline {
        match service::http::get(&address.to_string(), "/api/v1/account", Duration::from_secs(5)).await {
            Ok(body) => {
                let account: Account = serde_json::from_slice(&body).unwrap();
                if enough(&account) {
                    return account;
                }
                last = String::from_utf8_lossy(&body).into_owned();
            }
            Err(err) => last = format!("{err:#}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("not in {LIMIT:?}; last: {last}");
}
