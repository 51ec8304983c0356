//! `KAFKA_*`: how to reach Kafka, and the settings of each kind of client.

use petstore::State;
use rdkafka::ClientConfig;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use service::{BoundedDuration, Secret, Whole};

use crate::{Batching, BootstrapServers, Names, Prefix};

/// Where Kafka is and how its topics are made: the variables `KAFKA_*`.
///
/// Derived for `Self`, so that what is read is checked as a whole before anybody has it: see [`Config::checked`].
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, remote = "Self")]
pub struct Config {
    /// `host:port,host:port`.
    pub bootstrap_servers: BootstrapServers,
    /// Stands before every topic, group and transactional id. Empty for a Kafka of one's own.
    #[serde(default)]
    pub prefix: Prefix,
    /// User for SASL/PLAIN; with a password only.
    #[serde(default)]
    pub username: Option<String>,
    /// Password for SASL/PLAIN. Without one, clients connect in plain text and without a login.
    #[serde(default)]
    pub password: Option<Secret>,
    /// Copies of every topic that is made.
    #[serde(default = "one")]
    pub replication_factor: Copies,
    /// Copies that must have a record before it is acknowledged.
    #[serde(default = "one")]
    pub min_insync_replicas: Copies,
    /// Partitions of `sales` and of `receipts`; counts only when the topic is made.
    #[serde(default = "twelve")]
    pub sales_partitions: SalesPartitions,
    /// Bytes that all topics together may take on one broker; counts only when topics are made. 8 GiB by default.
    #[serde(default = "eight_gib")]
    pub retention_bytes: RetentionBytes,
}

/// Copies of a partition, as the chart allows them.
pub type Copies = Whole<i32, 1, 9>;

/// Partitions of `sales`, as the chart allows them.
pub type SalesPartitions = Whole<i32, 1, 1_000>;

/// What one broker may keep, in bytes: 100 MiB and more.
pub type RetentionBytes = Whole<i64, { 100 << 20 }, { i64::MAX.cast_unsigned() }>;

/// How long a transaction may collect sales: half of what Kafka allows one to last, so that it can still be committed.
pub type TransactionInterval = BoundedDuration<1, { (TRANSACTION_TIMEOUT_MS / 2) as u64 }>;

/// How long one does, unless it is told otherwise: that of the fan-out and of the spout.
pub fn transaction_interval() -> TransactionInterval {
    TransactionInterval::from_ms::<100>()
}

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The derived one, since an inherent function goes before a trait's.
        Self::deserialize(deserializer)?.checked().map_err(D::Error::custom)
    }
}

fn one() -> Copies {
    Copies::try_from(1).expect("one is in range")
}

fn twelve() -> SalesPartitions {
    Whole::try_from(12).expect("twelve is in range")
}

fn eight_gib() -> RetentionBytes {
    Whole::try_from(8 << 30).expect("8 GiB are in range")
}

/// More than a broker takes of one record by default, 1,048,588 bytes: what brokers let in can go on from there.
const MAX_RECORD_BYTES: u32 = 2 << 20;
/// A group member that is silent for longer loses its partitions. Short, so that a killed one is replaced soon.
const SESSION_TIMEOUT_MS: u32 = 10_000;

/// A member polls many times a second, whatever its store does; one that has not for so long hangs. It is also what the
/// coordinator waits for members that don't rejoin: a Kafka 4.1 that was killed may never expire those it had before,
/// and with librdkafka's 5 minutes nothing moves for as long.
const POLL_LIMIT_MS: u32 = 30_000;

/// A transaction open for longer is aborted by Kafka. It bounds how long a killed instance holds up its readers.
const TRANSACTION_TIMEOUT_MS: u32 = 10_000;

/// Records waiting in a consumer: in its one queue, as all partitions of a group's member share it. The default of 64 MiB
/// is a quarter of what a pod has, and each record takes a few hundred bytes more than it has on the wire.
const CONSUMER_QUEUE_KIB: u32 = 16_384;

/// Records waiting in a producer. Full means back-pressure, which its owner must see and report.
const PRODUCER_QUEUE_KIB: u32 = 65_536;

/// The same in a transaction: what a tenth of a second brings at full speed, twice.
const TRANSACTION_QUEUE_KIB: u32 = 32_768;

impl Config {
    /// This configuration, if its values can work together.
    fn checked(self) -> Result<Self, String> {
        let (insync, copies) = (self.min_insync_replicas, self.replication_factor);
        if insync > copies {
            return Err(format!(
                "KAFKA_MIN_INSYNC_REPLICAS={insync} is more than KAFKA_REPLICATION_FACTOR={copies}: nothing would be \
                 acknowledged; set KAFKA_MIN_INSYNC_REPLICAS={copies} or less"
            ));
        }
        let password = self.password.as_ref().map(Secret::expose);
        for (name, text) in [("KAFKA_USERNAME", self.username.as_deref()), ("KAFKA_PASSWORD", password)] {
            if text.is_some_and(|text| text.starts_with(char::is_whitespace)) {
                return Err(format!("{name} begins with a space, which librdkafka leaves out: use one that does not"));
            }
        }
        Ok(self)
    }

