//! A Kafka that is watched, and one whose mark can't be read yet, against a real broker.
//!
//! Needs the servers of `ci/servers up`: see the crate `test-servers`.

use std::time::{Duration, Instant};

use kafka::{Config, Topic, Watch, read_committed};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use test_servers::Servers;
use tokio_util::sync::CancellationToken;

const LIMIT: Duration = Duration::from_mins(1);

fn config() -> Config {
    Servers::running().kafka(&format!("watch-{:08x}-", rand::random::<u32>()))
}

/// Deletes the account of blocks, and with it the mark.
async fn empty(config: &Config) {
    let admin: AdminClient<DefaultClientContext> = config.client().create().unwrap();
    admin.delete_topics(&[&config.names().blocks()], &AdminOptions::new()).await.unwrap();
}

/// What the watch says when it is sure of something.
async fn said(watch: &Watch) -> anyhow::Result<()> {
    let begun = Instant::now();
    loop {
        match watch.is_sure() {
            Ok(false) => assert!(begun.elapsed() < LIMIT, "it says nothing"),
            Ok(true) => return Ok(()),
            Err(err) => return Err(err),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Its last words, without a doubt by anybody.
async fn last_words(watch: &Watch) -> String {
    let begun = Instant::now();
    loop {
        if let Err(err) = watch.is_sure() {
            return err.to_string();
        }
        assert!(begun.elapsed() < LIMIT, "it notices nothing");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_kafka_that_stayed_is_the_same_after_every_doubt() {
    let config = config();
    let watch = config.watch(&CancellationToken::new()).await.unwrap();
    for _ in 0..3 {
        watch.doubt();
        assert!(!watch.is_sure().unwrap(), "it has not asked yet");
        said(&watch).await.unwrap();
    }
    assert_eq!(*watch.installation(), config.installation(&CancellationToken::new()).await.unwrap());
}

#[tokio::test]
async fn an_emptied_kafka_is_noticed_although_no_one_has_a_doubt() {
    let config = config();
    let watch = config.watch(&CancellationToken::new()).await.unwrap();
    empty(&config).await;
    let (words, mark) = (last_words(&watch).await, &watch.installation().mark);
    assert!(words.starts_with("kafka was emptied or replaced") && words.contains(mark.as_str()), "{words}");
    assert!(words.contains("without a mark"), "{words}");
}

#[tokio::test]
async fn one_that_others_have_filled_again_is_told_from_the_one_before() {
    let (config, shutdown) = (config(), CancellationToken::new());
    let watch = config.watch(&shutdown).await.unwrap();
    empty(&config).await;
    let other = loop {
        // The deletion takes a moment.
        let other = config.installation(&shutdown).await.unwrap();
        if other != *watch.installation() {
            break other.to_string();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    watch.doubt();
    let words = said(&watch).await.unwrap_err().to_string();
    assert!(words.contains(&format!("it was {} and is {other}.", watch.installation())), "{words}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mark_behind_an_open_transaction_is_left_once_and_waited_for() {
    let (config, shutdown) = (config(), CancellationToken::new());
    config.ensure_topics(&[Topic::Blocks], &shutdown).await.unwrap();
    let mut settings = config.transactional_producer(&config.names().transactional_id("test", "0"));
    let producer: BaseProducer = settings.set("transaction.timeout.ms", "60000").create().unwrap();
    producer.init_transactions(LIMIT).unwrap();
    producer.begin_transaction().unwrap();
    let topic = config.names().blocks();
    producer.send(BaseRecord::to(&topic).key("somebody").payload("else")).map_err(|(err, _)| err).unwrap();
    kafka::flush(&producer, LIMIT).unwrap();

    let asking = {
        let (config, shutdown) = (config.clone(), shutdown.clone());
        tokio::spawn(async move { config.installation(&shutdown).await })
    };
    // Time for several tries.
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(!asking.is_finished(), "it has read what is not decided yet");
    producer.commit_transaction(LIMIT).unwrap();
    let installation = tokio::time::timeout(LIMIT, asking).await.unwrap().unwrap().unwrap();
    let mut marks = Vec::new();
    read_committed(&config, &topic, LIMIT, |record| {
        let key = String::from_utf8(record.key().unwrap_or_default().to_vec()).unwrap();
        marks.extend(key.strip_prefix("mark/").map(str::to_owned));
    })
    .unwrap();
    assert_eq!(marks, [installation.mark]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_ends_the_wait_for_a_kafka_that_is_away() {
    let nowhere = Config { bootstrap_servers: "127.0.0.1:1".to_owned().try_into().unwrap(), ..config() };
    let shutdown = CancellationToken::new();
    let asking = {
        let shutdown = shutdown.clone();
        tokio::spawn(async move { nowhere.installation(&shutdown).await })
    };
    tokio::time::sleep(Duration::from_millis(300)).await;
    shutdown.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(2), asking).await.expect("it ends at once").unwrap();
    assert!(ended.unwrap_err().to_string().starts_with("stopped while waiting"));
}
