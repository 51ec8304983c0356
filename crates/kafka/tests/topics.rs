//! What a program says at its start of topics that are there already, against a real Kafka.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kafka::{Config, Topic};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use test_servers::Servers;
use tokio_util::sync::CancellationToken;

/// What is logged on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn warnings(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().filter(|line| line.contains(" WARN ")).map(str::to_owned).collect()
    }
}

/// Makes `sales` with this many partitions and one copy, of which so many must be in sync.
async fn make_sales(config: &Config, partitions: i32, min_insync: &str) {
    let admin: AdminClient<DefaultClientContext> = config.client().create().unwrap();
    let name = config.names().sales();
    let topic = NewTopic::new(&name, partitions, TopicReplication::Fixed(1)).set("min.insync.replicas", min_insync);
    let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(30)));
    admin.create_topics(&[topic], &options).await.unwrap()[0].as_ref().unwrap();
}

#[tokio::test(flavor = "current_thread")]
async fn topics_that_do_not_fit_are_named_once_with_what_mends_them() {
    let config: Config = Servers::running().kafka(&format!("topics-test-{:08x}-", rand::random::<u32>()));
    make_sales(&config, 5, "2").await;
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    let shutdown = CancellationToken::new();
    for _ in 0..2 {
        config.ensure_topics(&[Topic::Sales], &shutdown).await.unwrap();
    }
    let warnings = log.warnings();
    let [insync, partitions] = &warnings[..] else { panic!("{warnings:#?}") };
    let sales = config.names().sales();
    assert!(insync.contains(&format!("topic {sales} can't be written: min.insync.replicas=2 is more")), "{insync}");
    assert!(partitions.contains(&format!("topic {sales} has 5 partitions, not 3")), "{partitions}");
    assert!(partitions.ends_with("set kafka.salesPartitions=5"), "{partitions}");
}
