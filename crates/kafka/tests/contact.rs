//! A client that has lost its Kafka, and one whose Kafka is away, against a real broker.
//!
//! Needs the servers of `ci/servers up`: see the crate `test-servers`.

use std::time::{Duration, Instant};

use kafka::{Config, Contact};
use rdkafka::consumer::{BaseConsumer, Consumer};
use test_servers::Servers;

fn config() -> Config {
    Servers::running().kafka("")
}

/// The same, where nobody listens.
fn nowhere() -> Config {
    Config { bootstrap_servers: "127.0.0.1:1".to_owned().try_into().unwrap(), ..config() }
}

fn client(config: &Config) -> BaseConsumer {
    config.reader().create().unwrap()
}

/// The first error within the time in which a lost client must be noticed.
fn noticed(contact: &Contact, client: &BaseConsumer) -> Option<String> {
    let until = Instant::now() + Duration::from_secs(25);
    while Instant::now() < until {
        if let Err(err) = contact.check(client.client()) {
            return Some(err.to_string());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    None
}

fn long_ago() -> Instant {
    Instant::now().checked_sub(Duration::from_mins(1)).unwrap()
}

#[test]
fn a_client_without_brokers_is_noticed_when_others_reach_kafka() {
    let noticed = noticed(&Contact::new(&config(), long_ago()), &client(&nowhere()));
    assert!(noticed.expect("it is noticed").contains("lost all of Kafka's brokers"));
}

#[test]
fn a_kafka_that_is_away_is_waited_for() {
    assert_eq!(noticed(&Contact::new(&nowhere(), long_ago()), &client(&nowhere())), None);
}

#[test]
fn a_client_that_is_only_idle_stays() {
    assert_eq!(noticed(&Contact::new(&config(), long_ago()), &client(&config())), None);
}
