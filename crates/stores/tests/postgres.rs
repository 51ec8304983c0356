//! What Postgres alone promises.

mod servers;

use std::time::Duration;

use servers::{DUE_US, KAFKA, block_id, of_another_run, part, postgres_config, sales};
use stores::postgres::{BYTES, Config, Conflict, Follower, Name, Reader, Stored, Writer};
use stores::{Adopt, Counts, Error, Listed, Outcome, Store};

async fn writer(config: &Config) -> Writer {
    let mut writer = Writer::new(config.clone(), KAFKA);
    writer.positions(&[("a".to_owned(), 0), ("b".to_owned(), 0)]).await.unwrap();
    writer
}

#[tokio::test]
async fn what_was_written_can_be_counted_and_read() {
    let config = postgres_config();
    let sales = sales();
    let mut writer = writer(&config).await;
    writer.write(&[part("a", 0, &sales[..10]), part("b", 0, &sales[20..25])]).await.unwrap();

    let mut reader = Reader::new(config);
    let absent = petstore::BlockId { block: 18, ..block_id() };
    let counts = reader.counts(&[absent, block_id()]).await.unwrap();
    assert_eq!(counts, [Counts::default(), Counts { found: 15, conflicts: 0 }]);
    let expected: Vec<(u32, u64)> =
        sales[..10].iter().chain(&sales[20..25]).map(|sale| (sale.id.index, petstore::digest(sale))).collect();
    assert_eq!(reader.present(block_id()).await.unwrap(), expected);
    assert_eq!(reader.stored_within(Duration::from_mins(1)).await.unwrap(), 15);

    let positions = reader.positions().await.unwrap();
    assert_eq!(positions.installation.as_deref(), Some(KAFKA));
    assert_eq!(positions.next.into_iter().collect::<Vec<_>>(), [(("a".to_owned(), 0), 11), (("b".to_owned(), 0), 6)]);

    assert_eq!(reader.prune(&[absent, block_id()]).await.unwrap(), 15);
    assert_eq!(reader.counts(&[block_id()]).await.unwrap(), [Counts::default()]);
}

#[tokio::test]
async fn a_writer_frozen_in_the_middle_of_what_it_sends_holds_up_the_others_for_a_minute_at_most() {
    let config = postgres_config();
    let sales = sales();
    let mut successor = writer(&config).await;
    let frozen = connect(&config).await;
    let schema = &config.schema;
    let locks = format!("SET search_path TO {schema}; BEGIN; SELECT FROM positions FOR UPDATE");
    frozen.batch_execute(&locks).await.unwrap();
    let copy = frozen.copy_in::<_, &[u8]>("COPY conflicts FROM STDIN").await.unwrap();

    let begun = std::time::Instant::now();
    let mut written = successor.write(&[part("a", 0, &sales[..10])]).await;
    assert!(written.is_err(), "it holds the positions");
    while written.is_err() {
        assert!(begun.elapsed() < Duration::from_mins(2), "{written:?}");
        written = successor.write(&[part("a", 0, &sales[..10])]).await;
    }
    assert_eq!(written.unwrap(), [Outcome::Written { conflicts: 0 }]);
    drop(copy);
}

#[tokio::test]
async fn a_sale_that_comes_again_from_another_offset_is_recorded_as_a_conflict() {
    let config = postgres_config();
    let sales = sales();
    let mut writer = writer(&config).await;
    let altered = petstore::Sale { cents: sales[1].cents + 1, ..sales[1].clone() };
    let twice = [sales[0].clone(), sales[1].clone(), sales[0].clone()];
    assert_eq!(writer.write(&[part("a", 0, &twice)]).await.unwrap(), [Outcome::Written { conflicts: 1 }]);
    let again = [part("b", 0, &[sales[2].clone(), altered])];
    assert_eq!(writer.write(&again).await.unwrap(), [Outcome::Written { conflicts: 1 }]);

    let mut reader = Reader::new(config);
    assert_eq!(reader.counts(&[block_id()]).await.unwrap(), [Counts { found: 3, conflicts: 2 }]);
    let (a, b) = ("a".to_owned(), "b".to_owned());
    let expected = [
        Conflict { id: sales[0].id, came: (a.clone(), 0, 2), kept: (a.clone(), 0, 0), equal: true },
        Conflict { id: sales[1].id, came: (b, 0, 1), kept: (a, 0, 1), equal: false },
    ];
    assert_eq!(reader.conflicts(block_id(), 10).await.unwrap(), expected);
    assert_eq!(reader.conflicts(block_id(), 1).await.unwrap(), expected[..1]);
}

