//! A record that the client itself refuses is not gone back to for ever.
//!
//! Needs the servers of `ci/servers up`: see the crate `test-servers`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kafka::exactly_once::{self, Processor, Settings};
use kafka::transactions::{Events, Failure, Guarantee, Outbox};
use kafka::{Headers, Record, Topic, flush};
use rdkafka::producer::{BaseProducer, BaseRecord};
use service::{Health, Time};
use test_servers::Servers;
use tokio_util::sync::CancellationToken;

/// Makes more of each record than any broker takes.
struct Inflate {
    target: String,
}

impl Processor for Inflate {
    type Judged = ();

    fn judge(&self, _: &Record<'_>) {}

    fn handle(&mut self, _: Record<'_>, (): (), outbox: &mut Outbox<'_>) -> Result<(), Failure> {
        outbox.send(&self.target, b"", &vec![0; 3 << 20], Headers::default())
    }

    fn committed(&mut self) {}

    fn aborted(&mut self) {}
}

#[tokio::test]
async fn a_record_that_the_client_refuses_ends_the_process_with_a_sentence() {
    let config: kafka::Config = Servers::running().kafka(&format!("test-{:08x}-", rand::random::<u32>()));
    let shutdown = CancellationToken::new();
    config.ensure_topics(&[Topic::Sales, Topic::States, Topic::Positions], &shutdown).await.unwrap();
    let watch = config.watch(&shutdown).await.unwrap();
    let producer: BaseProducer = config.idempotent_producer().create().unwrap();
    producer.send(BaseRecord::<(), _>::to(&config.names().sales()).payload("1")).map_err(|(err, _)| err).unwrap();
    flush(&producer, Duration::from_secs(30)).unwrap();

    let settings = Settings {
        role: "inflate".to_owned(),
        ordinal: "0".to_owned(),
        source: config.names().sales(),
        interval: Duration::from_millis(100),
        guarantee: Guarantee::ExactlyOnce,
        time: Time::default(),
    };
    let mut inflate = Inflate { target: config.names().rejected() };
    let stop = shutdown.clone();
    let run = std::thread::spawn(move || {
        let beat = Health::default().loop_("inflate", Duration::from_mins(1));
        exactly_once::run(&config, &settings, &mut inflate, &Arc::new(Events::default()), &watch, &beat, &stop)
    });
    let deadline = Instant::now() + Duration::from_mins(1);
    while !run.is_finished() && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    shutdown.cancel();
    let words = format!("{:#}", run.join().unwrap().expect_err("it ends by itself"));
    assert!(words.contains("putting a record on test-") && words.contains("that is never taken"), "{words}");
}