    /// The names of topics, groups and transactional ids under this prefix.
    pub fn names(&self) -> Names {
        Names::new(self.prefix.as_str())
    }

    /// What all clients share: the address, the login, and a quick return to a broker that came back elsewhere.
    pub fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client
            .set("bootstrap.servers", self.bootstrap_servers.as_str())
            .set("client.id", "kapture")
            // A broker that vanished without a word is noticed, even by a client that only waits.
            .set("socket.keepalive.enable", "true")
            .set("reconnect.backoff.ms", "100")
            .set("reconnect.backoff.max.ms", "1000")
            // A restarted pod has another address behind the same name.
            .set("broker.address.ttl", "1000")
            .set("topic.metadata.refresh.interval.ms", "10000")
            .set("log.connection.close", "false");
        if let Some(password) = &self.password {
            client
                .set("security.protocol", "SASL_PLAINTEXT")
                .set("sasl.mechanism", "PLAIN")
                .set("sasl.username", self.username.as_deref().unwrap_or("kapture"))
                .set("sasl.password", password.expose());
        }
        client
    }

    /// A consumer that keeps its own position and only sees committed records.
    pub fn reader(&self) -> ClientConfig {
        let mut reader = self.client();
        reader
            // assign() needs a group by name, though none is ever joined.
            .set("group.id", self.names().group("reader"))
            .set("isolation.level", "read_committed")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            // It is told where to begin. Should retention have overtaken that, the first record that is left will do.
            .set("auto.offset.reset", "earliest")
            // The default rests for a whole second once the queue is full, which more than halves a fast reader.
            .set("fetch.queue.backoff.ms", "5")
            .set("queued.max.messages.kbytes", CONSUMER_QUEUE_KIB.to_string())
            // So much of each partition, and of each broker, may come at once, beyond a queue that is nearly full: the default is
            // 50 MiB of each broker, and three of them can send that when a member goes through a backlog of 51 topics.
            .set("fetch.message.max.bytes", "1048576")
            .set("fetch.max.bytes", "8388608");
        reader
    }

    /// A member of the group of `role`.
    pub fn member(&self, role: &str) -> ClientConfig {
        let mut member = self.reader();
        member
            .set("group.id", self.names().group(role))
            // A position that is outside of its log is never moved in silence: see [`crate::RangeCheck`].
            .set("auto.offset.reset", "error")
            .set("session.timeout.ms", SESSION_TIMEOUT_MS.to_string())
            .set("max.poll.interval.ms", POLL_LIMIT_MS.to_string())
            .set("heartbeat.interval.ms", "2000");
        member
    }

    /// A sink: shares the state topics with its like, one by one (by range, all 51 one-partition topics would go to
    /// the first member).
    pub fn sink(&self, role: &str) -> ClientConfig {
        let mut sink = self.member(role);
        sink.set("partition.assignment.strategy", "roundrobin");
        sink
    }

    /// A member whose name survives a restart, so that it gets its partitions back at once.
    pub(crate) fn static_member(&self, role: &str, ordinal: &str) -> ClientConfig {
        let mut member = self.member(role);
        member
            .set("partition.assignment.strategy", "range")
            .set("group.instance.id", self.names().transactional_id(role, ordinal));
        member
    }

    /// A producer that gets each record into its partition once and in order, for as long as it lives.
    ///
    /// One request at a time is on its way to each broker: of several, those behind one that a dying leader refused are
    /// out of order, for which librdkafka begins a new epoch, and with it a record that had arrived can arrive again (its
    /// issue 4953). Java's client doesn't, and may have five on their way.
    ///
    /// It never gives a record up: a Kafka that is away fills the queue, and a full queue is its owner's to report.
    pub fn idempotent_producer(&self) -> ClientConfig {
        let mut producer = self.client();
        producer
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("max.in.flight.requests.per.connection", "1")
            .set("message.timeout.ms", "0")
            .set("partitioner", "murmur2_random")
            .set("queue.buffering.max.kbytes", PRODUCER_QUEUE_KIB.to_string());
        Batching::default().apply(&mut producer);
        producer
    }

    /// A producer for Kafka transactions. The same `transactional_id` in a newer instance fences the older one.
    pub fn transactional_producer(&self, transactional_id: &str) -> ClientConfig {
        let mut producer = self.client();
        producer
            .set("transactional.id", transactional_id)
            .set("transaction.timeout.ms", TRANSACTION_TIMEOUT_MS.to_string())
            .set("message.max.bytes", MAX_RECORD_BYTES.to_string())
            .set("acks", "all")
            // Less often and more at once: librdkafka puts one partition in a request, and there are 52. A commit does not
            // wait for it, as a flush sends at once what lingers.
            .set("linger.ms", "20")
            .set("batch.size", "262144")
            .set("partitioner", "murmur2_random")
            .set("queue.buffering.max.messages", "200000")
            .set("queue.buffering.max.kbytes", TRANSACTION_QUEUE_KIB.to_string())
            // Failures surface in the next transactional call; a report for each success only costs CPU.
            .set("delivery.report.only.error", "true");
        producer
    }

    /// Bytes a partition of `sales` keeps: four tenths of the whole, shared evenly.
    pub(crate) fn sales_partition_bytes(&self) -> i64 {
        self.retention_bytes.get() / 10 * 4 / i64::from(self.sales_partitions.get())
    }

    /// Bytes a partition of `receipts` keeps: half of what one of `sales` does, since a receipt is shorter.
    pub(crate) fn receipts_partition_bytes(&self) -> i64 {
        self.sales_partition_bytes() / 2
    }

    /// Bytes the topic of a state keeps: its share by people and income of three tenths of the whole, by which the chart's
    /// `_validate.tpl` sizes the volume of Postgres.
    pub(crate) fn state_bytes(&self, state: State) -> i64 {
        #[expect(clippy::cast_possible_truncation, reason = "a share of an i64 is an i64")]
        let bytes = (self.retention_bytes.get() as f64 * 0.3 * state.share()) as i64;
        bytes
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::time::Duration;

    use rdkafka::consumer::{BaseConsumer, Consumer};
    use serde_json::json;

    use super::*;

    fn read(json: serde_json::Value) -> Result<Config, String> {
        serde_json::from_value(json).map_err(|err: serde_json::Error| err.to_string())
    }

    #[test]
    fn copies_that_must_have_a_record_are_not_more_than_there_are() {
        let read = |insync: u32, copies: u32| {
            read(json!({"bootstrap_servers": "a:1", "min_insync_replicas": insync, "replication_factor": copies}))
        };
        assert!(read(2, 3).is_ok() && read(9, 9).is_ok());
        assert!(
            read(2, 1).unwrap_err().contains("KAFKA_MIN_INSYNC_REPLICAS=2 is more than KAFKA_REPLICATION_FACTOR=1")
        );
    }

    #[test]
    fn an_unknown_variable_is_refused() {
        assert!(read(json!({"bootstrap_servers": "a:1", "partitions": "1"})).unwrap_err().contains("unknown field"));
    }

    #[test]
    fn a_transaction_collects_for_half_of_its_timeout_at_most() {
        let most = u64::from(TRANSACTION_TIMEOUT_MS / 2);
        assert!(TransactionInterval::try_from(format!("{most}ms")).is_ok());
        assert!(TransactionInterval::try_from(format!("{}ms", most + 1)).is_err());
    }

    #[test]
    fn librdkafka_gets_a_password_unaltered() {
        for password in ["it's", "a\"b", "back\\slash\\n", "inside and behind ", "$HOME ${x} %41", "é€", "a=b,c;d#e"]
        {
            let config = read(json!({"bootstrap_servers": "a:1", "username": password, "password": password})).unwrap();
            let native = config.client().create_native_config().unwrap();
            assert_eq!(native.get("sasl.password").unwrap(), password);
            assert_eq!(native.get("sasl.username").unwrap(), password);
        }
    }

    #[test]
    fn a_login_that_librdkafka_would_alter_is_refused_and_not_shown() {
        for name in ["username", "password"] {
            let why = read(json!({"bootstrap_servers": "a:1", name: " hunter2"})).unwrap_err();
            let variable = format!("KAFKA_{} begins with a space", name.to_uppercase());
            assert!(why.contains(&variable) && !why.contains("hunter2"), "{why}");
        }
    }

    #[test]
    fn a_broker_may_have_an_ipv6_address() {
        let Ok(broker) = TcpListener::bind("[::1]:0") else { return eprintln!("skipped: this machine has no IPv6") };
        let address = broker.local_addr().unwrap().to_string();
        let config = read(json!({ "bootstrap_servers": address })).unwrap();
        let connected = std::thread::spawn(move || broker.accept());
        let client: BaseConsumer = config.client().create().unwrap();
        // Nobody answers; it is enough that somebody connects.
        let _ = client.fetch_metadata(None, Duration::from_secs(5));
        assert!(connected.is_finished(), "nobody connected to {address}");
    }
}