/// A batch in which all is new goes another way than one in which something is there already.
#[tokio::test]
async fn a_row_holds_the_whole_sale_whichever_way_it_came() {
    let config = postgres_config();
    let sales = sales();
    let mut writer = writer(&config).await;
    writer.write(&[part("a", 0, &sales[..300])]).await.unwrap();
    let repeated: Vec<_> = sales[..1].iter().chain(&sales[300..600]).cloned().collect();
    assert_eq!(writer.write(&[part("b", 0, &repeated)]).await.unwrap(), [Outcome::Written { conflicts: 1 }]);

    let spans = ["a", "b"].map(|topic| ((topic.to_owned(), 0), (0, 1_000)));
    let read = Follower::new(config, KAFKA).read(&spans).await.unwrap();
    for (rows, (first, sales)) in read.iter().zip([(0, &sales[..300]), (1, &sales[300..600])]) {
        let stored = |sale: &petstore::Sale| Ok(Stored { receipt: sale.receipt(), due_us: DUE_US });
        assert_eq!(*rows, (first..).zip(sales.iter().map(stored)).collect::<Vec<_>>());
    }
}

/// Both ways of writing rows, again.
#[tokio::test]
async fn rows_of_an_earlier_kafka_are_told_apart_not_followed_and_kept_until_they_are_pruned() {
    let config = postgres_config();
    let sales = sales();
    let mut old = writer(&config).await;
    old.write(&[part("a", 0, &sales[..10])]).await.unwrap();
    let mut writer = Writer::new(config.clone(), "cluster/new");
    assert!(writer.adopt(KAFKA).await.unwrap());
    let (mut reader, new) = (Reader::new(config.clone()), of_another_run(&sales));
    assert_eq!(reader.blocks(None, 10).await.unwrap(), [Listed { id: block_id(), is_earlier: true }]);

    writer.write(&[part("a", 0, &new[..5])]).await.unwrap();
    let repeated: Vec<_> = new[..1].iter().chain(&new[5..8]).cloned().collect();
    assert_eq!(writer.write(&[part("a", 6, &repeated)]).await.unwrap(), [Outcome::Written { conflicts: 1 }]);
    let span = [(("a".to_owned(), 0), (0, 100))];
    let read = Follower::new(config.clone(), "cluster/new").read(&span).await.unwrap();
    let ids: Vec<_> = read[0].iter().map(|(offset, stored)| (*offset, stored.as_ref().unwrap().receipt.id)).collect();
    let expected = (0..5).chain(7..10).zip(new.iter().map(|sale| sale.id));
    assert_eq!(ids, expected.collect::<Vec<_>>());
    assert_eq!(
        Follower::new(config, KAFKA).read(&span).await.unwrap(),
        [vec![]],
        "of the old Kafka nothing is returned"
    );

    let [old, new] =
        [(block_id(), true), (new[0].id.block_id(), false)].map(|(id, is_earlier)| Listed { id, is_earlier });
    assert_eq!(reader.blocks(None, 10).await.unwrap(), [old, new]);
    assert_eq!(reader.counts(&[block_id()]).await.unwrap(), [Counts { found: 10, conflicts: 0 }]);
    assert_eq!(reader.prune(&[block_id()]).await.unwrap(), 10);
    assert_eq!(reader.blocks(None, 10).await.unwrap(), [new]);
}

#[tokio::test]
async fn a_hundred_conflicts_of_a_block_are_kept_the_others_counted_and_all_go_with_the_block() {
    let config = postgres_config();
    let sales = sales();
    let mut writer = writer(&config).await;
    writer.write(&[part("a", 0, &sales[..300])]).await.unwrap();
    let mut next = 0;
    for repeated in [&sales[..70], &sales[70..300]] {
        let part = part("b", next, repeated);
        next = part.next;
        let conflicts = repeated.len() as u64;
        assert_eq!(writer.write(&[part]).await.unwrap(), [Outcome::Written { conflicts }]);
    }
    let mut reader = Reader::new(config);
    assert_eq!(reader.counts(&[block_id()]).await.unwrap(), [Counts { found: 300, conflicts: 300 }]);
    let kept = reader.conflicts(block_id(), 1_000).await.unwrap();
    assert_eq!(
        kept.iter().map(|one| one.id).collect::<Vec<_>>(),
        sales[..100].iter().map(|one| one.id).collect::<Vec<_>>()
    );

    assert_eq!(reader.prune(&[block_id()]).await.unwrap(), 300);
    assert_eq!(reader.counts(&[block_id()]).await.unwrap(), [Counts::default()]);
    assert_eq!(reader.conflicts(block_id(), 1_000).await.unwrap(), []);
}

