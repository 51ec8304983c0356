//! A run's result on its way through a real Kafka.
//!
//! Needs the servers of `ci/servers up`: see the crate `test-servers`.

mod sample;

use std::time::Duration;

use benchmark::capsule::Capsule;
use benchmark::mode::Mode;
use benchmark::publish::publish;
use benchmark::report;
use kafka::results::{self, Content, RunName};
use sample::capsule;
use test_servers::Servers;
use tokio_util::sync::CancellationToken;

const LIMIT: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
async fn capsule_and_report_are_kept_whole() {
    let kafka: kafka::Config = Servers::running().kafka(&format!("test-publish-{}-", service::unix_us()));
    for (name, mode) in [("default-1", Mode::Default), ("certificate-1", Mode::Certificate)] {
        let capsule = capsule(mode, Some(2_000.0));
        let run = RunName::try_from(name.to_owned()).unwrap();
        assert!(publish(Some(&kafka), &run, &capsule, &CancellationToken::new()).await, "the page is kept as well");

        let config = kafka.clone();
        let kept = tokio::task::spawn_blocking(move || results::read(&config, LIMIT).unwrap()).await.unwrap();
        assert_eq!(kept[0].name, run);
        let Content::Result(result) = &kept[0].content else { panic!("{:?}", kept[0].content) };
        assert_eq!(result.verdict, capsule.verdict.to_string());
        assert_eq!(
            (result.headline.as_str(), result.line.as_str()),
            (report::headline(&capsule).as_str(), report::last_line(&capsule, None).as_str(),)
        );
        let [json, page] = [&result.capsule, &result.html].map(|packed| packed.as_ref().unwrap().unpack().unwrap());
        let back = Capsule::parse(str::from_utf8(&json).unwrap()).unwrap();
        assert_eq!(
            (back.run, back.found, back.steps.len()),
            (capsule.run.clone(), capsule.found.clone(), capsule.steps.len())
        );
        assert_eq!(String::from_utf8(page).unwrap(), report::html(&capsule, &[]).unwrap());
    }
}
