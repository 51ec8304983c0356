//! For tests only: the real Kafka, Postgres and Redis that `ci/servers up` runs.
//!
//! The variable `KAPTURE_SERVERS` is the path of its file `servers.env`. Everything here panics with the remedy, because tests
//! have no caller to return an error to.
//!
//! Beside them, [`bounds`]: what the chart and the programs both accept.

pub mod bounds;
mod limit;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Partitions of `sales` in a test's own part of Kafka.
const SALES_PARTITIONS: i32 = 3;

/// How to reach the servers, as of when the file was read: one that is restarted has another pid.
#[derive(Clone, Debug)]
pub struct Servers {
    file: PathBuf,
    variables: HashMap<String, String>,
}

impl Servers {
    /// Reads the file that `KAPTURE_SERVERS` names, and limits the time of the test that asks.
    ///
    /// # Panics
    ///
    /// Without the variable, or without that file.
    pub fn running() -> Self {
        limit::start();
        let file = std::env::var("KAPTURE_SERVERS");
        let file =
            PathBuf::from(file.expect("set KAPTURE_SERVERS to the servers.env that `ci/servers up` has written"));
        let text = std::fs::read_to_string(&file).unwrap_or_else(|err| panic!("reading {}: {err}", file.display()));
        let variable = |line: &str| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self { variables: text.lines().filter_map(variable).collect(), file }
    }

    /// A variable such as `REDIS_PORT`.
    ///
    /// # Panics
    ///
    /// If there is no variable of that name.
    pub fn get(&self, name: &str) -> &str {
        self.variables.get(name).unwrap_or_else(|| panic!("{} has no {name}", self.file.display()))
    }

    /// The variables by which a program reaches `server`, such as `kafka`.
    pub fn environment(&self, server: &str) -> impl Iterator<Item = (&str, &str)> {
        let prefix = format!("{}_", server.to_uppercase());
        let variables = self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        variables.filter(move |(name, _)| name.starts_with(&prefix) && !name.ends_with("_PID"))
    }

    /// A part of Kafka of the test's own, by its prefix: a `kafka::Config`.
    pub fn kafka<T: DeserializeOwned>(&self, prefix: &str) -> T {
        config(json!({
            "bootstrap_servers": self.get("KAFKA_BOOTSTRAP_SERVERS"),
            "username": self.get("KAFKA_USERNAME"),
            "password": self.get("KAFKA_PASSWORD"),
            "prefix": prefix,
            "sales_partitions": SALES_PARTITIONS,
        }))
    }

    /// A part of Redis of the test's own, by its prefix: a `stores::redis::Config`.
    pub fn redis<T: DeserializeOwned>(&self, prefix: &str) -> T {
        config(json!({
            "host": self.get("REDIS_HOST"),
            "port": self.number("REDIS_PORT"),
            "password": self.get("REDIS_PASSWORD"),
            "prefix": prefix,
        }))
    }

    /// A part of Postgres of the test's own, by its schema: a `stores::postgres::Config`.
    pub fn postgres<T: DeserializeOwned>(&self, schema: &str) -> T {
        config(json!({
            "host": self.get("POSTGRES_HOST"),
            "port": self.number("POSTGRES_PORT"),
            "database": self.get("POSTGRES_DATABASE"),
            "user": self.get("POSTGRES_USER"),
            "password": self.get("POSTGRES_PASSWORD"),
            "schema": schema,
        }))
    }

    /// Sends a signal such as `STOP` to a server.
    ///
    /// # Panics
    ///
    /// If it is not running.
    pub fn signal(&self, server: &str, signal: &str) {
        let pid = self.get(&format!("{}_PID", server.to_uppercase()));
        let status = Command::new("kill").args(["-s", signal, pid]).status().expect("kill is there");
        assert!(status.success(), "kill -s {signal} {pid}, which is {server}");
    }

    /// Sends SIGKILL: nothing is flushed.
    pub fn kill(&self, server: &'static str) -> Killed {
        self.signal(server, "KILL");
        Killed { server, directory: self.file.parent().unwrap_or(Path::new(".")).to_owned() }
    }

    fn number(&self, name: &str) -> u16 {
        self.get(name).parse().unwrap_or_else(|err| panic!("{name}={}: {err}", self.get(name)))
    }
}

fn config<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("the variables make a configuration")
}

/// A server that was killed. It is restarted when this is dropped, so that a test that fails does not make others fail.
#[derive(Debug)]
pub struct Killed {
    server: &'static str,
    directory: PathBuf,
}

impl Drop for Killed {
    fn drop(&mut self) {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../ci/servers");
        let started = Command::new(script).args(["start", self.server]).arg(&self.directory).output();
        if !std::thread::panicking() {
            let started = started.expect("ci/servers is there");
            assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
        }
    }
}