#[tokio::test]
async fn what_takes_the_server_too_long_is_told_apart_and_less_of_it_is_done() {
    let config = postgres_config();
    let sales = sales();
    writer(&config).await.write(&[part("a", 0, &sales[..100])]).await.unwrap();
    let hurried = hurried(&config, "500ms").await;
    run(
        &config,
        "ALTER TABLE sale_events RENAME TO kept; \
         CREATE VIEW sale_events AS SELECT run, loader, block, index, topic, partition, kafka_offset, epoch, due, state, store, \
         customer, time, cents, digest, CASE WHEN pg_sleep(0.02) IS NOT NULL THEN items END AS items FROM kept",
    )
    .await;
    let span = |below| [(("a".to_owned(), 0), (0, below))];
    let mut follower = Follower::new(hurried, KAFKA);
    let refused = follower.read(&span(100)).await.unwrap_err();
    assert!(matches!(refused, Error::TooMuch(_)), "{refused:?}");
    assert!(refused.to_string().starts_with("reading sales: "), "{refused}");
    assert_eq!(follower.read(&span(10)).await.unwrap()[0].len(), 10);
}

#[tokio::test]
async fn a_read_of_more_bytes_than_memory_is_for_is_given_up() {
    let config = postgres_config();
    let mut sales = sales()[..40].to_vec();
    for sale in &mut sales {
        sale.items[0].brand = "x".repeat(BYTES / 30).into();
    }
    writer(&config).await.write(&[part("a", 0, &sales)]).await.unwrap();
    let span = |below| [(("a".to_owned(), 0), (0, below))];
    let mut follower = Follower::new(config, KAFKA);
    let refused = follower.read(&span(40)).await.unwrap_err();
    assert!(matches!(refused, Error::TooMuch(_)), "{refused:?}");
    assert_eq!(follower.read(&span(20)).await.unwrap()[0].len(), 20);
}

/// Longer than a lock may be waited for, and than a statement may take.
#[tokio::test]
async fn a_migration_may_take_longer_than_anything_else() {
    let config = postgres_config();
    let hurried = hurried(&config, "1s").await;
    let other = connect(&config).await;
    let lock = format!("SELECT pg_advisory_lock(hashtextextended('kapture migrations of {}', 0))", config.schema);
    other.batch_execute(&lock).await.unwrap();
    let waiting = tokio::spawn(async move { Writer::new(hurried, KAFKA).positions(&[("a".to_owned(), 0)]).await });
    tokio::time::sleep(Duration::from_secs(12)).await;
    assert!(!waiting.is_finished(), "{:?}", waiting.await);
    drop(other);
    assert_eq!(waiting.await.unwrap().unwrap(), [0]);
}

/// The same for a user whose statements the server ends after `limit`.
async fn hurried(config: &Config, limit: &str) -> Config {
    let user = format!("hurried-{:08x}", rand::random::<u32>());
    let password = config.password.expose();
    run(
        config,
        &format!(
            "CREATE ROLE \"{user}\" SUPERUSER LOGIN PASSWORD '{password}'; \
             ALTER ROLE \"{user}\" SET statement_timeout = '{limit}'"
        ),
    )
    .await;
    Config { user: Name::try_from(user).unwrap(), ..config.clone() }
}

async fn run(config: &Config, statements: &str) {
    let statements = format!("SET search_path TO {}; {statements}", config.schema);
    connect(config).await.batch_execute(&statements).await.unwrap();
}

async fn connect(config: &Config) -> tokio_postgres::Client {
    let mut login = tokio_postgres::Config::new();
    login.host(config.host.as_str()).port(config.port.get()).dbname(config.database.as_str());
    login.user(config.user.as_str()).password(config.password.expose()).application_name("kapture");
    let (client, connection) = login.connect(tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_that_start_together_migrate_once() {
    let config = postgres_config();
    let mut pods = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let config = config.clone();
        pods.spawn(async move { Writer::new(config, KAFKA).positions(&[("a".to_owned(), 0)]).await.unwrap() });
    }
    assert_eq!(pods.join_all().await, vec![vec![0]; 8]);
}
