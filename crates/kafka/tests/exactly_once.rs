//! The exactly-once loop and what lies on Kafka, against a real broker.
//!
//! Needs the servers of `ci/servers up`: see the crate `test-servers`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use kafka::exactly_once::{Processor, Settings, run};
use kafka::transactions::{Events, Failure, Guarantee, Outbox};
use kafka::{Config, Record, Topic, Watch, flush};
use petstore::State;
use rdkafka::TopicPartitionList;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, BaseRecord};
use rdkafka::topic_partition_list::Offset;
use service::{Health, Time};
use test_servers::Servers;
use tokio_util::sync::CancellationToken;

const INTERVAL: Duration = Duration::from_millis(20);
/// Kubernetes gives a pod 30 s.
const STOP_LIMIT: Duration = Duration::from_secs(25);
/// The longest that anything else is waited for.
const LIMIT: Duration = Duration::from_mins(1);

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

impl Processor for Copy {
    type Judged = ();

    fn judge(&self, _: &Record<'_>) {}

    fn handle(&mut self, record: Record<'_>, (): (), outbox: &mut Outbox<'_>) -> Result<(), Failure> {
        outbox.forward(&self.target, record)?;
        self.handled += 1;
        (self.fail)(self.handled).map_or(Ok(()), Err)
    }

    fn committed(&mut self) {}

    fn aborted(&mut self) {}
}

const TOPICS: [Topic; 3] = [Topic::Sales, Topic::States, Topic::Positions];

/// Makes the topics, and watches Kafka.
async fn watch(config: &Config) -> Arc<Watch> {
    let shutdown = CancellationToken::new();
    config.ensure_topics(&TOPICS, &shutdown).await.unwrap();
    Arc::new(config.watch(&shutdown).await.unwrap())
}

type Running = (std::thread::JoinHandle<anyhow::Result<()>>, Arc<Events>);

/// Runs the instance of this ordinal on a thread of its own.
fn copy(
    config: &Config,
    watch: &Arc<Watch>,
    ordinal: u32,
    fail: fn(u64) -> Option<Failure>,
    shutdown: &CancellationToken,
) -> Running {
    copy_with(Guarantee::ExactlyOnce, config, watch, ordinal, fail, shutdown)
}

fn copy_with(
    guarantee: Guarantee,
    config: &Config,
    watch: &Arc<Watch>,
    ordinal: u32,
    fail: fn(u64) -> Option<Failure>,
    shutdown: &CancellationToken,
) -> Running {
    let (config, shutdown, events) = (config.clone(), shutdown.clone(), Arc::new(Events::default()));
    let (theirs, watch) = (Arc::clone(&events), Arc::clone(watch));
    let thread = std::thread::spawn(move || {
        let settings = Settings {
            role: "fan-out".to_owned(),
            ordinal: ordinal.to_string(),
            source: config.names().sales(),
            interval: INTERVAL,
            guarantee,
            time: Time::default(),
        };
        let mut stage = Copy { target: config.names().state(State::Ca), handled: 0, fail };
        let beat = Health::default().loop_("copy", Duration::from_mins(1));
        run(&config, &settings, &mut stage, &theirs, &watch, &beat, &shutdown)
    });
    (thread, events)
}

/// What became of an instance that is to end now.
fn ended(thread: std::thread::JoinHandle<anyhow::Result<()>>) -> anyhow::Result<()> {
    let begun = Instant::now();
    while !thread.is_finished() {
        assert!(begun.elapsed() < STOP_LIMIT, "it does not end");
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
    kafka::read_committed(config, &config.names().state(State::Ca), Duration::from_secs(30), |record| {
        let number = str::from_utf8(record.payload().unwrap_or_default()).unwrap().parse().unwrap();
        *seen.entry(number).or_default() += 1;
    })?;
    Ok(seen)
}

fn assert_each_once(seen: &BTreeMap<u32, u32>, count: usize) {
    assert_eq!(seen.len(), count);
    assert!(seen.values().all(|times| *times == 1), "some were copied twice");
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
    let watch = watch(&config).await;
    send(&config, 0..2_000);
    let begun = Instant::now();
    let (thread, events) = copy(
        &config,
        &watch,
        0,
        |handled| match handled {
            700 | 1_900 => Some(Failure::Abort(KafkaError::Canceled.into())),
            1_200 => Some(Failure::Rebuild(KafkaError::Canceled.into())),
            _ => None,
        },
        &shutdown,
    );
    let seen = wait_for(&config, 2_000);
    shutdown.cancel();
    ended(thread).unwrap();
    assert_each_once(&seen, 2_000);
    assert_eq!(events.aborts.load(Ordering::Relaxed), 2);
    assert_eq!(events.rebuilds.load(Ordering::Relaxed), 1);
    // All but the last, which the stop closes, last for the interval.
    let commits = u128::from(events.commits.load(Ordering::Relaxed));
    assert!((1..=begun.elapsed().as_millis() / INTERVAL.as_millis() + 1).contains(&commits), "{commits} commits");
}

/// What exactly-once is compared with: it goes on where its group is, and leaves nothing out.
#[tokio::test]
async fn without_transactions_nothing_is_left_out_and_a_failure_repeats_what_was_not_committed() {
    let (config, shutdown) = (config(), CancellationToken::new());
    let watch = watch(&config).await;
    send(&config, 0..2_000);
    let fail = |handled| {
        (handled == 1_200).then(|| {
            // So long that what was put in the queue is on the topic.
            std::thread::sleep(Duration::from_millis(500));
            Failure::Rebuild(KafkaError::Canceled.into())
        })
    };
    let (thread, events) = copy_with(Guarantee::AtLeastOnce, &config, &watch, 0, fail, &shutdown);
    let seen = wait_for(&config, 2_000);
    shutdown.cancel();
    ended(thread).unwrap();
    assert_eq!(seen.len(), 2_000);
    assert_eq!(events.rebuilds.load(Ordering::Relaxed), 1);
    assert!(seen.values().any(|times| *times > 1), "it would take transactions to undo what was sent");
}

#[tokio::test]
async fn a_successor_takes_over_and_what_it_took_over_is_copied_once() {
    let (config, stop_both) = (config(), CancellationToken::new());
    let watch = watch(&config).await;
    send(&config, 0..500);
    let (first, events) = copy(&config, &watch, 0, |_| None, &stop_both);
    wait_for(&config, 500);
    let (second, _) = copy(&config, &watch, 0, |_| None, &stop_both);
    // The first is refused as soon as it says anything: it ends by itself, with the reason.
    let reason = ended(first).unwrap_err();
    assert!(format!("{reason:#}").to_lowercase().contains("fenced"), "{reason:#}");
    assert!(events.fenced.load(Ordering::Relaxed) >= 1);
    send(&config, 500..1_000);
    let seen = wait_for(&config, 1_000);
    stop_both.cancel();
    ended(second).unwrap();
    assert_each_once(&seen, 1_000);
}

/// The namesake is a member only: it fences no producer, so that the group alone tells.
#[tokio::test]
async fn an_instance_whose_member_id_another_one_takes_ends_with_the_reason_and_the_next_one_goes_on() {
    let (config, shutdown) = (config(), CancellationToken::new());
    let watch = watch(&config).await;
    send(&config, 0..100);
    let (first, events) = copy(&config, &watch, 0, |_| None, &shutdown);
    wait_for(&config, 100);
    let namesake: BaseConsumer = config
        .member("fan-out")
        .set("partition.assignment.strategy", "range")
        .set("group.instance.id", config.names().transactional_id("fan-out", "0"))
        .create()
        .unwrap();
    namesake.subscribe(&[&config.names().sales()]).unwrap();
    let begun = Instant::now();
    while !first.is_finished() {
        assert!(begun.elapsed() < LIMIT, "it goes on");
        namesake.poll(Duration::from_millis(20));
    }
    let reason = format!("{:#}", first.join().unwrap().unwrap_err());
    assert!(reason.contains("FencedInstanceId"), "{reason}");
    assert_eq!(events.fenced.load(Ordering::Relaxed), 1);

    drop(namesake);
    let (next, _) = copy(&config, &watch, 0, |_| None, &shutdown);
    send(&config, 100..200);
    let seen = wait_for(&config, 200);
    shutdown.cancel();
    ended(next).unwrap();
    assert_each_once(&seen, 200);
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
    let watch = watch(&config).await;
    for count in [500, 600] {
        let shutdown = CancellationToken::new();
        send(&config, if count == 500 { 0..500 } else { 500..600 });
        let (thread, _) = copy(&config, &watch, 0, |_| None, &shutdown);
        let seen = wait_for(&config, count);
        shutdown.cancel();
        ended(thread).unwrap();
        assert_each_once(&seen, count);
        forget(&config).await;
    }
}

#[tokio::test]
async fn newcomers_take_their_share_in_the_middle_of_the_work_and_every_record_is_copied_once() {
    // Slow enough for all of them to come while there is work, most of which is read ahead of a commit.
    let slow = |_| {
        std::thread::sleep(Duration::from_micros(200));
        None
    };
    let (config, shutdown) = (config(), CancellationToken::new());
    let watch = watch(&config).await;
    send(&config, 0..2_000);
    let mut sent = 2_000;
    let mut copies = Vec::new();
    for ordinal in [0, 1, 2] {
        let (thread, events) = copy(&config, &watch, ordinal, slow, &shutdown);
        let (begun, had) = (Instant::now(), rebalances(&copies));
        // There is work until the newcomer has its share, and those who were there before have given it up.
        while events.rebalances.load(Ordering::Relaxed) == 0 || rebalances(&copies).iter().eq(&had) && ordinal > 0 {
            assert!(begun.elapsed() < LIMIT, "instance {ordinal} has no share");
            send(&config, sent..sent + 500);
            sent += 500;
        }
        copies.push((thread, events));
    }
    let seen = wait_for(&config, sent as usize);
    shutdown.cancel();
    for (thread, _) in copies {
        ended(thread).unwrap();
    }
    assert_each_once(&seen, sent as usize);
}

fn rebalances<T>(copies: &[(T, Arc<Events>)]) -> Vec<u64> {
    copies.iter().map(|(_, events)| events.rebalances.load(Ordering::Relaxed)).collect()
}

/// One partition, all of which is copied and the copy stopped.
async fn copied(count: u32) -> Config {
    let mut config = config();
    config.sales_partitions = 1.try_into().unwrap();
    let (watch, shutdown) = (watch(&config).await, CancellationToken::new());
    send(&config, 0..count);
    let (thread, _) = copy(&config, &watch, 0, |_| None, &shutdown);
    wait_for(&config, count as usize);
    shutdown.cancel();
    ended(thread).unwrap();
    config
}

/// Deletes topics, and waits until they are gone.
async fn delete(config: &Config, topics: &[String]) {
    let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
    let admin: AdminClient<DefaultClientContext> = config.client().create().unwrap();
    admin.delete_topics(&topics, &AdminOptions::new()).await.unwrap();
    let begun = Instant::now();
    let is_there = |topic: &&&str| {
        let metadata = admin.inner().fetch_metadata(Some(topic), LIMIT).unwrap();
        metadata.topics().iter().any(|topic| !topic.partitions().is_empty())
    };
    while let Some(topic) = topics.iter().find(is_there) {
        assert!(begun.elapsed() < LIMIT, "{topic} is still there");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_log_that_lost_its_end_ends_the_copy_with_what_to_do_and_nothing_is_copied_again() {
    let config = copied(1_000).await;
    let sales = config.names().sales();
    delete(&config, std::slice::from_ref(&sales)).await;
    let watch = watch(&config).await;
    send(&config, 0..900);

    let (thread, _) = copy(&config, &watch, 0, |_| None, &CancellationToken::new());
    let begun = Instant::now();
    while !thread.is_finished() {
        assert!(begun.elapsed() < LIMIT, "it goes on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let words = format!("{:#}", thread.join().unwrap().unwrap_err());
    assert!(words.contains(&format!("is at offset 1000 of {sales}/0, but kafka's log ends at 900")), "{words}");
    assert!(words.contains(&format!("echo 'fan-out {sales} 0=900' | kafka-console-producer.sh")), "{words}");
    assert!(copies(&config).unwrap().values().all(|times| *times == 1), "some were copied twice");

    // What that command does.
    let producer: BaseProducer = config.idempotent_producer().create().unwrap();
    let (topic, key) = (config.names().positions(), format!("fan-out {sales} 0"));
    producer.send(BaseRecord::to(&topic).key(&key).payload("900")).map_err(|(err, _)| err).unwrap();
    flush(&producer, LIMIT).unwrap();
    send(&config, 1_000..1_100);
    let shutdown = CancellationToken::new();
    let (thread, _) = copy(&config, &watch, 0, |_| None, &shutdown);
    let seen = wait_for(&config, 1_100);
    shutdown.cancel();
    ended(thread).unwrap();
    assert_each_once(&seen, 1_100);
}

#[tokio::test]
async fn what_kafka_deleted_before_it_was_read_is_counted_and_gone_on_behind() {
    let config = copied(100).await;
    send(&config, 100..200);
    let admin: AdminClient<DefaultClientContext> = config.client().create().unwrap();
    let mut deleted = TopicPartitionList::new();
    deleted.add_partition_offset(&config.names().sales(), 0, Offset::Offset(150)).unwrap();
    admin.delete_records(&deleted, &AdminOptions::new()).await.unwrap();

    let (watch, shutdown) = (watch(&config).await, CancellationToken::new());
    let (thread, events) = copy(&config, &watch, 0, |_| None, &shutdown);
    let seen = wait_for(&config, 150);
    shutdown.cancel();
    ended(thread).unwrap();
    assert_eq!(seen.keys().copied().collect::<Vec<_>>(), (0..100).chain(150..200).collect::<Vec<_>>());
    assert!(seen.values().all(|times| *times == 1), "some were copied twice");
    assert_eq!(events.gap_offsets.load(Ordering::Relaxed), 50);
}

/// A Kafka that was emptied, as far as a copy can tell: the same topics, with other records and another mark.
#[tokio::test]
async fn an_emptied_kafka_ends_the_copy_and_the_next_one_leaves_nothing_out() {
    let config = copied(500).await;
    let (before, names) = (watch(&config).await, config.names());
    let (thread, _) = copy(&config, &before, 0, |_| None, &CancellationToken::new());
    delete(&config, &[names.sales(), names.state(State::Ca), names.blocks()]).await;
    let after = watch(&config).await;
    let begun = Instant::now();
    while !thread.is_finished() {
        assert!(begun.elapsed() < LIMIT, "it goes on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let words = format!("{:#}", thread.join().unwrap().unwrap_err());
    assert!(words.contains("kafka was emptied or replaced"), "{words}");

    // More than was there before: the old position would leave some of them out.
    send(&config, 0..700);
    let shutdown = CancellationToken::new();
    let (thread, _) = copy(&config, &after, 0, |_| None, &shutdown);
    let seen = wait_for(&config, 700);
    shutdown.cancel();
    ended(thread).unwrap();
    assert_each_once(&seen, 700);
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
