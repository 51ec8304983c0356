//! A real loader against a real Kafka, and what can be read of both.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use kafka::SaleHeader;
use kafka::blocks::{Phase, Published, read_all};
use petstore::{BlockId, Petstore, Sale, SaleId};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Message, Offset, TopicPartitionList};
use service::Report;
use test_servers::Servers;

/// What a loader or Kafka may take to do what is waited for; a busy machine is slow, a stuck one is found out.
pub const LIMIT: Duration = Duration::from_secs(90);

/// A Kafka of this test's own, by its prefix, on the broker that all tests share.
pub struct Kafka {
    pub config: kafka::Config,
    servers: Servers,
}

impl Kafka {
    pub fn new() -> Self {
        let servers = Servers::running();
        let prefix = format!("loader-test-{:08x}-", rand::random::<u32>());
        let mut config: kafka::Config = servers.kafka(&prefix);
        // As many as the chart makes.
        config.sales_partitions = 12.try_into().unwrap();
        Self { config, servers }
    }

    /// Stops the broker for so long, as a machine that hangs does.
    pub async fn pause(&self, pause: Duration) {
        self.servers.signal("kafka", "STOP");
        tokio::time::sleep(pause).await;
        self.servers.signal("kafka", "CONT");
    }

    /// All blocks, with what was committed of them last.
    pub fn blocks(&self) -> Vec<Published> {
        self.wait_for_markers();
        read_all(&self.config, LIMIT).unwrap()
    }

    /// Kafka confirms a commit before its marker is in the log, and until then readers don't see what was committed.
    fn wait_for_markers(&self) {
        let asker =
            |isolation| -> BaseConsumer { self.config.reader().set("isolation.level", isolation).create().unwrap() };
        let (all, committed) = (asker("read_uncommitted"), asker("read_committed"));
        let end = |asker: &BaseConsumer| {
            asker.fetch_watermarks(&self.config.names().blocks(), 0, LIMIT).map_or(0, |(_, end)| end)
        };
        let deadline = Instant::now() + LIMIT;
        while end(&committed) < end(&all) {
            assert!(Instant::now() < deadline, "a transaction on the topic of blocks stays open");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Every record of `sales`, in the order of each partition.
    pub fn sales(&self) -> Vec<Record> {
        let consumer: BaseConsumer = self.config.reader().set("enable.partition.eof", "true").create().unwrap();
        let mut partitions = TopicPartitionList::new();
        for partition in 0..self.config.sales_partitions.get() {
            partitions.add_partition_offset(&self.config.names().sales(), partition, Offset::Beginning).unwrap();
        }
        consumer.assign(&partitions).unwrap();
        // A set: one partition may say more than once that it has ended.
        let (mut sales, mut ended) = (Vec::new(), BTreeSet::new());
        let deadline = Instant::now() + LIMIT;
        while ended.len() < partitions.count() {
            assert!(Instant::now() < deadline, "reading the sales took longer than {LIMIT:?}");
            match consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => sales.push(Record {
                    header: SaleHeader::from_message(&message).unwrap(),
                    key: String::from_utf8(message.key().unwrap().to_vec()).unwrap(),
                    sale: serde_json::from_slice(message.payload().unwrap()).unwrap(),
                }),
                Some(Err(KafkaError::PartitionEOF(partition))) => drop(ended.insert(partition)),
                _ => {}
            }
        }
        sales
    }

    /// Checks the account against what is there, as an auditor does: what was acknowledged is there exactly once, what
    /// is unknown at most once, and nothing else is there. Returns how many sales were acknowledged and are unknown.
    pub fn audit(&self) -> Audit {
        let mut found: BTreeMap<SaleId, u32> = BTreeMap::new();
        for record in self.sales() {
            *found.entry(record.header.id).or_default() += 1;
        }
        let twice: Vec<&SaleId> = found.iter().filter(|(_, times)| **times > 1).map(|(id, _)| id).collect();
        assert!(twice.is_empty(), "{} are there twice: {:?}", twice.len(), twice.first());
        let mut audit = Audit { acknowledged: 0, unknown: 0, blocks: self.blocks() };
        for Published { id, record, .. } in &audit.blocks {
            let acknowledged: BTreeSet<u32> = record.acknowledged.iter().collect();
            for index in &acknowledged {
                assert!(found.remove(&id.sale(*index)).is_some(), "{} is lost", id.sale(*index));
            }
            audit.acknowledged += acknowledged.len();
            let unknown = found.range(id.sale(0)..=id.sale(u32::MAX)).map(|(id, _)| *id).collect::<Vec<_>>();
            for sale in unknown {
                assert!(record.end.is_none_or(|end| sale.index < end), "{sale} was never sent, says {record:?}");
                found.remove(&sale);
                audit.unknown += 1;
            }
        }
        assert!(found.is_empty(), "no block was reserved for {:?}", found.first_key_value());
        audit
    }
}

pub struct Record {
    pub header: SaleHeader,
    pub key: String,
    pub sale: Sale,
}

pub struct Audit {
    pub acknowledged: usize,
    pub unknown: usize,
    pub blocks: Vec<Published>,
}

impl Audit {
    pub fn ids(&self, phase: Phase) -> Vec<BlockId> {
        let mut ids: Vec<BlockId> =
            self.blocks.iter().filter(|block| block.record.phase == phase).map(|block| block.id).collect();
        ids.sort_unstable();
        ids
    }

