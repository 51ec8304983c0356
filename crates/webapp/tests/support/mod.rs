//! The shop, running in front of a real Kafka, and its customers.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use petstore::{Block, BlockId, Parameters, Petstore};
use service::client::{Connection, Unanswered};
use service::http::{Answer, Bytes, HeaderValue, Method, request};
use service::{Report, shop};
use test_servers::Servers;

/// What is waited for may take so long; a busy machine is slow, a stuck one is found out.
pub const LIMIT: Duration = Duration::from_mins(1);

pub struct Shop {
    child: Child,
    pub address: String,
    admin: String,
    log: PathBuf,
    pub prefix: String,
    pub kafka: kafka::Config,
}

impl Shop {
    /// Opens one with these variables, with a part of Kafka and of Redis of its own.
    pub async fn open(servers: &Servers, variables: &[(&str, &str)]) -> Self {
        let prefix = format!("webapp-test-{:08x}-", rand::random::<u32>());
        let free = || std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let ports = [free(), free()].map(|listener| listener.local_addr().unwrap().to_string());
        let [address, admin] = ports;
        let log = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{prefix}.log"));
        let kafka: kafka::Config = servers.kafka(&prefix);
        let child = Command::new(env!("CARGO_BIN_EXE_kapture-webapp"))
            .envs(servers.environment("kafka"))
            .env("KAFKA_PREFIX", &prefix)
            .env("KAFKA_SALES_PARTITIONS", kafka.sales_partitions.to_string())
            .env("SERVICE_ADMIN_ADDR", &admin)
            .env("WEBAPP_HTTP_ADDR", &address)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let shop = Self { child, address, admin, log, prefix, kafka };
        let deadline = Instant::now() + LIMIT;
        while service::http::get(&shop.admin, "/readyz", Duration::from_secs(5)).await.is_err() {
            assert!(Instant::now() < deadline, "it is not ready: {}", shop.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        shop
    }

    pub async fn report(&self) -> Report {
        let body = service::http::get(&self.admin, "/report", Duration::from_secs(5)).await.unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    pub async fn customer(&self) -> Customer {
        Customer(Connection::open(&self.address).await.unwrap())
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Waits for its end, and returns whether it was a good one.
    pub async fn ended(&mut self) -> bool {
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.success();
            }
            assert!(Instant::now() < deadline, "it does not end: {}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if !std::thread::panicking() {
            let _ = std::fs::remove_file(&self.log);
        }
    }
}

/// Somebody with a connection that stays open.
pub struct Customer(Connection);

impl Customer {
    pub async fn buy(&mut self, body: impl Into<Bytes>, due: Option<&str>) -> Result<Answer, Unanswered> {
        let mut request = request(Method::POST, shop::SALES, body.into());
        if let Some(due) = due {
            request.headers_mut().insert(shop::DUE, HeaderValue::from_str(due).unwrap());
        }
        self.0.ask(request).await
    }

    pub async fn ask(&mut self, method: Method, path: &str) -> Answer {
        self.0.ask(request(method, path, Bytes::new())).await.unwrap()
    }
}

/// Some hundreds of sales.
pub fn block() -> Block {
    let parameters = Parameters { customers: 200, days: 30, ..Parameters::default() };
    Petstore::new(parameters).unwrap().block(BlockId { run: 7, loader: 0, block: 0 })
}

pub fn bodies(block: &Block) -> Vec<Vec<u8>> {
    let encoded = |sale: petstore::Generated<'_>| {
        let mut body = Vec::new();
        sale.write_json(&mut body);
        body
    };
    block.from(0).map(encoded).collect()
}
