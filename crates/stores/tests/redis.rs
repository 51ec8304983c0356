//! What Redis alone promises.

mod servers;

use std::collections::HashMap;

use servers::{KAFKA, block_id, of_another_run, part, redis_config, sales};
use stores::redis::{Config, Reader, Total, Writer};
use stores::{Adopt, Counts, Outcome, Store};

/// A plain connection, for what only an operator does.
async fn operator(config: &Config) -> redis::aio::MultiplexedConnection {
    let password = config.password.as_ref().unwrap().expose();
    let client = redis::Client::open(format!("redis://:{password}@{}:{}", config.host, config.port)).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

#[tokio::test]
async fn what_was_written_can_be_counted_and_read() {
    let config = redis_config();
    let sales = sales();
    let mut writer = Writer::new(config.clone(), KAFKA);
    writer.write(&[part("a", 0, &sales[..1700]), part("b", 0, &sales[2000..2005])]).await.unwrap();

    let mut reader = Reader::new(config);
    let absent = petstore::BlockId { block: 18, ..block_id() };
    let counts = reader.counts(&[absent, block_id()]).await.unwrap();
    assert_eq!(counts, [Counts::default(), Counts { found: 1705, conflicts: 0 }]);
    assert_eq!(reader.counts(&[]).await.unwrap(), []);
    let written = || sales[..1700].iter().chain(&sales[2000..2005]);
    let expected: Vec<u32> = written().map(|sale| sale.id.index).collect();
    assert_eq!(reader.present(block_id()).await.unwrap(), expected);

    let positions = reader.positions().await.unwrap();
    assert_eq!(positions.installation.as_deref(), Some(KAFKA));
    assert_eq!(positions.next.into_iter().collect::<Vec<_>>(), [(("a".to_owned(), 0), 1701), (("b".to_owned(), 0), 6)]);

    for state in petstore::State::ALL {
        let mut expected = Total::default();
        for sale in written().filter(|sale| sale.state() == state) {
            expected.sales += 1;
            expected.cents += u64::from(sale.cents);
        }
        assert_eq!(reader.totals(&[state]).await.unwrap(), [expected]);
    }
}

#[tokio::test]
async fn the_last_ten_sales_of_a_customer_are_kept() {
    let config = redis_config();
    let sales = sales();
    let mut of_customer: HashMap<u64, Vec<String>> = HashMap::new();
    for sale in &sales {
        let (id, time, store, cents) = (sale.id, sale.time, sale.store.id, sale.cents);
        let entry = format!(r#"{{"id":"{id}","time":{time},"store":{store},"cents":{cents}}}"#);
        of_customer.entry(sale.customer.id).or_default().insert(0, entry);
    }
    assert!(of_customer.values().any(|entries| entries.len() > 20));
    let mut writer = Writer::new(config.clone(), KAFKA);
    let mut next = 0;
    for some in sales.chunks(300) {
        let part = part("a", next, some);
        next = part.next;
        writer.write(&[part]).await.unwrap();
    }

    let mut reader = Reader::new(config);
    for (customer, entries) in of_customer {
        assert_eq!(reader.recent(customer).await.unwrap(), entries[..entries.len().min(10)]);
    }
}

#[tokio::test]
async fn a_sale_that_comes_again_shows_above_the_bits_and_counts_once() {
    let config = redis_config();
    let sale = &sales()[..4];
    let mut writer = Writer::new(config.clone(), KAFKA);
    let twice = [sale[0].clone(), sale[1].clone(), sale[0].clone()];
    assert_eq!(writer.write(&[part("a", 0, &twice)]).await.unwrap(), [Outcome::Written { conflicts: 1 }]);
    let again = [part("b", 0, &[sale[2].clone(), sale[1].clone(), sale[3].clone()])];
    assert_eq!(writer.write(&again).await.unwrap(), [Outcome::Written { conflicts: 1 }]);

    let mut reader = Reader::new(config);
    assert_eq!(reader.counts(&[block_id()]).await.unwrap(), [Counts { found: 4, conflicts: 2 }]);
    let totals = reader.totals(&petstore::State::ALL).await.unwrap();
    assert_eq!(totals.iter().map(|total| total.sales).sum::<u64>(), 4);
}

#[tokio::test]
async fn a_redis_that_lost_everything_says_so_and_can_be_filled_again() {
    let config = redis_config();
    let sales = sales();
    let mut writer = Writer::new(config.clone(), KAFKA);
    writer.write(&[part("a", 0, &sales[..3])]).await.unwrap();
    let mut operator = operator(&config).await;
    let keys: Vec<String> =
        redis::cmd("KEYS").arg(format!("{}*", config.prefix)).query_async(&mut operator).await.unwrap();
    let _: u64 = redis::cmd("DEL").arg(keys).query_async(&mut operator).await.unwrap();

    assert_eq!(writer.write(&[part("a", 4, &sales[3..6])]).await.unwrap(), [Outcome::Moved { actual: 0 }]);
    assert_eq!(writer.write(&[part("a", 0, &sales[..6])]).await.unwrap(), [Outcome::Written { conflicts: 0 }]);
    assert_eq!(Reader::new(config).counts(&[block_id()]).await.unwrap()[0].found, 6);
}

/// Runs a command for people, such as `redis-cli ..`, on a connection instead of by the program.
async fn run(command: &str, operator: &mut redis::aio::MultiplexedConnection) {
    let words = std::process::Command::new("sh").arg("-c").arg(format!("printf '%s\\0' {command}")).output().unwrap();
    let words = String::from_utf8(words.stdout).unwrap();
    let words: Vec<&str> = words.split_terminator('\0').collect();
    assert_eq!((words[0], words[1], words[3]), ("redis-cli", "-h", "-p"), "{command}");
    let _: redis::Value = redis::cmd(words[5]).arg(&words[6..]).query_async(operator).await.unwrap();
}

#[tokio::test]
async fn the_command_that_resets_deletes_the_keys_of_its_release_alone() {
    let config = redis_config();
    // Under the one prefix, beginning with it, and matched by it if it were a pattern.
    let odd = |text: &str| Config { prefix: format!("{}{text}", config.prefix), ..config.clone() };
    let [own, longer, matched] = [odd("a*[b]'-"), odd("a*[b]'-more-"), odd("axxxb'-")];
    for config in [&own, &longer, &matched] {
        Writer::new(config.clone(), KAFKA).write(&[part("a", 0, &sales()[..20])]).await.unwrap();
    }
    let mut operator = operator(&own).await;
    let keys = async |operator: &mut redis::aio::MultiplexedConnection| -> Vec<String> {
        let pattern = format!("{}*", config.prefix);
        let mut keys: Vec<String> = redis::cmd("KEYS").arg(pattern).query_async(operator).await.unwrap();
        keys.sort();
        keys
    };
    let before = keys(&mut operator).await;
    let reset = Writer::new(own.clone(), KAFKA).reset();
    run(&reset, &mut operator).await;
    let others = |key: &&String| key.starts_with(&longer.prefix) || key.starts_with(&matched.prefix);
    let expected: Vec<String> = before.iter().filter(others).cloned().collect();
    assert!(expected.len() < before.len());
    assert_eq!(keys(&mut operator).await, expected, "{reset}");
}

#[tokio::test]
async fn a_redis_that_forgot_the_script_is_told_again() {
    let config = redis_config();
    let mut writer = Writer::new(config.clone(), KAFKA);
    for expected in [0, 4] {
        let _: () = redis::cmd("SCRIPT").arg("FLUSH").query_async(&mut operator(&config).await).await.unwrap();
        let batch = [part("a", expected, &sales()[..3]), part("b", expected, &sales()[3..6])];
        assert!(matches!(writer.write(&batch).await.unwrap()[..], [Outcome::Written { .. }, Outcome::Written { .. }]));
    }
}

#[tokio::test]
async fn blocks_and_lists_have_a_time_to_live_and_totals_have_none() {
    let config = redis_config();
    Writer::new(config.clone(), KAFKA).write(&[part("a", 0, &sales()[..20])]).await.unwrap();
    let mut operator = operator(&config).await;
    let prefix = &config.prefix;
    let keys: Vec<String> = redis::cmd("KEYS").arg(format!("{prefix}*")).query_async(&mut operator).await.unwrap();
    for key in &keys {
        let ttl: i64 = redis::cmd("TTL").arg(key).query_async(&mut operator).await.unwrap();
        let name = key.strip_prefix(prefix.as_str()).unwrap();
        let lives = name.starts_with("block:") || name.starts_with("recent:");
        assert_eq!((1..=24 * 3600).contains(&ttl), lives, "{key} lives for {ttl} s");
    }
    assert!(keys.len() > 7, "{keys:?}");
}

#[tokio::test]
async fn blocks_of_an_earlier_kafka_are_kept_and_told_apart() {
    let config = redis_config();
    let sales = sales();
    Writer::new(config.clone(), KAFKA).write(&[part("a", 0, &sales[..10])]).await.unwrap();
    let mut reader = Reader::new(config.clone());
    assert_eq!(listed(&mut reader).await, [(block_id(), false)]);

    let mut writer = Writer::new(config.clone(), "cluster/new");
    assert!(writer.adopt(KAFKA).await.unwrap());
    assert_eq!(listed(&mut reader).await, [(block_id(), true)]);
    let again = of_another_run(&sales[..5]);
    writer.write(&[part("a", 0, &again)]).await.unwrap();
    assert_eq!(listed(&mut reader).await, [(block_id(), true), (again[0].id.block_id(), false)]);
    assert_eq!(reader.counts(&[block_id()]).await.unwrap(), [Counts { found: 10, conflicts: 0 }]);
    let mut ttl = redis::cmd("TTL");
    let ttl: i64 =
        ttl.arg(format!("{}earlier", config.prefix)).query_async(&mut operator(&config).await).await.unwrap();
    assert!(ttl > 0, "{ttl}");
}

/// All blocks, and whether each is of an earlier Kafka.
async fn listed(reader: &mut Reader) -> Vec<(petstore::BlockId, bool)> {
    let (mut cursor, mut listed) = (0, Vec::new());
    loop {
        let (next, blocks) = reader.blocks(cursor).await.unwrap();
        listed.extend(blocks.iter().map(|block| (block.id, block.is_earlier)));
        cursor = next;
        if cursor == 0 {
            listed.sort_unstable();
            listed.dedup();
            return listed;
        }
    }
}