    /// The block as its own record says it was generated.
    pub fn regenerate(&self, id: BlockId) -> Vec<Sale> {
        let block = self.blocks.iter().find(|block| block.id == id).unwrap();
        Petstore::new(block.record.parameters.clone()).unwrap().block(id).to_sales()
    }
}

/// The program, running.
pub struct Loader {
    child: Child,
    admin: String,
    log: PathBuf,
}

impl Loader {
    /// Starts ordinal 0 with these variables beside `LOADER_ORDINAL`.
    pub fn start(kafka: &Kafka, variables: &[(&str, &str)]) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let admin = format!("127.0.0.1:{port}");
        // A file, not a pipe: nobody reads while it runs.
        let log = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}{port}.log", kafka.config.prefix));
        let child = Command::new(env!("CARGO_BIN_EXE_kapture-loader"))
            .envs(kafka.servers.environment("kafka"))
            .env("KAFKA_PREFIX", kafka.config.prefix.as_str())
            .env("KAFKA_SALES_PARTITIONS", kafka.config.sales_partitions.to_string())
            .env("SERVICE_ADMIN_ADDR", &admin)
            .env("LOADER_ORDINAL", "0")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Self { child, admin, log }
    }

    /// Address of its admin port.
    pub fn admin(&self) -> &str {
        &self.admin
    }

    /// Lets all of its threads run on one CPU only, and after all other programs.
    pub fn confine_to_cpu_0(&self) {
        let pid = self.child.id().to_string();
        for command in [["taskset", "-acp", "0"], ["renice", "-n", "19"]] {
            let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
            let tasks = tasks.map(|task| task.unwrap().file_name().into_string().unwrap());
            let of = if command[0] == "taskset" { vec![pid.clone()] } else { tasks.collect() };
            let done = Command::new(command[0]).args(&command[1..]).args(of).stdout(Stdio::null()).status().unwrap();
            assert!(done.success(), "{command:?}");
        }
    }

    pub async fn report(&self) -> Option<Report> {
        let body = service::http::get(&self.admin, "/report", Duration::from_secs(5)).await.ok()?;
        serde_json::from_slice(&body).ok()
    }

    pub async fn is_ready(&self) -> bool {
        service::http::get(&self.admin, "/readyz", Duration::from_secs(5)).await.is_ok()
    }

    pub async fn is_live(&self) -> bool {
        service::http::get(&self.admin, "/livez", Duration::from_secs(5)).await.is_ok()
    }

    /// Waits until a report says what is wanted.
    pub async fn reports(&mut self, what: &str, wanted: impl Fn(&BTreeMap<String, u64>) -> bool) -> Report {
        let deadline = Instant::now() + LIMIT;
        let mut last = None;
        while Instant::now() < deadline {
            if let Some(report) = self.report().await {
                if wanted(&report.counters) {
                    return report;
                }
                last = Some(report.counters);
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("ended with {status} before {what}: {}", self.log());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("not within {LIMIT:?}: {what}; last report: {last:?}");
    }

    pub fn signal(&self, name: &str) {
        signal(name, &self.child.id().to_string());
    }

    /// The names of its threads.
    pub fn threads(&self) -> Vec<String> {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let name =
            |thread: std::io::Result<std::fs::DirEntry>| std::fs::read_to_string(thread.ok()?.path().join("comm")).ok();
        threads.filter_map(name).map(|name| name.trim().to_owned()).collect()
    }

    /// Waits for the end, and returns it with the log.
    pub async fn ended(mut self) -> (ExitStatus, String) {
        let deadline = Instant::now() + LIMIT;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status, self.log());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("did not end within {LIMIT:?}");
    }

    /// Asks it to end, and sees that it does so in good order.
    pub async fn stop(self) -> String {
        self.signal("TERM");
        let (status, log) = self.ended().await;
        assert!(status.success(), "ended with {status}: {log}");
        log
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if !std::thread::panicking() {
            let _ = std::fs::remove_file(&self.log);
        }
    }
}

fn signal(name: &str, pid: &str) {
    assert!(Command::new("kill").args(["-s", name, pid]).status().unwrap().success(), "kill -s {name} {pid}");
}
