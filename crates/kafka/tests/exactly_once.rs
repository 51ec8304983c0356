//! The exactly-once loop and what lies on Kafka, against a real broker.
//!
//! Needs the servers of `ci/servers up`: see the crate `test-servers`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use kafka::exactly_once::{Settings, Stage, run};
use kafka::transactions::{Events, Failure, Outbox};
use kafka::{Config, Topic, flush};
use petstore::State;
use rdkafka::Message;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::producer::{BaseProducer, BaseRecord};
use service::Health;
use test_servers::Servers;
use tokio_util::sync::CancellationToken;

const INTERVAL: Duration = Duration::from_millis(20);

/// This test's own part of the shared Kafka.
fn config() -> Config {
    Servers::running().kafka(&format!("test-{:08x}-", rand::random::<u32>()))
}

/// Copies `sales` to the topic of California, and fails when told.
struct Copy {
    target: String,
    handled: u64,
    fail: fn(u64) -> Option<Failure>,
}

impl Stage for Copy {
    type Verdict = ();

    fn judge(&self, _: &BorrowedMessage<'_>) {}

    fn handle(&mut self, message: BorrowedMessage<'_>, (): (), outbox: &mut Outbox<'_>) -> Result<(), Failure> {
        outbox.forward(&self.target, message)?;
        self.handled += 1;
        (self.fail)(self.handled).map_or(Ok(()), Err)
    }

    fn committed(&mut self) {}

    fn aborted(&mut self) {}
}

/// Runs the instance of this ordinal on a thread of its own.
fn copy(
    config: &Config,
    ordinal: u32,
    fail: fn(u64) -> Option<Failure>,
    shutdown: &CancellationToken,
) -> (std::thread::JoinHandle<anyhow::Result<()>>, Arc<Events>) {
    let (config, shutdown, events) = (config.clone(), shutdown.clone(), Arc::new(Events::default()));
    let theirs = Arc::clone(&events);
    let thread = std::thread::spawn(move || {
        let settings = Settings {
            role: "fan-out".to_owned(),
            ordinal: ordinal.to_string(),
            source: config.names().sales(),
            interval: INTERVAL,
        };
        let mut stage = Copy { target: config.names().state(State::Ca), handled: 0, fail };
        let beat = Health::default().loop_("copy", Duration::from_mins(1));
        run(&config, &settings, &mut stage, &theirs, &beat, &shutdown)
    });
    (thread, events)
}

/// What became of an instance that is to end now.
fn ended(thread: std::thread::JoinHandle<anyhow::Result<()>>) -> anyhow::Result<()> {
    let begun = Instant::now();
    while !thread.is_finished() {
        assert!(begun.elapsed() < Duration::from_mins(1), "it does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
    thread.join().unwrap()
}

fn send(config: &Config, numbers: std::ops::Range<u32>) {
    let producer: BaseProducer = config.idempotent_producer().create().unwrap();
    let topic = config.names().sales();
    for number in numbers {
        let (key, payload) = ((number % 7).to_string(), number.to_string());
        producer.send(BaseRecord::to(&topic).key(&key).payload(&payload)).map_err(|(err, _)| err).unwrap();
    }
    flush(&producer, Duration::from_secs(30)).unwrap();
}

/// How often each number stands in the target, as a reader of committed records sees it.
fn copies(config: &Config) -> anyhow::Result<BTreeMap<u32, u32>> {
    let mut seen = BTreeMap::new();
    kafka::read_to_end(config, &config.names().state(State::Ca), Duration::from_secs(30), |message| {
        let number = str::from_utf8(message.payload().unwrap_or_default())?.parse()?;
        *seen.entry(number).or_default() += 1;
        Ok(())
    })?;
    Ok(seen)
}

/// A topic that was just made may be unknown to a new client for a moment.
fn wait_for(config: &Config, count: usize) -> BTreeMap<u32, u32> {
    let begun = Instant::now();
    loop {
        let seen = copies(config);
        if begun.elapsed() > Duration::from_mins(1) || seen.as_ref().is_ok_and(|seen| seen.len() >= count) {
            return seen.unwrap();
        }
    }
}

#[tokio::test]
async fn every_record_is_copied_once_although_transactions_are_aborted_and_producers_rebuilt() {
    let (config, shutdown) = (config(), CancellationToken::new());
    config.ensure_topics(&[Topic::Sales, Topic::States, Topic::Positions], &shutdown).await.unwrap();
    send(&config, 0..2_000);
    let begun = Instant::now();
    let (thread, events) = copy(
        &config,
        0,
        |handled| match handled {
            700 | 1_900 => Some(Failure::Abort(KafkaError::Canceled)),
            1_200 => Some(Failure::Rebuild(KafkaError::Canceled)),
            _ => None,
        },
        &shutdown,
    );
    let seen = wait_for(&config, 2_000);
    shutdown.cancel();
    ended(thread).unwrap();
    assert_eq!(seen.len(), 2_000);
    assert!(seen.values().all(|times| *times == 1), "some were copied twice");
    assert_eq!(events.aborts.load(Ordering::Relaxed), 2);
    assert_eq!(events.rebuilds.load(Ordering::Relaxed), 1);
    // All but the last, which the stop closes, last for the interval.
    let commits = u128::from(events.commits.load(Ordering::Relaxed));
    assert!((1..=begun.elapsed().as_millis() / INTERVAL.as_millis() + 1).contains(&commits), "{commits} commits");
}

#[tokio::test]
async fn a_successor_takes_over_and_what_it_took_over_is_copied_once() {
    let (config, stop_both) = (config(), CancellationToken::new());
    config.ensure_topics(&[Topic::Sales, Topic::States, Topic::Positions], &stop_both).await.unwrap();
    send(&config, 0..500);
    let (first, _) = copy(&config, 0, |_| None, &stop_both);
    wait_for(&config, 500);
    let (second, _) = copy(&config, 0, |_| None, &stop_both);
    // The first is refused as soon as it says anything: it ends by itself, with the reason.
    let reason = ended(first).unwrap_err();
    assert!(format!("{reason:#}").to_lowercase().contains("fenced"), "{reason:#}");
    send(&config, 500..1_000);
    let seen = wait_for(&config, 1_000);
    stop_both.cancel();
    ended(second).unwrap();
    assert_eq!(seen.len(), 1_000);
    assert!(seen.values().all(|times| *times == 1), "some were copied twice");
}

/// Deletes all that the group committed, as soon as it has no member any more.
async fn forget(config: &Config) {
    let admin: AdminClient<DefaultClientContext> = config.client().create().unwrap();
    let begun = Instant::now();
    while let Err((_, code)) =
        &admin.delete_groups(&[&config.names().group("fan-out")], &AdminOptions::new()).await.unwrap()[0]
    {
        assert!(begun.elapsed() < Duration::from_mins(1), "{code}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn nothing_is_copied_again_when_the_group_has_forgotten_everything() {
    let config = config();
    config.ensure_topics(&[Topic::Sales, Topic::States, Topic::Positions], &CancellationToken::new()).await.unwrap();
    for count in [500, 600] {
        let shutdown = CancellationToken::new();
        send(&config, if count == 500 { 0..500 } else { 500..600 });
        let (thread, _) = copy(&config, 0, |_| None, &shutdown);
        let seen = wait_for(&config, count);
        shutdown.cancel();
        ended(thread).unwrap();
        assert_eq!(seen.len(), count);
        assert!(seen.values().all(|times| *times == 1), "some were copied twice");
        forget(&config).await;
    }
}

#[tokio::test]
async fn newcomers_take_their_share_in_the_middle_of_the_work_and_every_record_is_copied_once() {
    const RECORDS: u32 = 20_000;
    // Slow enough for all of them to come while there is work, most of which is read ahead of a commit.
    let slow = |_| {
        std::thread::sleep(Duration::from_micros(200));
        None
    };
    let (config, shutdown) = (config(), CancellationToken::new());
    config.ensure_topics(&[Topic::Sales, Topic::States, Topic::Positions], &shutdown).await.unwrap();
    send(&config, 0..RECORDS);
    let copies = [0, 1, 2].map(|ordinal| {
        let running = copy(&config, ordinal, slow, &shutdown);
        std::thread::sleep(Duration::from_millis(700));
        running
    });
    let seen = wait_for(&config, RECORDS as usize);
    shutdown.cancel();
    let rebalances = copies[0].1.rebalances.load(Ordering::Relaxed);
    for (thread, _) in copies {
        ended(thread).unwrap();
    }
    assert!(rebalances > 1, "nobody came while there was work");
    assert_eq!(seen.len(), RECORDS as usize);
    assert!(seen.values().all(|times| *times == 1), "some were copied twice");
}

#[tokio::test]
async fn topics_are_made_once_and_the_mark_is_the_same_for_all_who_ask() {
    let (config, shutdown) = (config(), CancellationToken::new());
    for _ in 0..2 {
        config
            .ensure_topics(&[Topic::Sales, Topic::Blocks, Topic::Rejected, Topic::Positions], &shutdown)
            .await
            .unwrap();
    }
    let (one, other) = tokio::join!(config.installation(&shutdown), config.installation(&shutdown));
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_eq!(one, other);
    assert_eq!(config.installation(&shutdown).await.unwrap(), one);
}
